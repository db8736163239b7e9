/** What is allowed and rarely meant. */
import type { HookDef } from "../crds/hook-spec.ts";
import type { Problems } from "./problems.ts";

/** Functions that became inline in a kernel version, so that nothing can be attached to them any more. */
const GONE: Record<string, string> = { override_creds: "6.14", revert_creds: "6.14" };

/** Warnings about a compiled hook. */
export function warnAboutHook(hook: HookDef, problems: Problems): void {
  const call = `${hook.path}.call`;
  if (hook.call === "commit_creds" && !isRateLimited(hook)) {
    problems.warn(
      call,
      "commit_creds runs at every exec, also when no credential changes: add a rateLimit to Post",
    );
  }
  const version = Object.hasOwn(GONE, hook.call) ? GONE[hook.call] : undefined;
  if (version !== undefined && !hook.ignoreCallNotFound) {
    const otherwise = "the policy fails there unless ignore.callNotFound is true";
    problems.warn(call, `${hook.call} does not exist in kernels from ${version} on: ${otherwise}`);
  }
}

/** True when no selector posts without a limit. */
function isRateLimited(hook: HookDef): boolean {
  return (
    hook.selectors.length > 0 &&
    hook.selectors.every(({ actions }) =>
      actions.some(
        (action) =>
          action.action === "NoPost" || (action.action === "Post" && action.rateLimit !== undefined),
      ),
    )
  );
}
