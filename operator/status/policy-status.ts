/** The status of a policy as the operator writes it. */

import type { CONDITIONS, NodePolicyState, PolicyReason } from "../../crds/conditions.ts";
import type { ClusterActivity } from "./activity.ts";

/** A condition of the policy, before it gets its time by comparison with the previous status. */
export interface NewCondition {
  type: (typeof CONDITIONS)[keyof typeof CONDITIONS];
  status: "True" | "False" | "Unknown";
  reason: PolicyReason;
  message: string;
  observedGeneration: number;
}

/** A condition with the time at which its status last changed. */
export interface Condition extends NewCondition {
  lastTransitionTime: string;
}

/** State of a policy on a node, as the operator sees it: an agent or a node that does not answer is a state, too. */
export type NodeState = NodePolicyState | "Unavailable" | "Absent";

/** Number of nodes per state; the total does not count nodes that the policy does not select. */
export interface NodeCounts {
  total: number;
  attached: number;
  partial: number;
  pending: number;
  failed: number;
  skipped: number;
  unavailable: number;
  absent: number;
}

/** Nodes that need attention for the same reason. */
export interface FailingNodes {
  /** The first of their names. */
  nodes: string[];
  count: number;
  state: NodeState;
  reason?: string;
  message?: string;
}

/** Nodes of the complete list, which small clusters have. */
export interface NodeStates {
  nodes: string[];
  state: NodeState;
  /** What runs there, if it is another spec than the wanted one. */
  attachedHash?: string;
  attach?: string;
}

/** The status without the times of its conditions. */
export interface NewPolicyStatus extends ClusterActivity {
  observedGeneration: number;
  specHash?: string;
  nodesSummary: string;
  hooksSummary?: string;
  nodes: NodeCounts;
  failingNodes?: FailingNodes[];
  nodeStates?: NodeStates[];
  conditions: NewCondition[];
}

/** The same with times, as written. */
export interface PolicyStatus extends Omit<NewPolicyStatus, "conditions"> {
  conditions: Condition[];
}

/** Finds a condition. */
export function conditionOf<C extends NewCondition>(
  conditions: readonly C[] | undefined,
  type: C["type"],
): C | undefined {
  return conditions?.find((condition) => condition.type === type);
}
