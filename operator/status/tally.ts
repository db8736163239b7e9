/** Counts thousands of nodes in one pass and keeps only what the status can show. Pure. */
import { ActivitySum, type ClusterActivity } from "./activity.ts";
import type { NodeFact } from "./node-index.ts";
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
  const pass = new Pass();
  const judge = makeJudge(view);
  for (const node of nodes) pass.add(node, judge(node));
  return pass.result();
}

/** Cuts at a length with a visible mark. */
export function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

class Pass {
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
  #fewestHooks = Number.POSITIVE_INFINITY;
  readonly #activity = new ActivitySum();

  add(node: NodeFact, verdict: StateOnNode): void {
    const { state } = verdict;
    const counter = COUNTER[state];
    this.#counts[counter]++;
    if (counter !== "skipped") this.#counts.total++;
    if (counter in this.#groups) addToGroup(this.#groups[counter as keyof Problems], node.name, verdict);
    if (!NOT_RUNNING.has(state)) this.#countRunning(node.entry?.attachedHash);
    if (!NOT_RUNNING.has(state) && node.entry?.activity) this.#activity.add(node.entry.activity);
    if (counter !== "skipped" && counter !== "absent")
      this.#fewestHooks = Math.min(this.#fewestHooks, hooksOf(node, state));
    if (this.#lines.length <= MAX_LINES) this.#lines.push([node, state]);
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
      lines: this.#lines.length <= MAX_LINES ? groupLines(this.#lines) : undefined,
    };
  }

  #countRunning(hash: string | undefined): void {
    if (hash !== undefined) this.#running.set(hash, (this.#running.get(hash) ?? 0) + 1);
  }
}

/** Nodes with a ready agent share equal entries: the state is found once per entry and not once per node. */
function makeJudge(view: Viewpoint): (node: NodeFact) => StateOnNode {
  const verdicts = new Map<NodeEntry | undefined, StateOnNode>();
  return (node) => {
    if (node.agent.state !== "ready") return stateOnNode(node, view);
    const known = verdicts.get(node.entry);
    if (known !== undefined) return known;
    const verdict = stateOnNode(node, view);
    verdicts.set(node.entry, verdict);
    return verdict;
  };
}

function addToGroup(groups: Map<string, NodeGroup>, node: string, verdict: StateOnNode): void {
  const message = shorten(verdict.message ?? "", MAX_MESSAGE);
  const key = `${verdict.reason} ${message}`;
  const group = groups.get(key);
  if (group !== undefined) {
    group.count++;
    group.mayPass ||= verdict.mayPass;
    keepFirst(group.nodes, node);
  } else if (groups.size < MAX_GROUPS) {
    groups.set(key, { ...verdict, ...(message && { message }), count: 1, nodes: [node] });
  }
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

function hooksOf(node: NodeFact, state: NodeState): number {
  const isReported = state !== "Pending" && state !== "Unavailable";
  return isReported ? (node.entry?.hooksAttached ?? 0) : 0;
}

function groupLines(lines: readonly [NodeFact, NodeState][]): NodeStates[] {
  const groups = new Map<string, NodeStates>();
  for (const [{ name, entry }, state] of lines) {
    const { attachedHash, specHash, attach } = entry ?? {};
    const other = attachedHash !== specHash ? attachedHash : undefined;
    const key = JSON.stringify([state, other, attach]);
    const group = groups.get(key) ?? {
      state,
      nodes: [],
      ...(other && { attachedHash: other }),
      ...(attach && { attach }),
    };
    group.nodes.push(name);
    groups.set(key, group);
  }
  for (const { nodes } of groups.values()) nodes.sort();
  return [...groups.values()].sort((a, b) => compare(a.nodes[0], b.nodes[0]));
}

function compare(a = "", b = ""): number {
  return a < b ? -1 : Number(a > b);
}
