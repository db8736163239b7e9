/** Hooks that receive new credentials: where the new and the old ones stand among their parameters, what can change. */
import type { HookDef } from "./hook-spec.ts";

/** Where a hook has its credentials. */
export interface CredHook {
  /** Parameter with the new ones; newOfBprm: the parameter is a linux_binprm and its `cred` member has them. */
  new: number | { newOfBprm: number };
  /** Parameter with the old ones; current: those of the task, which it has until the function is done. */
  old: number | "current";
}

const NEW_AND_OLD: CredHook = { new: 0, old: 1 };
const OF_PROGRAM: CredHook = { new: { newOfBprm: 0 }, old: "current" };

/** Kernel functions. security_capset is none of them: who it calls fills in the new ones. */
const CRED_FUNCTIONS: Readonly<Record<string, CredHook>> = {
  commit_creds: { new: 0, old: "current" },
  override_creds: { new: 0, old: "current" },
  security_task_fix_setuid: NEW_AND_OLD,
  security_task_fix_setgid: NEW_AND_OLD,
  security_task_fix_setgroups: NEW_AND_OLD,
  security_bprm_committing_creds: OF_PROGRAM,
};

/** Hooks of the Linux Security Modules. */
const CRED_LSM_HOOKS: Readonly<Record<string, CredHook>> = {
  capset: NEW_AND_OLD,
  task_fix_setuid: NEW_AND_OLD,
  task_fix_setgid: NEW_AND_OLD,
  task_fix_setgroups: NEW_AND_OLD,
  bprm_committing_creds: OF_PROGRAM,
};

/** Where a hook has its credentials; undefined for a hook that receives none. */
export function credHookOf(hook: Pick<HookDef, "section" | "call" | "syscall">): CredHook | undefined {
  if (hook.section === "tracepoints" || hook.syscall) return undefined;
  const table = hook.section === "lsmhooks" ? CRED_LSM_HOOKS : CRED_FUNCTIONS;
  return Object.hasOwn(table, hook.call) ? table[hook.call] : undefined;
}

/** Names of the hooks of a section that receive new credentials. */
export function credHookNames(section: HookDef["section"]): string[] {
  if (section === "tracepoints") return [];
  return Object.keys(section === "lsmhooks" ? CRED_LSM_HOOKS : CRED_FUNCTIONS);
}
