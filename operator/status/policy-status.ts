/** The status of a policy as it goes over the wire. */
import type { CONDITIONS, NodePolicyState, PolicyReason } from "../../crds/conditions.ts";

/** One fact about the policy; without its time until it is compared with what was there. */
export interface NewCondition {
  type: (typeof CONDITIONS)[keyof typeof CONDITIONS];
  status: "True" | "False" | "Unknown";
  reason: PolicyReason;
  message: string;
  observedGeneration: number;
}

/** A fact with the time of its last flip. */
export interface Condition extends NewCondition {
  lastTransitionTime: string;
}

/** State of a policy on a node as the operator sees it: a silent agent is a state, too. */
export type NodeState = NodePolicyState | "Unavailable";

/** How many nodes are in which state; those that the policy does not select stand beside the total. */
export interface NodeCounts {
  total: number;
  attached: number;
  partial: number;
  pending: number;
  failed: number;
  skipped: number;
  unavailable: number;
}

/** A node that needs someone's attention. */
export interface FailingNode {
  node: string;
  state: NodeState;
  reason?: string;
  message?: string;
}

/** A line of the complete list of small clusters. */
export interface NodeLine {
  node: string;
  state: NodeState;
  /** What runs there, if it is another spec than the wanted one. */
  attachedHash?: string;
  attach?: string;
}

/** What the operator has to say about a policy. */
export interface NewPolicyStatus {
  observedGeneration: number;
  specHash?: string;
  nodesSummary: string;
  hooksSummary?: string;
  nodes: NodeCounts;
  failingNodes?: FailingNode[];
  nodeStates?: NodeLine[];
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
