/** From what every node says about a policy to the policy's status. Pure; bounded however many nodes there are. */
import type { PolicyReason } from "../../crds/conditions.ts";
import { makeConditions } from "./conditions.ts";
import type { NodeFact } from "./node-index.ts";
import { type StateOnNode, stateOnNode } from "./node-state.ts";
import type { FailingNode, NewPolicyStatus, NodeCounts, NodeLine, NodeState } from "./policy-status.ts";

/** What the operator knows about a policy besides its nodes. */
export interface PolicyFacts {
  /** metadata.generation that this is about. */
  generation: number;
  /** The spec that nodes should run: of this generation, or the last good one. */
  wanted?: { hash: string; hookCount: number; generation?: number | undefined };
  /** Why this generation is not what runs. */
  problem?: { reason: Extract<PolicyReason, "InvalidSpec" | "DistributionFailed">; message: string };
}

/** What makeConditions needs to know of the nodes. */
export interface NodeSummary {
  counts: NodeCounts;
  /** Nodes that are not well, by state, in order of name; at most MAX_LISTED of each. */
  failed: ListedNode[];
  unavailable: ListedNode[];
  pending: ListedNode[];
  partial: ListedNode[];
}

/** A node by name with what is the matter. */
export interface ListedNode extends StateOnNode {
  node: string;
}

const MAX_FAILING_NODES = 20;
/** Clusters of up to this size have every node listed. */
const MAX_NODE_LINES = 50;
/** Twenty of them and the conditions stay below 8 KiB. */
const MAX_NODE_MESSAGE = 220;

const COUNTER: Record<NodeState, Exclude<keyof NodeCounts, "total">> = {
  Attached: "attached",
  PartiallyAttached: "partial",
  Pending: "pending",
  Failed: "failed",
  Skipped: "skipped",
  Unavailable: "unavailable",
};

/** The whole status except for the times of its conditions. */
export function aggregate(facts: PolicyFacts, nodes: Iterable<NodeFact>): NewPolicyStatus {
  const judged = Array.from(nodes, (node) => ({ node, ...stateOnNode(node, facts.wanted?.hash) }));
  const summary = summarize(judged);
  const { counts } = summary;
  const failingNodes = listFailing(summary);
  return {
    observedGeneration: facts.generation,
    ...(facts.wanted && { specHash: facts.wanted.hash }),
    nodesSummary: `${counts.attached + counts.partial}/${counts.total}`,
    ...(facts.wanted && { hooksSummary: `${fewestHooks(judged)}/${facts.wanted.hookCount}` }),
    nodes: counts,
    ...(failingNodes.length > 0 && { failingNodes }),
    ...(judged.length > 0 && judged.length <= MAX_NODE_LINES && { nodeStates: listNodes(judged) }),
    conditions: makeConditions(facts, summary),
  };
}

type Judged = StateOnNode & { node: NodeFact };

function summarize(judged: readonly Judged[]): NodeSummary {
  const counts: NodeCounts = {
    total: 0,
    attached: 0,
    partial: 0,
    pending: 0,
    failed: 0,
    skipped: 0,
    unavailable: 0,
  };
  for (const { state } of judged) counts[COUNTER[state]]++;
  counts.total = judged.length - counts.skipped;
  const named = (state: NodeState) => nodesIn(judged, state);
  return {
    counts,
    failed: named("Failed"),
    unavailable: named("Unavailable"),
    pending: named("Pending"),
    partial: named("PartiallyAttached"),
  };
}

function nodesIn(judged: readonly Judged[], state: NodeState): ListedNode[] {
  return judged
    .filter((one) => one.state === state)
    .map(({ node, ...rest }) => ({ node: node.name, ...rest }))
    .sort(byNode)
    .slice(0, MAX_FAILING_NODES)
    .map(({ message, ...rest }) => ({
      ...rest,
      ...(message && { message: shorten(message, MAX_NODE_MESSAGE) }),
    }));
}

function listFailing(summary: NodeSummary): FailingNode[] {
  return [...summary.failed, ...summary.unavailable].sort(byNode).slice(0, MAX_FAILING_NODES);
}

function listNodes(judged: readonly Judged[]): NodeLine[] {
  return judged
    .map(({ node, state }) => {
      const { attachedHash, specHash, attach } = node.entry ?? {};
      return {
        node: node.name,
        state,
        ...(attachedHash && attachedHash !== specHash && { attachedHash }),
        ...(attach && { attach }),
      };
    })
    .sort(byNode);
}

/** Hooks attached on the node that has the fewest; nodes that are not selected have none and do not count. */
function fewestHooks(judged: readonly Judged[]): number {
  const counting = judged.filter(({ state }) => state !== "Skipped");
  if (counting.length === 0) return 0;
  return Math.min(
    ...counting.map(({ node, state }) => (isReported(state) ? (node.entry?.hooksAttached ?? 0) : 0)),
  );
}

function isReported(state: NodeState): boolean {
  return state !== "Pending" && state !== "Unavailable";
}

function byNode(a: { node: string }, b: { node: string }): number {
  return a.node < b.node ? -1 : 1;
}

/** Cuts at a length with a visible mark. */
export function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
