/** Comparisons on hooks that the kernel runs before what they look for has changed. */
import { credHookOf } from "../../crds/cred-hooks.ts";
import type { FilterDef, HookDef } from "../../crds/hook-spec.ts";
import { bareName } from "../../crds/syscall-table.ts";
import type { Problems } from "../problems.ts";
import { CHANGE_CAPABILITIES, CHANGE_NAMESPACES, EXECS } from "./changing-calls.ts";

type Filter<M extends FilterDef["match"]> = Extract<FilterDef, { match: M }>;

/** Functions and LSM hooks on the way to new credentials, which they do not receive themselves. */
const BEFORE_CREDENTIALS: ReadonlySet<string> = new Set([
  "create_user_ns",
  "security_create_user_ns",
  "userns_create",
  "security_capset",
  "security_bprm_check",
  "bprm_check_security",
  "security_bprm_creds_for_exec",
  "bprm_creds_for_exec",
  "security_bprm_creds_from_file",
  "bprm_creds_from_file",
]);
/** Functions and LSM hooks on the way to new namespaces. */
const BEFORE_NAMESPACES: ReadonlySet<string> = new Set([
  "create_user_ns",
  "security_create_user_ns",
  "userns_create",
  "ksys_unshare",
  "unshare_userns",
  "unshare_nsproxy_namespaces",
  "create_new_namespaces",
  "switch_task_namespaces",
]);

/** Warns of selectors that see a change at the next hit only, or never, and names what sees it. */
export function warnOfEarlyComparisons(hook: HookDef, problems: Problems): void {
  for (const [index, { filters }] of hook.selectors.entries()) {
    const path = `${hook.path}.selectors[${index}]`;
    const capability = filters.find((filter) => filter.match === "capabilityChange");
    const instead = capability && capabilityRemedy(hook);
    if (instead) warn(`${path}.matchCapabilityChanges`, hook, instead, problems);
    const namespace = filters.find(
      (filter): filter is Filter<"namespaceChange"> => filter.match === "namespaceChange",
    );
    const other = namespace && namespaceRemedy(hook, namespace);
    if (other) warn(`${path}.matchNamespaceChanges`, hook, other, problems);
  }
  for (const [position, arg] of hook.args.entries()) {
    if (arg.resolve !== undefined && !arg.source) warnOfProgram(hook, arg.resolve, position, problems);
  }
}

function warn(path: string, hook: HookDef, instead: string, problems: Problems): void {
  problems.warn(
    path,
    `compares before ${shortName(hook)} makes the change, so it misses that change: ${instead}`,
  );
}

function capabilityRemedy(hook: HookDef): string | undefined {
  const syscall = syscallOf(hook);
  if (syscall !== undefined && EXECS.has(syscall)) return "hook commit_creds with matchCredChanges";
  if (syscall !== undefined) return CHANGE_CAPABILITIES.has(syscall) ? exitOf(syscall) : undefined;
  if (credHookOf(hook)) return "use matchCredChanges, which compares the old credentials with the new ones";
  return BEFORE_CREDENTIALS.has(hook.call) ? "hook commit_creds with matchCredChanges" : undefined;
}

function namespaceRemedy(hook: HookDef, { namespaces }: Filter<"namespaceChange">): string | undefined {
  const syscall = syscallOf(hook);
  if (syscall !== undefined) return CHANGE_NAMESPACES.has(syscall) ? exitOf(syscall) : undefined;
  if (BEFORE_NAMESPACES.has(hook.call)) return `${exitOf("unshare")} (and syscalls/sys_exit_setns)`;
  // The other namespaces of an unshare() are the new ones already when its credentials are installed.
  const onlyUser = namespaces.every((name) => name === "User");
  return onlyUser && credHookOf(hook) ? "use matchCredChanges with the field userNamespace" : undefined;
}

function exitOf(syscall: string): string {
  return `write the selector on the tracepoint syscalls/sys_exit_${syscall}, which runs after the call`;
}

/** Name of the system call at whose entry the hook runs. */
function syscallOf({ syscall, call, tracepoint }: HookDef): string | undefined {
  if (syscall) return bareName(call);
  if (tracepoint?.subsystem !== "syscalls") return undefined;
  return /^sys_enter_(\w+)$/.exec(tracepoint.event)?.[1];
}

function shortName(hook: HookDef): string {
  return syscallOf(hook) ?? hook.call;
}

const PROGRAM_HOOK =
  /^(?:security_)?(bprm_check|bprm_check_security|bprm_creds_for_exec|bprm_creds_from_file|bprm_committed_creds)$/;

/** Credentials of a linux_binprm are the caller's until the kernel has looked at the file. */
function warnOfProgram(hook: HookDef, resolve: string, position: number, problems: Problems): void {
  const stage = hook.syscall ? undefined : PROGRAM_HOOK.exec(hook.call)?.[1];
  const isOwn = /^cred\./.test(resolve);
  if (stage === undefined || !(isOwn || resolve === "secureexec")) return;
  const later = hook.section === "lsmhooks" ? "bprm_committing_creds" : "security_bprm_committing_creds";
  const path = `${hook.path}.args[${position}].resolve`;
  if (stage === "bprm_committed_creds") {
    if (isOwn)
      problems.warn(path, `is empty at ${hook.call}, which runs after they are installed: hook ${later}`);
  } else if (stage !== "bprm_creds_from_file" || /^cred\.(cap_|securebits)/.test(resolve) || !isOwn) {
    problems.warn(
      path,
      `is not yet set for the new program at ${hook.call}, where it is the caller's: hook ${later}`,
    );
  }
}
