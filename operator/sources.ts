/** The watches of the operator: what it reads, reduced to what it uses. */
import {
  AGENT_POD_SELECTOR,
  HOOK_SPEC_SELECTOR,
  type PolicyKind,
  type PolicyRef,
  policyKey,
  TRACING_NODES,
} from "../crds/names.ts";
import type { ListAndWatch } from "../lib/kube.ts";
import { hasStatus } from "../lib/kube-error.ts";
import type { Logger } from "../lib/logger.ts";
import type { WatchMetrics } from "../lib/metrics.ts";
import { CONFIG_MAPS, objectKey, PODS } from "../lib/resources.ts";
import { ResourceWatch, type WatchHandlers } from "../lib/watch.ts";
import { parseSpecObject, type SpecObject } from "./distribute/config-map.ts";
import type { SpecReader } from "./distribute/spec-reader.ts";
import { POLICY_RESOURCES, type PolicyObject, parsePolicyObject } from "./resources.ts";
import { type AgentPod, parseAgentPod } from "./status/agent-pod.ts";
import { type NodeReport, NodeReportParser } from "./status/node-report.ts";

/** What the watches work with. */
export interface SourcesDeps {
  client: ListAndWatch;
  namespace: string;
  reader: SpecReader;
  logger: Logger;
  metrics: WatchMetrics;
}

/** What is called after each change. */
export interface SourceHandlers {
  policies: WatchHandlers<PolicyObject>;
  specs: WatchHandlers<SpecObject>;
  pods: WatchHandlers<AgentPod>;
  reports: WatchHandlers<NodeReport>;
}

/** A TracingNode with 50 policies has tens of kilobytes: fewer of them per page. */
const REPORTS_PER_PAGE = 100;

/** One watch per resource, never on Nodes: the agents' Pods show which nodes there are. */
export class Sources {
  readonly policies: Record<PolicyKind, ResourceWatch<PolicyObject>>;
  readonly specs: ResourceWatch<SpecObject>;
  readonly #pods: ResourceWatch<AgentPod>;
  readonly #reports: ResourceWatch<NodeReport>;
  readonly #knownMissing = Promise.withResolvers<void>();
  #areReportsMissing = false;

  constructor({ client, namespace, reader, logger, metrics }: SourcesDeps) {
    const common = { client, logger, metrics };
    const policies = (kind: PolicyKind) =>
      new ResourceWatch<PolicyObject>({
        ...common,
        resource: POLICY_RESOURCES[kind],
        parse: (object) => parsePolicyObject(kind, object),
      });
    this.policies = {
      TracingPolicy: policies("TracingPolicy"),
      TracingPolicyNamespaced: policies("TracingPolicyNamespaced"),
    };
    this.specs = new ResourceWatch<SpecObject>({
      ...common,
      resource: CONFIG_MAPS,
      namespace,
      labelSelector: HOOK_SPEC_SELECTOR,
      parse: (object) => parseSpecObject(object, reader),
    });
    this.#pods = new ResourceWatch<AgentPod>({
      ...common,
      resource: PODS,
      namespace,
      labelSelector: AGENT_POD_SELECTOR,
      parse: parseAgentPod,
    });
    const parser = new NodeReportParser();
    this.#reports = new ResourceWatch<NodeReport>({
      ...common,
      resource: TRACING_NODES,
      pageSize: REPORTS_PER_PAGE,
      parse: (object) => parser.parse(object),
    });
  }

  /** True while the API server does not know TracingNodes. */
  get areReportsMissing(): boolean {
    return this.#areReportsMissing;
  }

  /** Resolves when every watch has its first complete list, or its resource does not exist. */
  async start(handlers: SourceHandlers): Promise<void> {
    for (const watch of Object.values(this.policies)) watch.start(handlers.policies);
    this.specs.start(handlers.specs);
    this.#pods.start(handlers.pods);
    this.#reports.start({
      ...handlers.reports,
      onProblem: (problem) => {
        this.#areReportsMissing = hasStatus(problem, 404);
        if (this.#areReportsMissing) this.#knownMissing.resolve();
        handlers.reports.onProblem?.(problem);
      },
    });
    const listed = [...Object.values(this.policies), this.specs, this.#pods].map((watch) =>
      watch.waitForSync(),
    );
    const reports = Promise.race([this.#reports.waitForSync(), this.#knownMissing.promise]);
    await Promise.all([...listed, reports]);
  }

  async stop(): Promise<void> {
    await Promise.all(Object.values(this.#all()).map((watch) => watch.stop()));
  }

  /** For /readyz. */
  checks(): Record<string, () => string | undefined> {
    const checks = Object.entries(this.#all()).map(([name, watch]) => [name, () => watch.problem] as const);
    return Object.fromEntries(checks);
  }

  findPolicy(ref: PolicyRef): PolicyObject | undefined {
    return this.policies[ref.kind].store.get(objectKey(ref));
  }

  /** Keys of all policies that exist. */
  policyKeys(): string[] {
    return Object.entries(this.policies).flatMap(([kind, watch]) =>
      [...watch.store.keys()].map((key) => `${kind}/${key}`),
    );
  }

  /** Hook specs of one policy, found by their content and not by their labels. */
  specsOf(key: string): SpecObject[] {
    return [...this.specs.store.values()].filter(
      ({ spec }) => spec !== undefined && policyKey(spec.policy) === key,
    );
  }

  /** The ConfigMap of this name, if it has the operator's labels and no readable spec. */
  findDamaged(name: string): SpecObject | undefined {
    const found = [...this.specs.store.values()].find(({ metadata }) => metadata.name === name);
    return found?.spec === undefined ? found : undefined;
  }

  #all() {
    return {
      tracingpolicies: this.policies.TracingPolicy,
      tracingpoliciesnamespaced: this.policies.TracingPolicyNamespaced,
      configmaps: this.specs,
      pods: this.#pods,
      tracingnodes: this.#reports,
    };
  }
}
