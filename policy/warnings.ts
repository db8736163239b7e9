/** What is allowed and rarely meant. */
import type { HookDef, SelectorDef } from "../crds/hook-spec.ts";
import type { Problems } from "./problems.ts";

/** Functions that became inline in a kernel version, so that nothing can be attached to them any more. */
const GONE: Record<string, string> = { override_creds: "6.14", revert_creds: "6.14" };

/** Tracepoints that every system call of the node passes. */
const EVERY_SYSCALL: readonly string[] = ["raw_syscalls/sys_enter", "raw_syscalls/sys_exit"];

/** Warnings about a compiled hook. */
export function warnAboutHook(hook: HookDef, problems: Problems): void {
  const call = `${hook.path}.call`;
  if (hook.call === "commit_creds" && !isQuiet(hook)) {
    problems.warn(
      call,
      "commit_creds runs at every exec, also when no credential changes: add matchCredChanges, or a rateLimit to Post",
    );
  }
  if (EVERY_SYSCALL.includes(hook.call)) {
    problems.warn(
      `${hook.path}.event`,
      `${hook.call} costs time in every system call of the node: hook the system calls that matter`,
    );
  }
  const version = Object.hasOwn(GONE, hook.call) ? GONE[hook.call] : undefined;
  if (version !== undefined && !hook.ignoreCallNotFound) {
    const otherwise = "the policy fails there unless ignore.callNotFound is true";
    problems.warn(call, `${hook.call} does not exist in kernels from ${version} on: ${otherwise}`);
  }
}

/** True when no selector posts whatever comes. */
function isQuiet(hook: HookDef): boolean {
  return hook.selectors.length > 0 && hook.selectors.every((selector) => isQuietSelector(selector));
}

function isQuietSelector({ filters, actions }: SelectorDef): boolean {
  if (filters.some(({ match }) => match === "credChange")) return true;
  return actions.some((action) =>
    action.action === "Post" ? action.rateLimit !== undefined : action.action === "NoPost",
  );
}
