/** Everything that is allowed and rarely meant, about one compiled hook. */
import type { HookDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import type { Problems } from "../problems.ts";
import { warnOfAlternatives } from "./alternatives.ts";
import { warnOfContradictions } from "./contradictions.ts";
import { warnOfNoise, warnOfSilence } from "./noise.ts";
import { warnOfOverriddenCalls } from "./overridden-calls.ts";
import { warnOfEarlyComparisons } from "./too-early.ts";
import { warnOfLateSignals } from "./too-late.ts";

/** Adds the warnings of a hook. */
export function warnAboutHook(hook: HookDef, problems: Problems): void {
  warnOfNoise(hook, problems);
  warnOfSilence(hook, problems);
  warnOfEarlyComparisons(hook, problems);
  warnOfLateSignals(hook, problems);
  // Too many selectors are an error, and comparing all with each other would take long.
  if (hook.selectors.length <= HOOK_SPEC_LIMITS.selectors) {
    warnOfContradictions(hook, problems);
    warnOfAlternatives(hook, problems);
  }
  warnOfOverriddenCalls(hook, problems);
}
