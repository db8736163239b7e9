/** The compiler: a policy becomes a hook spec, or errors with their place and the fix. Pure. */
import { HOOK_SPEC_VERSION, type HookDef, type HookSpec } from "../crds/hook-spec.ts";
import { encodeSpec } from "../crds/spec-config-map.ts";
import { compileNodeSelector } from "./node-selector.ts";
import { compileOptions, wantsDrift } from "./options.ts";
import type { ParsedPolicy } from "./parse.ts";
import { readEnforcers } from "./probes/enforcers.ts";
import { compileHooks } from "./probes/hooks.ts";
import { readLists } from "./probes/lists.ts";
import { type PolicyError, Problems } from "./problems.ts";
import { checkPolicy, refOf } from "./schema/check.ts";
import { compilePolicyScope } from "./scope.ts";
import { checkMacros } from "./selectors/parts.ts";
import { refuse } from "./support.ts";
import type { Policy, PolicySpec } from "./types.ts";
import { warnOfUnused } from "./unused.ts";
import { warnOfCallsOf32Bit } from "./warnings/calls-of-32-bit.ts";
import { warnAboutHook } from "./warnings/hooks.ts";

export type { PolicyError } from "./problems.ts";

/** A hook spec with its hash, or everything that keeps the policy from having one. */
export type CompileResult =
  | { ok: true; spec: HookSpec; hash: string; warnings: PolicyError[] }
  | { ok: false; errors: PolicyError[]; warnings: PolicyError[] };

/** Compiles a policy object as it came from the API server, or any other value; never throws. */
export function compilePolicy(object: unknown): CompileResult {
  const problems = new Problems();
  const policy = checkPolicy(object, "exact", problems);
  if (!policy) return { ok: false, errors: problems.errors, warnings: problems.warnings };
  return compileChecked(policy, problems);
}

/** Compiles a policy of a file; errors and warnings carry line and column. */
export function compileParsed({ object, place }: ParsedPolicy): CompileResult {
  const result = compileChecked(object, new Problems());
  const warnings = result.warnings.map(place);
  return result.ok ? { ...result, warnings } : { ok: false, errors: result.errors.map(place), warnings };
}

const SECTIONS = ["kprobes", "fentries", "tracepoints", "lsmhooks", "uprobes", "usdts"] as const;

function compileChecked(policy: Policy, problems: Problems): CompileResult {
  const { spec } = policy;
  refuseTopLevel(spec, problems);
  const options = compileOptions(spec, problems);
  checkMacros(spec.selectorsMacros, problems);
  const nodeSelector = compileNodeSelector(spec, problems);
  const scope = compilePolicyScope(policy, problems);
  const common = { ...(scope && { scope }), ...(wantsDrift(spec) && { drift: true as const }) };
  const hooks = compileSections(spec, problems).map((hook) => ({ ...hook, ...common }));
  for (const hook of hooks) warnAboutHook(hook, problems);
  warnOfCallsOf32Bit(hooks, problems);
  const { errors, warnings } = problems;
  if (errors.length > 0)
    return { ok: false, errors: withoutDoubles(errors), warnings: withoutDoubles(warnings) };
  warnOfUnused(spec, problems); // not beside an error, which may be the misspelt name
  const result: HookSpec = {
    version: HOOK_SPEC_VERSION,
    policy: refOf(policy),
    hooks,
    ...options,
    ...(nodeSelector ? { nodeSelector } : {}),
  };
  const encoded = encodeSpec(result);
  if (!encoded.ok) {
    const error = { path: "spec", message: encoded.message };
    return { ok: false, errors: [error], warnings: withoutDoubles(warnings) };
  }
  return { ok: true, spec: result, hash: encoded.hash, warnings: withoutDoubles(warnings) };
}

function compileSections(spec: PolicySpec, problems: Problems): HookDef[] {
  const used = SECTIONS.filter((section) => (spec[section]?.length ?? 0) > 0);
  const lists = readLists(spec, problems);
  const enforcers = readEnforcers(spec, lists, problems);
  const [first, second] = used;
  if (first === undefined) {
    problems.error("spec", `has no hooks: add kprobes, fentries, tracepoints or lsmhooks`);
    return [];
  }
  if (second !== undefined) {
    problems.error(
      `spec.${second}`,
      `a policy has one kind of probes, and spec.${first} is there: use two policies`,
    );
  }
  return used.flatMap((section) => {
    if (section !== "uprobes" && section !== "usdts")
      return compileHooks(spec, section, { lists, enforcers }, problems);
    refuse(section, `spec.${section}`, problems);
    return [];
  });
}

function refuseTopLevel(spec: PolicySpec, problems: Problems): void {
  if (spec.loader) refuse("loader", "spec.loader", problems);
}

/** A probe on a list is compiled once per entry and would report the same problem each time. */
function withoutDoubles(errors: PolicyError[]): PolicyError[] {
  return [...new Map(errors.map((error) => [`${error.path}\0${error.message}`, error])).values()];
}
