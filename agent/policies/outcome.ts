/** The outcome of one policy on this node. Pure. */
import type { HookReason, NodePolicyState } from "../../crds/conditions.ts";
import type { HookDef } from "../../crds/hook-spec.ts";
import type { PolicyRef } from "../../crds/names.ts";
import type { HookStatus } from "../hooks/engine.ts";

/** Why a policy is not fully attached: the reason of a hook, or one of the policy itself. */
export type OutcomeReason =
  | HookReason
  /** The hook spec of the policy is missing, damaged or of another version. */
  | "SpecUnusable"
  /** Another source of this agent gives the same policy. */
  | "DuplicatePolicy"
  /** Its hooks are being attached, or wait for those of other policies. */
  | "Attaching"
  /** A client of the agent's API has disabled the policy on this node. */
  | "Disabled"
  /** The policy's nodeSelector excludes the node. */
  | "NodeNotSelected"
  /** The policy has a nodeSelector and the node's labels are not known. */
  | "NodeLabelsUnknown"
  /** The node is selected, and the agent is reading the spec. */
  | "SpecUnread";

/** State of a policy on this node; the source of its entry in the TracingNode. */
export interface PolicyOutcome {
  ref: PolicyRef;
  /** Hash of the wanted spec. */
  specHash: string;
  /** Hash of the running spec; absent when none runs. */
  attachedHash?: string;
  state: NodePolicyState;
  reason?: OutcomeReason;
  message?: string;
  /** The hooks of the wanted spec, in its order. */
  hooks: HookStatus[];
}

/** The part of an outcome that follows from the statuses of a spec's hooks. */
export type Verdict = Pick<PolicyOutcome, "state" | "reason" | "message">;

const LISTED_HOOKS = 3;

/** A missing optional hook makes the policy partially attached. Any other hook that is not attached makes it fail. */
export function judgeHooks(defs: readonly HookDef[], statuses: readonly HookStatus[]): Verdict {
  const missing = statuses.filter((status) => status.state !== "Attached");
  const failed = missing.filter((status) => !isMissingOptional(defs[statuses.indexOf(status)], status));
  const first = failed[0] ?? missing[0];
  if (!first) return { state: "Attached" };
  const count = `${missing.length} of ${statuses.length} hooks`;
  return failed.length > 0
    ? { state: "Failed", reason: first.reason ?? "AttachFailed", message: describeHooks(failed) }
    : {
        state: "PartiallyAttached",
        reason: first.reason ?? "FunctionNotFound",
        message: `${count} skipped: ${describeHooks(missing)}`,
      };
}

function isMissingOptional(def: HookDef | undefined, status: HookStatus): boolean {
  const absent = status.state === "NotFound" || status.state === "Skipped";
  return absent && def?.ignoreCallNotFound === true;
}

function describeHooks(hooks: readonly HookStatus[]): string {
  const listed = hooks
    .slice(0, LISTED_HOOKS)
    .map((hook) => `${hook.path} ${hook.call}: ${hook.message ?? hook.state}`);
  const rest = hooks.length - listed.length;
  return rest > 0 ? `${listed.join("; ")}; and ${rest} more` : listed.join("; ");
}

/** True if a retry with the same spec may succeed, because the kernel only lacked resources or was busy. */
export function isTransient(statuses: readonly HookStatus[]): boolean {
  return statuses.some(({ state, refusals }) => state === "Failed" && refusals?.some((one) => one.transient));
}
