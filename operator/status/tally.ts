/** Counts thousands of nodes in one pass and keeps only what the status can show. Pure. */
import { ActivitySum, type ClusterActivity } from "./activity.ts";
import type { NodeFact } from "./equal-nodes.ts";
import type { NodeEntry } from "./node-report.ts";
import { type StateOnNode, stateOnNode, type Viewpoint } from "./node-state.ts";
import type { NodeCounts, NodeState, NodeStates } from "./policy-status.ts";

/** Nodes with the same problem. */
export interface NodeGroup extends StateOnNode {
  count: number;
  /** The first of their names, in order. */
  nodes: string[];
}

/** Nodes with a problem, by state; the largest groups come first. */
export type Problems = Record<"failed" | "unavailable" | "absent" | "pending" | "partial", NodeGroup[]>;

/** The result of the pass. */
export interface NodeSummary extends Problems {
  counts: NodeCounts;
  /** Hooks attached on the node that has the fewest, of those that run the policy or should. */
  fewestHooks: number;
  /** Number of nodes that run each spec. */
  running: ReadonlyMap<string, number>;
  /** What the policy does on nodes that answer. */
  activity: ClusterActivity;
  /** Every node; undefined in clusters that are too large for that. */
  lines: NodeStates[] | undefined;
}

/** Names that are kept of each group. */
const MAX_NAMES = 5;
/** In clusters of up to this many nodes, the status lists every node. */
const MAX_LINES = 50;
/** Different problems that are told apart in each state; further ones are counted only. */
const MAX_GROUPS = 100;
const MAX_MESSAGE = 220;

const COUNTER: Record<NodeState, Exclude<keyof NodeCounts, "total">> = {
  Attached: "attached",
  PartiallyAttached: "partial",
  Pending: "pending",
  Failed: "failed",
  Skipped: "skipped",
  Unavailable: "unavailable",
  Absent: "absent",
};
const NOT_RUNNING = new Set<NodeState>(["Unavailable", "Absent"]);

/** Finds the state of the wanted spec on every node, and counts. */
export function tally(nodes: Iterable<NodeFact>, view: Viewpoint): NodeSummary {
  const pass = new Pass(view);
  for (const node of nodes) pass.add(node);
  return pass.result();
}

/** Cuts at a length with a visible mark. */
export function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

class Pass {
  readonly #view: Viewpoint;
  readonly #counts: NodeCounts = {
    total: 0,
    attached: 0,
    partial: 0,
    pending: 0,
    failed: 0,
    skipped: 0,
    unavailable: 0,
    absent: 0,
  };
  readonly #groups: Record<keyof Problems, Map<string, NodeGroup>> = {
    failed: new Map(),
    unavailable: new Map(),
    absent: new Map(),
    pending: new Map(),
    partial: new Map(),
  };
  readonly #running = new Map<string, number>();
  readonly #lines: [NodeFact, NodeState][] = [];
  #size = 0;
  #fewestHooks = Number.POSITIVE_INFINITY;
  readonly #activity = new ActivitySum();

  constructor(view: Viewpoint) {
    this.#view = view;
  }

  add(nodes: NodeFact): void {
    const verdict = stateOnNode(nodes, this.#view);
    const { state } = verdict;
    const counter = COUNTER[state];
    const { size } = nodes.names;
    this.#counts[counter] += size;
    if (counter !== "skipped") this.#counts.total += size;
    if (counter in this.#groups) group(this.#groups[counter as keyof Problems], verdict, nodes.names);
    if (!NOT_RUNNING.has(state)) this.#countRunning(nodes.entry, size);
    if (counter !== "skipped" && counter !== "absent")
      this.#fewestHooks = Math.min(this.#fewestHooks, hooksOf(nodes.entry, state));
    this.#size += size;
    if (this.#size <= MAX_LINES) this.#lines.push([nodes, state]);
  }

  result(): NodeSummary {
    const { failed, unavailable, absent, pending, partial } = this.#groups;
    return {
      counts: this.#counts,
      failed: inOrder(failed),
      unavailable: inOrder(unavailable),
      absent: inOrder(absent),
      pending: inOrder(pending),
      partial: inOrder(partial),
      fewestHooks: Number.isFinite(this.#fewestHooks) ? this.#fewestHooks : 0,
      running: this.#running,
      activity: this.#activity.result(),
      lines: this.#size <= MAX_LINES ? groupLines(this.#lines) : undefined,
    };
  }

  #countRunning({ attachedHash, activity }: Partial<NodeEntry> = {}, count: number): void {
    if (attachedHash !== undefined)
      this.#running.set(attachedHash, (this.#running.get(attachedHash) ?? 0) + count);
    if (activity) this.#activity.add(activity, count);
  }
}

/** Adds nodes to the group of their problem; they are only counted elsewhere if there are too many groups. */
function group(groups: Map<string, NodeGroup>, verdict: StateOnNode, names: ReadonlySet<string>): void {
  const message = shorten(verdict.message ?? "", MAX_MESSAGE);
  const key = `${verdict.reason} ${message}`;
  if (!groups.has(key) && groups.size >= MAX_GROUPS) return;
  const known = groups.get(key) ?? { ...verdict, ...(message && { message }), count: 0, nodes: [] };
  groups.set(key, known);
  known.mayPass ||= verdict.mayPass;
  known.count += names.size;
  for (const name of names) keepFirst(known.nodes, name);
}

/** Keeps `names` sorted and short. */
function keepFirst(names: string[], name: string): void {
  const last = names.at(-1);
  if (names.length === MAX_NAMES && last !== undefined && last < name) return;
  names.push(name);
  names.sort();
  if (names.length > MAX_NAMES) names.pop();
}

function inOrder(groups: ReadonlyMap<string, NodeGroup>): NodeGroup[] {
  return [...groups.values()].sort((a, b) => b.count - a.count || compare(a.nodes[0], b.nodes[0]));
}

function hooksOf(entry: NodeEntry | undefined, state: NodeState): number {
  const isReported = state !== "Pending" && state !== "Unavailable";
  return isReported ? (entry?.hooksAttached ?? 0) : 0;
}

function groupLines(lines: readonly [NodeFact, NodeState][]): NodeStates[] {
  const groups = new Map<string, NodeStates>();
  for (const [{ names, entry }, state] of lines) {
    const { attachedHash, specHash, attach } = entry ?? {};
    const other = attachedHash !== specHash ? attachedHash : undefined;
    const key = JSON.stringify([state, other, attach]);
    const group = groups.get(key) ?? {
      state,
      nodes: [],
      ...(other && { attachedHash: other }),
      ...(attach && { attach }),
    };
    group.nodes.push(...names);
    groups.set(key, group);
  }
  for (const { nodes } of groups.values()) nodes.sort();
  return [...groups.values()].sort((a, b) => compare(a.nodes[0], b.nodes[0]));
}

function compare(a = "", b = ""): number {
  return a < b ? -1 : Number(a > b);
}
