/** The watches of the operator: what it reads, reduced to what it uses. */
import {
  AGENT_POD_SELECTOR,
  HOOK_SPEC_SELECTOR,
  type PolicyKind,
  type PolicyRef,
  policyKey,
  TRACING_NODES,
} from "../crds/names.ts";
import type { KubeClient } from "../lib/kube.ts";
import type { Logger } from "../lib/logger.ts";
import type { WatchMetrics } from "../lib/metrics.ts";
import { CONFIG_MAPS, objectKey, PODS } from "../lib/resources.ts";
import { ResourceWatch, type WatchHandlers } from "../lib/watch.ts";
import { parseSpecObject, type SpecObject } from "./distribute/config-map.ts";
import { POLICY_RESOURCES, type PolicyObject, parsePolicyObject } from "./resources.ts";
import { type AgentPod, parseAgentPod } from "./status/agent-pod.ts";
import { type NodeReport, NodeReportParser } from "./status/node-report.ts";

/** What the watches work with. */
export interface SourcesDeps {
  client: KubeClient;
  namespace: string;
  logger: Logger;
  metrics: WatchMetrics;
}

/** Who is told of changes. */
export interface SourceHandlers {
  policies: WatchHandlers<PolicyObject>;
  specs: WatchHandlers<SpecObject>;
  pods: WatchHandlers<AgentPod>;
  reports: WatchHandlers<NodeReport>;
}

/** A TracingNode with 50 policies has tens of kilobytes: fewer of them per page. */
const REPORTS_PER_PAGE = 100;

/** One watch per resource, never on Nodes: the agents' Pods say which nodes there are. */
export class Sources {
  readonly policies: Record<PolicyKind, ResourceWatch<PolicyObject>>;
  readonly specs: ResourceWatch<SpecObject>;
  readonly #all: readonly [name: string, watch: Watched][];

  constructor({ client, namespace, logger, metrics }: SourcesDeps, handlers: SourceHandlers) {
    const common = { client, logger, metrics };
    const policies = (kind: PolicyKind) =>
      new ResourceWatch<PolicyObject>(
        { ...common, resource: POLICY_RESOURCES[kind], parse: (object) => parsePolicyObject(kind, object) },
        handlers.policies,
      );
    this.policies = {
      TracingPolicy: policies("TracingPolicy"),
      TracingPolicyNamespaced: policies("TracingPolicyNamespaced"),
    };
    this.specs = new ResourceWatch<SpecObject>(
      {
        ...common,
        resource: CONFIG_MAPS,
        namespace,
        labelSelector: HOOK_SPEC_SELECTOR,
        parse: parseSpecObject,
      },
      handlers.specs,
    );
    const pods = new ResourceWatch<AgentPod>(
      { ...common, resource: PODS, namespace, labelSelector: AGENT_POD_SELECTOR, parse: parseAgentPod },
      handlers.pods,
    );
    const parser = new NodeReportParser();
    const reports = new ResourceWatch<NodeReport>(
      {
        ...common,
        resource: TRACING_NODES,
        pageSize: REPORTS_PER_PAGE,
        parse: (object) => parser.parse(object),
      },
      handlers.reports,
    );
    this.#all = [
      ["tracingpolicies", this.policies.TracingPolicy],
      ["tracingpoliciesnamespaced", this.policies.TracingPolicyNamespaced],
      ["configmaps", this.specs],
      ["pods", pods],
      ["tracingnodes", reports],
    ];
  }

  /** Resolves when every watch has its first complete list. */
  async start(): Promise<void> {
    for (const [, watch] of this.#all) watch.start();
    await Promise.all(this.#all.map(([, watch]) => watch.waitForSync()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map(([, watch]) => watch.stop()));
  }

  /** For /readyz. */
  checks(): Record<string, () => string | undefined> {
    return Object.fromEntries(this.#all.map(([name, watch]) => [name, () => watch.problem]));
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

  /** Hook specs of one policy, by what they say, not by how they are labelled. */
  specsOf(key: string): SpecObject[] {
    return [...this.specs.store.values()].filter(
      ({ spec }) => spec !== undefined && policyKey(spec.policy) === key,
    );
  }
}

interface Watched {
  start(): void;
  stop(): Promise<void>;
  waitForSync(): Promise<void>;
  readonly problem: string | undefined;
}
