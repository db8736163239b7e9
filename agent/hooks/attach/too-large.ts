/** What to leave out of a hook that is too large for a kernel's verifier. Pure. */
import type { HookDef } from "../../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../../crds/hook-spec-schema.ts";
import { countSearches } from "../config/comparisons.ts";
import type { Refusal } from "../hook-error.ts";

/** Names the filters that take most of the verifier's limit, if a program was too large and the hook has some. */
export function adviceOnSize(def: HookDef, refusals: readonly Refusal[]): string[] {
  const searches = countSearches(def);
  if (searches === 0 || !refusals.some(({ code }) => code === "E2BIG")) return [];
  const filters = `${searches} of its filters are with SubString, SubStringIgnCase or strings longer than ${HOOK_SPEC_LIMITS.pathBytes} bytes`;
  return [`the hook is too large for this kernel: ${filters}, which take most; use fewer of them`];
}
