/** The state of one wanted spec on one node, from the node's report. Pure. */
import type { PolicyReason } from "../../crds/conditions.ts";
import type { NodeFact } from "./equal-nodes.ts";
import type { NodeEntry } from "./node-report.ts";
import { DEFAULT_PATIENCE, isRestarting, isStuck, type Patience } from "./patience.ts";
import type { NodeState } from "./policy-status.ts";

/** State of the wanted spec on a node, with the reason. */
export interface StateOnNode {
  state: NodeState;
  /** Reason for the policy's Ready condition. */
  reason: PolicyReason;
  message?: string;
  /** False if only another spec can help. */
  mayPass: boolean;
}

/** What the states of all nodes are judged by. */
export interface Viewpoint {
  /** Short, as in reports. */
  wantedHash: string | undefined;
  /** Whether the policy has been Ready with this spec: then a node that joins is absent, and not waited for. */
  wasReady: boolean;
  now: number;
  patience: Patience;
}

/** The view on a spec that has not been Ready. */
export function viewOf(wantedHash: string | undefined, changes: Partial<Viewpoint> = {}): Viewpoint {
  return { wantedHash, wasReady: false, now: 0, patience: DEFAULT_PATIENCE, ...changes };
}

/** Reasons of an agent that become the policy's reason. Every other one is shown as AttachFailed, with its message. */
const PASSED_ON = new Set<string>(["FunctionNotFound", "KernelUnsupported"] satisfies PolicyReason[]);
/** The operator writes the ConfigMap again. */
const MENDED = new Set(["SpecUnusable"]);

/**
 * A report about another spec is ignored. An agent that restarts counts as it did before, for a while. Afterwards, or
 * if it had not reported the wanted spec, its health decides.
 */
export function stateOnNode(node: NodeFact, view: Viewpoint): StateOnNode {
  const entry = node.entry?.specHash === view.wantedHash ? node.entry : undefined;
  if (entry !== undefined && countsAsReported(node, entry, view)) return reportedState(entry);
  return silentState(node, entry, view);
}

/** Whether what the node reported about the wanted spec still holds. */
function countsAsReported({ agent }: NodeFact, entry: NodeEntry, { now, patience }: Viewpoint): boolean {
  return agent.state === "ready" || entry.state === "Skipped" || isRestarting(agent, now, patience);
}

function silentState(node: NodeFact, entry: NodeEntry | undefined, view: Viewpoint): StateOnNode {
  const { state, message } = node.agent;
  if (state === "ready") return pending(message ?? "not reported yet");
  if (state === "absent") return silent("Absent", "NodesAbsent", message);
  if (state === "unavailable") return silent("Unavailable", "AgentUnavailable", message);
  if (isStuck(node.agent, view.now, view.patience)) {
    const minutes = Math.round(view.patience.startMs / 60_000);
    return silent(
      "Unavailable",
      "AgentUnavailable",
      `${message ?? "agent pod"} for more than ${minutes} minutes`,
    );
  }
  if (entry === undefined && !view.wasReady) return pending(message ?? "its agent starts");
  return silent("Absent", "NodesAbsent", message);
}

function reportedState(entry: NodeEntry): StateOnNode {
  const message = messageOf(entry.message);
  switch (entry.state) {
    case "Attached":
    case "Skipped":
      return { state: entry.state, reason: "Attached", mayPass: true, ...message };
    case "PartiallyAttached":
      return { state: entry.state, reason: "PartiallyAttached", mayPass: true, ...message };
    case "Pending":
      return pending(entry.message ?? "attaching");
    case "Failed":
      return {
        state: "Failed",
        reason: failureReason(entry.reason),
        mayPass: entry.retrying === true || MENDED.has(entry.reason ?? ""),
        ...messageOf(entry.message ?? entry.reason),
      };
  }
}

function pending(message: string): StateOnNode {
  return { state: "Pending", reason: "RollingOut", mayPass: true, message };
}

function silent(state: NodeState, reason: PolicyReason, message: string | undefined): StateOnNode {
  return { state, reason, mayPass: true, ...messageOf(message) };
}

function failureReason(reason: string | undefined): PolicyReason {
  return reason !== undefined && PASSED_ON.has(reason) ? (reason as PolicyReason) : "AttachFailed";
}

function messageOf(message: string | undefined): { message?: string } {
  return message === undefined ? {} : { message };
}
