/** Which nodes there are and what they report, indexed so that one report touches only the policies in it. */
import { shortSpecHash } from "../../crds/names.ts";
import type { AgentHealth, AgentPod } from "./agent-pod.ts";
import { preferredPod } from "./agent-pod.ts";
import { EqualNodes, type NodeFact } from "./equal-nodes.ts";
import { changedPolicies, type KernelLack, type NodeEntry, type NodeReport } from "./node-report.ts";
import { DEFAULT_PATIENCE, nextChangeMs, type Patience } from "./patience.ts";

const NOTHING_KNOWN: KernelLack = { calls: new Set(), features: new Set() };

/** Keys of the policies that a change is about; "all" when a node came, went or changed its health. */
export type ChangedPolicies = readonly string[] | "all";

/**
 * A node counts if and only if an agent Pod is bound to it or made for it. A TracingNode without one (drained node,
 * agent removed) is remembered and not counted: no agent keeps it true. A Pod that is replaced leaves the node counted
 * for as long as a restart may take. Each change returns what it is about.
 */
export class NodeIndex {
  readonly #now: () => number;
  readonly #patience: Patience;
  readonly #pods = new Map<string, Map<string, AgentPod>>();
  readonly #agents = new Map<string, AgentHealth>();
  /** Nodes whose agent is not ready. */
  readonly #notReady = new Set<string>();
  readonly #reports = new Map<string, NodeReport>();
  /** By policy, from the first question about it on. */
  readonly #equal = new Map<string, EqualNodes>();

  constructor(now: () => number = Date.now, patience: Patience = DEFAULT_PATIENCE) {
    this.#now = now;
    this.#patience = patience;
  }

  /** Number of nodes that count. */
  get size(): number {
    return this.#agents.size;
  }

  setPod(pod: AgentPod): ChangedPolicies {
    if (pod.nodeName === undefined) return [];
    const pods = this.#pods.get(pod.nodeName) ?? new Map<string, AgentPod>();
    pods.set(pod.metadata.name, pod);
    this.#pods.set(pod.nodeName, pods);
    return this.#updateAgent(pod.nodeName);
  }

  removePod(pod: AgentPod): ChangedPolicies {
    if (pod.nodeName === undefined) return [];
    const pods = this.#pods.get(pod.nodeName);
    pods?.delete(pod.metadata.name);
    if (pods?.size === 0) this.#pods.delete(pod.nodeName);
    return this.#updateAgent(pod.nodeName);
  }

  setReport(report: NodeReport): ChangedPolicies {
    const { name } = report.metadata;
    const before = this.#reports.get(name);
    this.#reports.set(name, report);
    return this.#noteChanges(name, before, report);
  }

  /** The Node owns its report: when both are gone, so is the node. */
  removeReport(report: NodeReport): ChangedPolicies {
    const { name } = report.metadata;
    const before = this.#reports.get(name);
    this.#reports.delete(name);
    const changed = this.#noteChanges(name, before, undefined);
    if (this.#pods.has(name) || !this.#agents.has(name)) return changed;
    this.#setAgent(name, undefined);
    return "all";
  }

  /** Every node that counts, as the policy sees it; nodes with a ready agent that are equal come together. */
  *nodesOf(key: string): Generator<NodeFact> {
    this.#forgetReplaced();
    yield* this.#equalNodes(key).facts();
    for (const name of this.#notReady) {
      const agent = this.#agents.get(name);
      if (agent) yield { names: new Set([name]), agent, entry: this.#entry(name, key) };
    }
  }

  /** Nobody will ask about this policy again. */
  forgetPolicy(key: string): void {
    this.#equal.delete(key);
  }

  /** What the kernels of the nodes that count are known to lack. */
  *lacks(): Generator<{ name: string } & KernelLack> {
    for (const name of this.#agents.keys()) {
      yield { name, ...(this.#reports.get(name)?.lack ?? NOTHING_KNOWN) };
    }
  }

  /** When the passing of time alone changes what a node counts as; undefined: never. */
  nextChangeMs(): number | undefined {
    const now = this.#now();
    const delays = [...this.#notReady].flatMap((name) => {
      const agent = this.#agents.get(name);
      return (agent && nextChangeMs(agent, now, this.#patience)) ?? [];
    });
    return delays.length === 0 ? undefined : delays.reduce((a, b) => Math.min(a, b));
  }

  /**
   * True if a node runs the spec; nodes without an agent Pod count here, because theirs may come back and need it.
   */
  runs(key: string, specHash: string): boolean {
    const hash = shortSpecHash(specHash);
    for (const { policies } of this.#reports.values()) {
      if (policies.get(key)?.attachedHash === hash) return true;
    }
    return false;
  }

  #updateAgent(node: string): ChangedPolicies {
    const before = this.#agents.get(node);
    const pod = preferredPod(this.#pods.get(node)?.values() ?? []);
    if (pod === undefined) return this.#podGone(node, before);
    const after = withSince(pod.health, before, this.#now());
    this.#setAgent(node, after);
    return before?.state === after.state && before.message === after.message ? [] : "all";
  }

  /** A DaemonSet that is upgraded deletes a Pod before it makes the next one. */
  #podGone(node: string, before: AgentHealth | undefined): ChangedPolicies {
    if (before === undefined) return [];
    if (this.#reports.has(node)) {
      const since = before.state === "ready" ? this.#now() : (before.since ?? this.#now());
      this.#setAgent(node, { state: "starting", message: "the agent pod is gone", since });
    } else this.#setAgent(node, undefined);
    return "all";
  }

  #forgetReplaced(): void {
    const end = this.#now() - this.#patience.restartMs;
    for (const name of this.#notReady) {
      const isOver = (this.#agents.get(name)?.since ?? 0) <= end;
      if (isOver && !this.#pods.has(name)) this.#setAgent(name, undefined);
    }
  }

  /** The only place that changes which agents there are, because three collections must agree. */
  #setAgent(name: string, health: AgentHealth | undefined): void {
    const wasReady = this.#isReady(name);
    if (health) this.#agents.set(name, health);
    else this.#agents.delete(name);
    const isReady = health?.state === "ready";
    if (health === undefined || isReady) this.#notReady.delete(name);
    else this.#notReady.add(name);
    if (wasReady === isReady) return;
    for (const [key, equal] of this.#equal) {
      if (isReady) equal.add(name, this.#entry(name, key));
      else equal.remove(name, this.#entry(name, key));
    }
  }

  #noteChanges(name: string, before: NodeReport | undefined, after: NodeReport | undefined): string[] {
    const changed = changedPolicies(before, after);
    if (!this.#isReady(name)) return changed;
    for (const key of changed) {
      const equal = this.#equal.get(key);
      equal?.remove(name, before?.policies.get(key));
      equal?.add(name, after?.policies.get(key));
    }
    return changed;
  }

  #equalNodes(key: string): EqualNodes {
    const known = this.#equal.get(key);
    if (known) return known;
    const equal = new EqualNodes();
    for (const [name, { state }] of this.#agents)
      if (state === "ready") equal.add(name, this.#entry(name, key));
    this.#equal.set(key, equal);
    return equal;
  }

  #isReady(name: string): boolean {
    return this.#agents.get(name)?.state === "ready";
  }

  #entry(name: string, key: string): NodeEntry | undefined {
    return this.#reports.get(name)?.policies.get(key);
  }
}

/** A Pod that replaces another one on its node continues its absence; times in the future are other clocks'. */
function withSince(health: AgentHealth, before: AgentHealth | undefined, now: number): AgentHealth {
  if (health.state === "ready") return health;
  const known = before?.state === "ready" ? undefined : before?.since;
  return { ...health, since: Math.min(known ?? health.since ?? now, now) };
}
