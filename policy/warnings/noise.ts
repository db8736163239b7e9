/** Hooks that cost much or report much, and functions that newer kernels lack. */
import type { HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import type { Problems } from "../problems.ts";

/**
 * Functions that became inline in a kernel version, so that nothing can be attached to them any more. Where one is
 * gone the other hooks of its policy run, and the policy's status reports what is missing.
 */
const GONE: Record<string, string> = { override_creds: "6.14", revert_creds: "6.14" };

/** Tracepoints that every system call of the node passes. */
const EVERY_SYSCALL: readonly string[] = ["raw_syscalls/sys_enter", "raw_syscalls/sys_exit"];

/** Whether a function may be missing because newer kernels no longer have it. */
export function isGone(call: string): boolean {
  return Object.hasOwn(GONE, call);
}

/** The warning about such a function. */
export function warnOfGone(call: string, path: string, problems: Problems): void {
  const there = "there the policy runs without this hook, and its status reports it";
  problems.warn(path, `${call} does not exist in kernels from ${GONE[call]} on: ${there}`);
}

/** Warns of hooks that run far more often than the policy needs. */
export function warnOfNoise(hook: HookDef, problems: Problems): void {
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
}

/** Warns of a hook of which nothing is seen but its counts. */
export function warnOfSilence({ path, selectors, drift }: HookDef, problems: Problems): void {
  const isSilent = ({ actions, returnActions = [] }: SelectorDef) =>
    actions.some(({ action }) => action === "NoPost") &&
    [...actions, ...returnActions].every(({ action }) => action === "NoPost");
  if (drift || selectors.length === 0 || !selectors.every(isSilent)) return;
  const right = "leave NoPost out of the selector whose hits are wanted";
  problems.warn(`${path}.selectors`, `post nothing and do nothing, so hits are only counted: ${right}`);
}

const CHANGES = ["credChange", "capabilityChange", "namespaceChange"];

/** True when no selector posts whatever comes. */
function isQuiet(hook: HookDef): boolean {
  return hook.selectors.length > 0 && hook.selectors.every((selector) => isQuietSelector(selector));
}

function isQuietSelector({ filters, returnFilters = [], actions }: SelectorDef): boolean {
  if ([...filters, ...returnFilters].some(({ match }) => CHANGES.includes(match))) return true;
  return actions.some((action) =>
    action.action === "Post" ? action.rateLimit !== undefined : action.action === "NoPost",
  );
}
