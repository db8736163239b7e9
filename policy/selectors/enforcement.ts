/** Actions that change what happens: Signal, Override. */
import type { ActionDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import type { Call } from "../probes/calls.ts";
import { reasonAgainstNotifying } from "../probes/enforcers.ts";
import type { Problems } from "../problems.ts";
import type { Action } from "../types.ts";
import type { SelectorScope } from "./scope.ts";

const SIGNALS = 64;
const SIGKILL = 9;
const MOST = HOOK_SPEC_LIMITS.error;

/** LSM hooks, and functions without security_, that return no result. */
const RETURNS_NOTHING: ReadonlySet<string> = new Set([
  "bprm_committing_creds",
  "bprm_committed_creds",
  "cred_free",
  "cred_getsecid",
  "cred_transfer",
  "current_getsecid_subj",
  "d_instantiate",
  "inode_free_security",
  "inode_getsecid",
  "task_free",
  "task_getsecid_obj",
  "task_to_inode",
]);

/** LSM hooks, and functions without security_, whose callers know a positive result; those of the others may crash. */
const RETURNS_POSITIVE: ReadonlySet<string> = new Set([
  "audit_rule_known",
  "audit_rule_match",
  "inode_copy_up_xattr",
  "inode_need_killpriv",
  "inode_xattr_skipcap",
  "ismaclabel",
  "task_prctl",
  "xfrm_state_pol_flow_match",
]);

/** LSM hooks that answer 0 or 1: of these alone kernels take a positive result from 6.12 on. */
const ANSWERS_BOOLEAN: ReadonlySet<string> = new Set(["audit_rule_known", "inode_xattr_skipcap"]);

/** Signal with its number. */
export function signalAction(action: Action, path: string, problems: Problems): ActionDef | undefined {
  const signal = action.argSig;
  if (signal !== undefined && signal >= 1 && signal <= SIGNALS) return { action: "Signal", signal };
  const found = signal === undefined ? "is missing" : `is ${signal}`;
  problems.error(`${path}.argSig`, `${found}: must be the number of a signal, 1 to ${SIGNALS}`);
  return undefined;
}

/** Override with what the call returns instead, where the hook can be overridden; with 0 nodes would make the call. */
export function overrideAction(
  action: Action,
  path: string,
  atReturn: boolean,
  scope: SelectorScope,
  problems: Problems,
): ActionDef | undefined {
  for (const reason of reasonsAgainst(atReturn, scope)) problems.error(`${path}.action`, reason);
  const error = action.argError;
  const highest = scope.calls.some(({ syscall }) => syscall) ? -1 : MOST;
  if (error === undefined || error === 0 || error < -MOST || error > highest) {
    const found = error === undefined ? "is missing" : `is ${error}`;
    problems.error(`${path}.argError`, `${found}: ${rightResult(highest)}`);
    return undefined;
  }
  if (error > 0) {
    for (const call of scope.calls) warnOfPositive(error, call, `${path}.argError`, problems);
  }
  return { action: "Override", error };
}

/** What the enforcers of this hook's calls do: the selector does it itself, or a hook that is made from it. */
export function notifyActions(
  action: Action,
  path: string,
  atReturn: boolean,
  scope: SelectorScope,
  problems: Problems,
): ActionDef[] {
  const { section, calls, enforcers } = scope;
  const reason = atReturn
    ? "NotifyEnforcer does not fit matchReturnActions: the function has run already"
    : reasonAgainstNotifying(section, calls, enforcers);
  if (reason !== undefined) problems.error(`${path}.action`, reason);
  else if (!action.argError && !action.argSig)
    problems.error(
      path,
      "needs argError, argSig or both: the error that the call returns, a signal to the caller",
    );
  if (reason !== undefined) return [];
  const acting = { ...scope, section: "kprobes" as const, calls: enforcers.calls };
  const actions = [
    action.argError ? overrideAction(action, path, false, acting, problems) : undefined,
    action.argSig ? signalOrKill(action, path, problems) : undefined,
  ].filter((each) => each !== undefined);
  if (section === "tracepoints") for (const each of actions) enforcers.notifications.add(each);
  return actions;
}

function signalOrKill(action: Action, path: string, problems: Problems): ActionDef | undefined {
  return action.argSig === SIGKILL ? { action: "Sigkill" } : signalAction(action, path, problems);
}

function rightResult(highest: number): string {
  const negative = `must be the negative number of an error, ${-MOST} to -1, for example -1 (EPERM)`;
  return highest > 0 ? `${negative}, or a positive result, 1 to ${highest}` : negative;
}

function warnOfPositive(error: number, { name, lsm }: Call, path: string, problems: Problems): void {
  const hook = name.replace(/^security_/, "");
  if (!RETURNS_POSITIVE.has(hook)) {
    problems.warn(
      path,
      `is ${error}: callers of ${name} expect 0 or a negative error, and the kernel may crash: write one, for example -1 (EPERM)`,
    );
  } else if (lsm && !(ANSWERS_BOOLEAN.has(hook) && error === 1)) {
    problems.warn(
      path,
      `is ${error}: kernels from 6.12 on refuse it of the LSM hook ${name}: write security_${name} under kprobes`,
    );
  }
}

function reasonsAgainst(atReturn: boolean, scope: SelectorScope): string[] {
  if (atReturn) return ["Override does not fit matchReturnActions: the function has run already"];
  if (scope.section === "fentries") return ["Override does not fit fentries: write the hook under kprobes"];
  if (scope.section === "tracepoints") return ["Override does not fit tracepoints, which only report"];
  return scope.calls.flatMap((call) => reasonOfCall(call) ?? []);
}

function reasonOfCall({ name, syscall, lsm }: Call): string | undefined {
  if (syscall) return undefined;
  if (!lsm && !name.startsWith("security_")) {
    return `Override fits system calls, security_ functions and LSM hooks only, not ${name}`;
  }
  const hook = name.replace(/^security_/, "");
  return RETURNS_NOTHING.has(hook) ? `Override does not fit ${name}, which returns nothing` : undefined;
}
