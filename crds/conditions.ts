/** Types and reasons of conditions: the enum values of every status. Reasons are UpperCamelCase and never change. */

/** Conditions on a policy, kstatus conventions: Ready always, Reconciling and Stalled while they are true. */
export const CONDITIONS = {
  /** Every node that can run the policy has every hook attached, and not too many nodes are absent. */
  ready: "Ready",
  /** The newest generation has been accepted and is still rolling out. */
  reconciling: "Reconciling",
  /** Only a change by the user can help: the policy is invalid, or every node refuses it for a lasting reason. */
  stalled: "Stalled",
} as const;

/** Reasons on a policy's conditions. */
export type PolicyReason =
  /** Every hook is attached on every node. */
  | "Attached"
  /** Some hooks are skipped on some nodes because the policy allows it (ignore.callNotFound). */
  | "PartiallyAttached"
  /** Nodes have not reported the newest spec yet. */
  | "RollingOut"
  /** The policy does not compile; the message has the field paths. */
  | "InvalidSpec"
  /** A node could not attach a hook. */
  | "AttachFailed"
  /** A hook's function or syscall does not exist in a node's kernel. */
  | "FunctionNotFound"
  /** A node's kernel lacks something that the policy needs. */
  | "KernelUnsupported"
  /** A node should run the policy and its agent does not answer. */
  | "AgentUnavailable"
  /** More nodes than are tolerated cannot run anything: they are not ready, or their agent starts. */
  | "NodesAbsent"
  /** No agent is known yet. */
  | "NoNodes"
  /** The hook spec could not be written to the API, or does not stay as it was written. */
  | "DistributionFailed"
  /** Agents cannot report what they run: the CustomResourceDefinition of TracingNodes is not installed. */
  | "ReportsMissing"
  /** The policy is deleted and runs nowhere any more; its finalizers keep the object. */
  | "Terminating";

/** State of one policy on one node. */
export type NodePolicyState =
  /** Every hook of the wanted spec is attached. */
  | "Attached"
  /** Attached except for optional hooks (ignore.callNotFound). */
  | "PartiallyAttached"
  /** The wanted spec is being attached. */
  | "Pending"
  /** The wanted spec does not attach; the last good one, if any, still runs (see attachedHash). */
  | "Failed"
  /** The policy's nodeSelector excludes this node. */
  | "Skipped";

/** State of one hook on one node. */
export type HookState = "Attached" | "NotFound" | "Failed" | "Skipped";

/** How a hook is attached. */
export type AttachKind =
  | "fentry"
  | "fexit"
  | "kprobe"
  | "kretprobe"
  | "kprobe.multi"
  | "tracepoint"
  | "raw_tracepoint"
  /** A raw tracepoint whose parameters have types. */
  | "tp_btf"
  /** Before a function, which it can keep from being called. */
  | "fmod_ret"
  | "lsm";

/** Why a hook is not attached, or not by the first choice. */
export type HookReason =
  | "FunctionNotFound"
  | "KernelUnsupported"
  | "VerifierRejected"
  | "AttachFailed"
  | "InvalidArgument";
