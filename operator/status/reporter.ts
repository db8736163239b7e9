/** Keeps the status of every policy true: collects facts and publishes the status when something has changed. */
import type { PolicyReason } from "../../crds/conditions.ts";
import { policyKey } from "../../crds/names.ts";
import type { WorkQueue } from "../../lib/work-queue.ts";
import { joinRemarks, type Remark } from "../compiler/compiled.ts";
import type { WantedSpec } from "../distribute/plan.ts";
import { type PolicyObject, policyRefOf } from "../resources.ts";
import { aggregate, wasReady } from "./aggregate.ts";
import type { PolicyFacts } from "./conditions.ts";
import type { EventRecorder } from "./events.ts";
import type { ChangedPolicies, NodeIndex } from "./node-index.ts";
import type { Patience, Tolerance } from "./patience.ts";
import type { NewPolicyStatus } from "./policy-status.ts";
import type { StatusPublisher, Transition } from "./publish.ts";

/** What the reporter works with. */
export interface ReporterDeps {
  /** Runs work() of each key that is added. */
  queue: Pick<WorkQueue, "add" | "addAfter">;
  findPolicy(key: string): PolicyObject | undefined;
  nodes: Pick<NodeIndex, "nodesOf" | "size" | "nextChangeMs" | "forgetPolicy">;
  /** Generations of the policy's specs that are still distributed, by short hash. */
  generationsOf(key: string): ReadonlyMap<string, number>;
  /** True while the API server has no TracingNodes. */
  areReportsMissing(): boolean;
  patience: Patience;
  tolerance: Tolerance;
  now(): number;
  publisher: StatusPublisher;
  events: EventRecorder;
  onWritten(): void;
  /** A policy is shown as Ready, so long after the last report about it. */
  onReady(afterMs: number): void;
  onRejected(): void;
}

/** In large clusters reports come by the thousand: look at a policy once a second, not once per report. */
const MAX_COALESCE_MS = 1_000;
/** The operator's own status write comes back as a watch event within this time; a later difference is another writer's. */
const ECHO_MS = 1_000;

const NO_REPORTS = {
  reason: "ReportsMissing",
  message:
    "The CustomResourceDefinition tracingnodes.trigon.dev is not installed, so agents cannot report what they run: install it with this release's crds",
} as const;

/** Reasons for not being ready that need no action by the user. */
const HARMLESS = new Set<PolicyReason>(["RollingOut", "NoNodes", "Terminating"]);

/** Collects facts; `work` runs in a queue of its own, so that a slow API server does not delay distribution. */
export class StatusReporter {
  readonly #deps: ReporterDeps;
  readonly #facts = new Map<string, PolicyFacts>();
  readonly #suspects = new Set<string>();
  /** When nodes last reported something new, by policy. */
  readonly #changedAt = new Map<string, number>();

  constructor(deps: ReporterDeps) {
    this.#deps = deps;
  }

  accept(policy: PolicyObject, wanted: WantedSpec, warnings: readonly Remark[]): void {
    const isNews = this.#isNews(policy);
    this.#set(policy, { wanted: describe(wanted) });
    if (isNews && warnings.length > 0) {
      void this.#deps.events.record(policy, {
        type: "Warning",
        reason: "PolicyWarning",
        message: joinRemarks(warnings),
      });
    }
  }

  reject(policy: PolicyObject, message: string, running: WantedSpec | undefined): void {
    if (this.#isNews(policy)) this.#deps.onRejected();
    this.#set(policy, { ...wantedFact(running), problem: { reason: "InvalidSpec", message } });
  }

  fail(policy: PolicyObject, message: string, running: WantedSpec | undefined): void {
    this.#set(policy, { ...wantedFact(running), problem: { reason: "DistributionFailed", message } });
  }

  terminate(policy: PolicyObject): void {
    const message = "Deleted and detached; the object stays until its finalizers are removed";
    this.#set(policy, { problem: { reason: "Terminating", message } });
  }

  forget(key: string): void {
    this.#facts.delete(key);
    this.#suspects.delete(key);
    this.#changedAt.delete(key);
    this.#deps.nodes.forgetPolicy(key);
    this.#deps.publisher.forget(key);
    this.#deps.events.forget(key);
  }

  /** Nodes have reported something new about these policies. */
  nodesChanged(keys: ChangedPolicies): void {
    const delayMs = Math.min(MAX_COALESCE_MS, this.#deps.nodes.size);
    const now = this.#deps.now();
    for (const key of keys === "all" ? this.#facts.keys() : keys) {
      this.#changedAt.set(key, now);
      this.#deps.queue.addAfter(key, delayMs);
    }
  }

  /** A watch has delivered a policy's status: the operator's own comes back as written, any other one is overwritten. */
  statusSeen(policy: PolicyObject): void {
    const key = keyOf(policy);
    if (!this.#deps.publisher.differs(key, policy)) return;
    this.#suspects.add(key);
    this.#deps.queue.addAfter(key, ECHO_MS);
  }

  /** Publishes the status of one policy if it differs from what was published last. */
  async work(key: string): Promise<{ againAfterMs?: number } | undefined> {
    const policy = this.#deps.findPolicy(key);
    const facts = this.#facts.get(key);
    if (policy === undefined || facts === undefined) return undefined;
    if (facts.generation !== policy.metadata.generation) return undefined; // reconcile runs first
    if (this.#suspects.delete(key)) this.#deps.publisher.distrust(key, policy);

    const changedAt = this.#changedAt.get(key);
    const status = this.#aggregate(key, policy, facts);
    const nextChangeMs = this.#deps.nodes.nextChangeMs();
    const result = await this.#deps.publisher.publish(key, policy, status);
    if (result.kind === "wait") return { againAfterMs: Math.min(result.ms, nextChangeMs ?? result.ms) };
    if (result.kind === "written") {
      this.#deps.onWritten();
      if (result.transition !== undefined) await this.#transition(policy, result.transition, changedAt);
    }
    return nextChangeMs === undefined ? undefined : { againAfterMs: nextChangeMs };
  }

  #aggregate(key: string, policy: PolicyObject, facts: PolicyFacts): NewPolicyStatus {
    const { publisher, nodes, generationsOf, patience, tolerance, now } = this.#deps;
    const view = {
      wasReady: wasReady(publisher.lastStatus(key, policy), facts.wanted?.hash),
      now: now(),
      patience,
    };
    const problem = facts.problem ?? (this.#deps.areReportsMissing() ? NO_REPORTS : undefined);
    const all = { ...facts, ...(problem && { problem }), generations: generationsOf(key), tolerance };
    return aggregate(all, nodes.nodesOf(key), view);
  }

  #isNews(policy: PolicyObject): boolean {
    return this.#facts.get(keyOf(policy))?.generation !== policy.metadata.generation;
  }

  #set(policy: PolicyObject, facts: Omit<PolicyFacts, "generation">): void {
    const key = keyOf(policy);
    this.#facts.set(key, { generation: policy.metadata.generation ?? 0, ...facts });
    this.#deps.queue.add(key);
  }

  async #transition(
    policy: PolicyObject,
    { after }: Transition,
    changedAt: number | undefined,
  ): Promise<void> {
    if (after.status === "True" && changedAt !== undefined) this.#deps.onReady(this.#deps.now() - changedAt);
    const isGood = after.status === "True" || HARMLESS.has(after.reason);
    const { reason, message } = after;
    await this.#deps.events.record(policy, { type: isGood ? "Normal" : "Warning", reason, message });
  }
}

function keyOf(policy: PolicyObject): string {
  return policyKey(policyRefOf(policy));
}

function describe({ spec, hash, generation }: WantedSpec): NonNullable<PolicyFacts["wanted"]> {
  return { hash, hookCount: spec.hookCount, generation };
}

function wantedFact(running: WantedSpec | undefined): Pick<PolicyFacts, "wanted"> {
  return running === undefined ? {} : { wanted: describe(running) };
}
