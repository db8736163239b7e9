/** Definitions of a policy that nothing in it names. */
import { selectorsOf } from "./probes/enforcers.ts";
import { child, type Problems } from "./problems.ts";
import type { PolicySpec } from "./types.ts";

/** Warns of macros that no selector names, and of lists that neither a call nor a value names. */
export function warnOfUnused(spec: PolicySpec, problems: Problems): void {
  const macros = new Set(selectorsOf(spec).flatMap(({ macros: names = [] }) => names));
  for (const name of Object.keys(spec.selectorsMacros ?? {})) {
    if (!macros.has(name))
      problems.warn(
        child("spec.selectorsMacros", name),
        "has no effect: no selector has it among its macros",
      );
  }
  const references = new Set(textsOf(spec));
  for (const [index, { name }] of (spec.lists ?? []).entries()) {
    if (!references.has(`list:${name}`))
      problems.warn(child("spec.lists", index), `has no effect: neither a call nor a value is list:${name}`);
  }
}

/** Every string of a value, however deep. */
function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
}
