/** The state of one wanted spec on one node, from the node's report. Pure. */
import type { PolicyReason } from "../../crds/conditions.ts";
import type { NodeFact } from "./node-index.ts";
import type { NodeState } from "./policy-status.ts";

/** State of the wanted spec on a node, with the reason. */
export interface StateOnNode {
  state: NodeState;
  /** Reason for the policy's Ready condition. */
  reason: PolicyReason;
  message?: string;
}

/** Reasons of an agent that become the policy's reason. Every other one is shown as AttachFailed, with its message. */
const PASSED_ON = new Set<string>(["FunctionNotFound", "KernelUnsupported"] satisfies PolicyReason[]);

/**
 * A report about another spec is ignored. An agent that is not ready is a failure if it has reported the wanted spec
 * before; if it has not, it may still be starting.
 */
export function stateOnNode(node: NodeFact, wantedHash: string | undefined): StateOnNode {
  const entry = node.entry?.specHash === wantedHash ? node.entry : undefined;
  const isSilent =
    node.agent.state === "unavailable" || (node.agent.state === "starting" && entry !== undefined);
  if (isSilent) return { state: "Unavailable", reason: "AgentUnavailable", ...messageOf(node.agent.message) };
  if (entry === undefined) {
    return { state: "Pending", reason: "RollingOut", ...messageOf(node.agent.message ?? "not reported yet") };
  }
  switch (entry.state) {
    case "Attached":
    case "Skipped":
      return { state: entry.state, reason: "Attached", ...messageOf(entry.message) };
    case "PartiallyAttached":
      return { state: entry.state, reason: "PartiallyAttached", ...messageOf(entry.message) };
    case "Pending":
      return { state: "Pending", reason: "RollingOut", ...messageOf(entry.message ?? "attaching") };
    case "Failed":
      return {
        state: "Failed",
        reason: failureReason(entry.reason),
        ...messageOf(entry.message ?? entry.reason),
      };
  }
}

function failureReason(reason: string | undefined): PolicyReason {
  return reason !== undefined && PASSED_ON.has(reason) ? (reason as PolicyReason) : "AttachFailed";
}

function messageOf(message: string | undefined): { message?: string } {
  return message === undefined ? {} : { message };
}
