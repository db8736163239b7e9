/** Nodes that are equal for one policy, kept together so that a status need not look at thousands of them one by one. */
import type { AgentHealth } from "./agent-pod.ts";
import type { NodeEntry } from "./node-report.ts";

/** What is known about one policy on nodes that are equal for it. */
export interface NodeFact {
  /** At least one. */
  readonly names: ReadonlySet<string>;
  readonly agent: AgentHealth;
  /** Undefined if they have not reported it. */
  readonly entry?: NodeEntry | undefined;
}

const READY: AgentHealth = { state: "ready" };

/** Nodes with a ready agent, by their entry for the policy. Adding or removing a node does not look at the others. */
export class EqualNodes {
  readonly #byEntry = new Map<NodeEntry | undefined, Set<string>>();

  add(name: string, entry: NodeEntry | undefined): void {
    const names = this.#byEntry.get(entry);
    if (names) names.add(name);
    else this.#byEntry.set(entry, new Set([name]));
  }

  remove(name: string, entry: NodeEntry | undefined): void {
    const names = this.#byEntry.get(entry);
    names?.delete(name);
    if (names?.size === 0) this.#byEntry.delete(entry);
  }

  *facts(): Generator<NodeFact> {
    for (const [entry, names] of this.#byEntry) yield { names, agent: READY, entry };
  }
}
