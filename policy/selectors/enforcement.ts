/** Actions that change what happens: Signal, Override. */
import type { ActionDef } from "../../crds/hook-spec.ts";
import type { Call } from "../calls.ts";
import type { Problems } from "../problems.ts";
import type { Action } from "../types.ts";
import type { SelectorScope } from "./scope.ts";

const SIGNALS = 64;
const LOWEST_ERROR = -4095;

/** LSM hooks, and functions without security_, whose result nobody looks at: they return nothing. */
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

/** Signal with its number. */
export function signalAction(action: Action, path: string, problems: Problems): ActionDef | undefined {
  const signal = action.argSig;
  if (signal !== undefined && signal >= 1 && signal <= SIGNALS) return { action: "Signal", signal };
  const found = signal === undefined ? "is missing" : `is ${signal}`;
  problems.error(`${path}.argSig`, `${found}: must be the number of a signal, 1 to ${SIGNALS}`);
  return undefined;
}

/** Override with its error, where the hook can be overridden; with 0 nodes would make the call. */
export function overrideAction(
  action: Action,
  path: string,
  atReturn: boolean,
  scope: SelectorScope,
  problems: Problems,
): ActionDef | undefined {
  for (const reason of reasonsAgainst(atReturn, scope)) problems.error(`${path}.action`, reason);
  const error = action.argError;
  if (error !== undefined && error >= LOWEST_ERROR && error < 0) return { action: "Override", error };
  const found = error === undefined ? "is missing" : `is ${error}`;
  const right = `must be the negative number of an error, ${LOWEST_ERROR} to -1, for example -1 (EPERM)`;
  problems.error(`${path}.argError`, `${found}: ${right}`);
  return undefined;
}

function reasonsAgainst(atReturn: boolean, scope: SelectorScope): string[] {
  if (atReturn) return ["Override does not fit matchReturnActions: the function has run already"];
  if (scope.section === "fentries") return ["Override does not fit fentries: write the hook under kprobes"];
  if (scope.section === "tracepoints") return ["Override does not fit tracepoints, which only report"];
  if (scope.returnArg) {
    return ["Override does not fit return: true: a function that is not run returns nothing to report"];
  }
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
