/** What one node's report means for one wanted spec. Pure. */
import type { PolicyReason } from "../../crds/conditions.ts";
import type { NodeFact } from "./node-index.ts";
import type { NodeState } from "./policy-status.ts";

/** State of the wanted spec on a node, with why. */
export interface StateOnNode {
  state: NodeState;
  /** Word for the policy's Ready condition. */
  reason: PolicyReason;
  message?: string;
}

/** Reasons of an agent that are shown as they are; every other one is an AttachFailed with its message. */
const PASSED_ON = new Set<string>(["FunctionNotFound", "KernelUnsupported"] satisfies PolicyReason[]);

/**
 * A report about another spec than the wanted one says nothing about it. An agent that is not ready and has reported
 * the wanted spec before is a failure; one that has not may still be starting.
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
