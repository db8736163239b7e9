/** Which nodes there are and what they report, indexed so that one report touches only the policies in it. */
import type { AgentHealth, AgentPod } from "./agent-pod.ts";
import { preferredPod } from "./agent-pod.ts";
import { changedPolicies, type NodeEntry, type NodeReport } from "./node-report.ts";

/** What is known of one node about one policy. */
export interface NodeFact {
  readonly name: string;
  readonly agent: AgentHealth;
  readonly entry?: NodeEntry | undefined;
}

/** Keys of the policies that a change is about; "all" when a node came, went or changed its health. */
export type ChangedPolicies = readonly string[] | "all";

/**
 * A node counts if and only if an agent Pod is bound to it or made for it. A TracingNode without one (drained node,
 * agent removed) is remembered and not counted: no agent keeps it true. Each change returns what it is about.
 */
export class NodeIndex {
  readonly #pods = new Map<string, Map<string, AgentPod>>();
  readonly #agents = new Map<string, AgentHealth>();
  readonly #reports = new Map<string, NodeReport>();

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
    return changedPolicies(before, report);
  }

  removeReport(report: NodeReport): ChangedPolicies {
    const { name } = report.metadata;
    const before = this.#reports.get(name);
    this.#reports.delete(name);
    return changedPolicies(before, undefined);
  }

  /** Every node that counts, as the policy sees it. */
  *nodesOf(key: string): Generator<NodeFact> {
    for (const [name, agent] of this.#agents) {
      yield { name, agent, entry: this.#reports.get(name)?.policies.get(key) };
    }
  }

  /**
   * True if a node runs such a spec; nodes without an agent Pod count here, because theirs may come back and need it.
   */
  runs(key: string, isSpec: (hash: string) => boolean): boolean {
    for (const report of this.#reports.values()) {
      const hash = report.policies.get(key)?.attachedHash;
      if (hash !== undefined && isSpec(hash)) return true;
    }
    return false;
  }

  #updateAgent(node: string): ChangedPolicies {
    const before = this.#agents.get(node);
    const after = preferredPod(this.#pods.get(node)?.values() ?? [])?.health;
    if (after === undefined) this.#agents.delete(node);
    else this.#agents.set(node, after);
    return before?.state === after?.state && before?.message === after?.message ? [] : "all";
  }
}
