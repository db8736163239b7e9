/** The hooks of a policy: what each entry of a section stands for. */
import type { HookDef, HookSection } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import type { Problems } from "../problems.ts";
import type { PolicySpec } from "../types.ts";
import type { ProbeContext } from "./context.ts";
import { withEnforcers } from "./enforcers.ts";
import { compileFunction } from "./functions.ts";
import { compileLsmHook } from "./lsm.ts";
import { compileTracepoint } from "./tracepoints.ts";

/** Every hook of a section; a probe on a list makes one hook per entry. */
export function compileHooks(
  spec: PolicySpec,
  section: HookSection,
  { lists, enforcers }: Pick<ProbeContext, "lists" | "enforcers">,
  problems: Problems,
): HookDef[] {
  const macros = spec.selectorsMacros;
  const probes = (spec[section] ?? []).flatMap((_, index) => {
    const path = `spec.${section}[${index}]`;
    return compileEntry(spec, section, index, { section, path, lists, macros, enforcers, problems });
  });
  const hooks = withEnforcers(probes, enforcers, problems);
  if (hooks.length > HOOK_SPEC_LIMITS.hooks) {
    problems.error(
      `spec.${section}`,
      `makes ${hooks.length} hooks: at most ${HOOK_SPEC_LIMITS.hooks} are allowed`,
    );
  }
  return hooks;
}

function compileEntry(
  spec: PolicySpec,
  section: HookSection,
  index: number,
  context: ProbeContext,
): HookDef[] {
  if (section === "tracepoints") {
    const probe = spec.tracepoints?.[index];
    return probe ? compileTracepoint(probe, context) : [];
  }
  if (section === "lsmhooks") {
    const probe = spec.lsmhooks?.[index];
    return probe ? compileLsmHook(probe, context) : [];
  }
  const probe = spec[section]?.[index];
  return probe ? compileFunction(probe, context) : [];
}
