/** Makes a policy's status from the reports of all nodes. Pure; its size is bounded however many nodes there are. */
import { shortSpecHash } from "../../crds/names.ts";
import { makeConditions, type PolicyFacts } from "./conditions.ts";
import type { NodeFact } from "./equal-nodes.ts";
import { type Viewpoint, viewOf } from "./node-state.ts";
import type { FailingNodes, NewPolicyStatus, PolicyStatus } from "./policy-status.ts";
import { conditionOf } from "./policy-status.ts";
import { type NodeGroup, type NodeSummary, tally } from "./tally.ts";

/** Groups in the list of failing nodes, which is shortened further if the status would be too large. */
const MAX_GROUPS = 8;
/** With the metadata and the spec of a common policy, the object is smaller than 8 KiB. */
const MAX_STATUS_BYTES = 6 << 10;

/** The whole status except for the times of its conditions. */
export function aggregate(
  facts: PolicyFacts,
  nodes: Iterable<NodeFact>,
  view: Partial<Omit<Viewpoint, "wantedHash">> = {},
): NewPolicyStatus {
  const { wanted } = facts;
  const summary = tally(nodes, viewOf(wanted && shortSpecHash(wanted.hash), view));
  const { counts, lines } = summary;
  const status: NewPolicyStatus = {
    observedGeneration: facts.generation,
    ...(wanted && { specHash: wanted.hash }),
    nodesSummary: `${counts.attached + counts.partial}/${counts.total}`,
    ...(wanted && { hooksSummary: `${summary.fewestHooks}/${wanted.hookCount}` }),
    ...summary.activity,
    nodes: counts,
    ...(lines && lines.length > 0 && { nodeStates: lines }),
    conditions: makeConditions(facts, summary),
  };
  return withFailingNodes(status, failingNodes(summary));
}

/** Whether the policy was Ready with this spec when its status was last written. */
export function wasReady(status: PolicyStatus | undefined, hash: string | undefined): boolean {
  const ready = conditionOf(status?.conditions, "Ready");
  return status?.specHash !== undefined && status.specHash === hash && ready?.status === "True";
}

/** Adds as many groups as fit, the most serious first. */
function withFailingNodes(status: NewPolicyStatus, groups: readonly FailingNodes[]): NewPolicyStatus {
  if (groups.length === 0) return status;
  const { conditions, nodeStates, ...rest } = status;
  const full = { ...rest, failingNodes: [...groups], ...(nodeStates && { nodeStates }), conditions };
  return sizeOf(full) <= MAX_STATUS_BYTES ? full : withFailingNodes(status, groups.slice(0, -1));
}

function failingNodes({ failed, unavailable, absent }: NodeSummary): FailingNodes[] {
  return [...failed, ...unavailable, ...absent].slice(0, MAX_GROUPS).map(failingGroup);
}

function failingGroup({ nodes, count, state, reason, message }: NodeGroup): FailingNodes {
  return { nodes, count, state, reason, ...(message !== undefined && { message }) };
}

function sizeOf(status: NewPolicyStatus): number {
  return Buffer.byteLength(JSON.stringify(status));
}
