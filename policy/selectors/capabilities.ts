/** Filters on the caller's capability sets: matchCapabilities, matchCapabilityChanges. */
import type { FilterDef } from "../../crds/hook-spec.ts";
import { child, type Problems } from "../problems.ts";
import type { CapabilityMatch } from "../types.ts";
import { parseCapability } from "../values/capabilities.ts";

const ALL_BITS = (1n << 64n) - 1n;

type CapabilityFilter = Extract<FilterDef, { match: "capability" | "capabilityChange" }>;

/** In: one of the capabilities is in the set; NotIn: none is. Several entries must all match. */
export function capabilityFilter(
  match: CapabilityMatch,
  path: string,
  problems: Problems,
): FilterDef | undefined {
  const mask = maskOf(match, path, problems);
  if (mask === undefined) return undefined;
  return { match: "capability", ...common(match, mask), negate: match.operator === "NotIn" };
}

/** NotIn is upstream's: a change of any capability that is not listed; the mask holds the ones that count. */
export function capabilityChangeFilter(
  match: CapabilityMatch,
  path: string,
  problems: Problems,
): FilterDef | undefined {
  const mask = maskOf(match, path, problems);
  if (mask === undefined) return undefined;
  const counting = match.operator === "NotIn" ? ALL_BITS & ~mask : mask;
  return { match: "capabilityChange", ...common(match, counting), negate: false };
}

function common(
  match: CapabilityMatch,
  mask: bigint,
): Pick<CapabilityFilter, "set" | "mask" | "inNamespace"> {
  return {
    set: match.type ?? "Effective",
    mask: String(mask),
    inNamespace: match.isNamespaceCapability ?? false,
  };
}

/** The bits of the values; undefined when one is wrong. */
function maskOf(match: CapabilityMatch, path: string, problems: Problems): bigint | undefined {
  if (match.values.length === 0)
    problems.error(`${path}.values`, "is empty: the filter needs at least one value");
  let mask: bigint | undefined = 0n;
  for (const [index, value] of match.values.entries()) {
    const capability = parseCapability(value);
    if ("error" in capability) {
      problems.error(child(`${path}.values`, index), capability.error);
      mask = undefined;
    } else if (mask !== undefined) mask |= 1n << BigInt(capability.value);
  }
  return mask === 0n ? undefined : mask;
}
