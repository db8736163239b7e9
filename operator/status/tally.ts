/** Counts thousands of nodes in one pass and keeps only what the status can show. Pure. */
import type { NodeFact } from "./node-index.ts";
import type { NodeEntry } from "./node-report.ts";
import { type StateOnNode, stateOnNode } from "./node-state.ts";
import type { NodeCounts, NodeLine, NodeState } from "./policy-status.ts";

/** A node by name, with its problem. */
export interface ListedNode extends StateOnNode {
  node: string;
}

/** Nodes with a problem, by state; the first MAX_LISTED names of each. */
export type Problems = Record<"failed" | "unavailable" | "pending" | "partial", ListedNode[]>;

/** The result of the pass. */
export interface NodeSummary extends Problems {
  counts: NodeCounts;
  /** Hooks attached on the node that has the fewest; nodes that are not selected have none and do not count. */
  fewestHooks: number;
  /** Every node; undefined in clusters that are too large for that. */
  lines: NodeLine[] | undefined;
}

/** Most names that are kept per state, which bounds the list of failing nodes, too. */
export const MAX_LISTED = 20;
/** In clusters of up to this many nodes, the status lists every node. */
const MAX_LINES = 50;
/** With 20 messages of this length and the conditions, a status is smaller than 8 KiB. */
const MAX_MESSAGE = 220;

const COUNTER: Record<NodeState, Exclude<keyof NodeCounts, "total">> = {
  Attached: "attached",
  PartiallyAttached: "partial",
  Pending: "pending",
  Failed: "failed",
  Skipped: "skipped",
  Unavailable: "unavailable",
};

/** Finds the state of the wanted spec on every node, and counts. */
export function tally(nodes: Iterable<NodeFact>, wantedHash: string | undefined): NodeSummary {
  const counts: NodeCounts = {
    total: 0,
    attached: 0,
    partial: 0,
    pending: 0,
    failed: 0,
    skipped: 0,
    unavailable: 0,
  };
  const problems: Problems = { failed: [], unavailable: [], pending: [], partial: [] };
  const lines: NodeLine[] = [];
  const judge = makeJudge(wantedHash);
  let fewestHooks = Number.POSITIVE_INFINITY;
  for (const node of nodes) {
    const verdict = judge(node);
    const counter = COUNTER[verdict.state];
    counts[counter]++;
    if (counter !== "skipped") {
      counts.total++;
      fewestHooks = Math.min(fewestHooks, hooksOf(node, verdict.state));
    }
    if (counter in problems) keepFirst(problems[counter as keyof Problems], node.name, verdict);
    if (lines.length <= MAX_LINES) lines.push(makeLine(node, verdict.state));
  }
  return {
    counts,
    ...problems,
    fewestHooks: counts.total === 0 ? 0 : fewestHooks,
    lines: lines.length <= MAX_LINES ? lines.sort(byNode) : undefined,
  };
}

/** Sorts lists of nodes by name. */
export function byNode(a: { node: string }, b: { node: string }): number {
  return a.node < b.node ? -1 : 1;
}

/** Cuts at a length with a visible mark. */
export function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** Nodes with a ready agent share equal entries: the state is found once per entry and not once per node. */
function makeJudge(wantedHash: string | undefined): (node: NodeFact) => StateOnNode {
  const verdicts = new Map<NodeEntry | undefined, StateOnNode>();
  return (node) => {
    if (node.agent.state !== "ready") return stateOnNode(node, wantedHash);
    const known = verdicts.get(node.entry);
    if (known !== undefined) return known;
    const verdict = stateOnNode(node, wantedHash);
    verdicts.set(node.entry, verdict);
    return verdict;
  };
}

/** Keeps `list` sorted by name and short. */
function keepFirst(list: ListedNode[], node: string, verdict: StateOnNode): void {
  const last = list.at(-1);
  if (list.length === MAX_LISTED && last !== undefined && last.node < node) return;
  const { message, ...rest } = verdict;
  list.push({ node, ...rest, ...(message && { message: shorten(message, MAX_MESSAGE) }) });
  list.sort(byNode);
  if (list.length > MAX_LISTED) list.pop();
}

function hooksOf(node: NodeFact, state: NodeState): number {
  const isReported = state !== "Pending" && state !== "Unavailable";
  return isReported ? (node.entry?.hooksAttached ?? 0) : 0;
}

function makeLine({ name, entry }: NodeFact, state: NodeState): NodeLine {
  const { attachedHash, specHash, attach } = entry ?? {};
  return {
    node: name,
    state,
    ...(attachedHash && attachedHash !== specHash && { attachedHash }),
    ...(attach && { attach }),
  };
}
