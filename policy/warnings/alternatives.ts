/** Selectors are alternatives: two that each leave something out leave out nothing together. */
import type { HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import type { Problems } from "../problems.ts";
import { type AnyFilter, excludeEachOther } from "./contradictions.ts";

/** Warns of the first two selectors that have one NotIn or NotEqual each and so match everything. */
export function warnOfAlternatives(hook: HookDef, problems: Problems): void {
  const excluding = hook.selectors.flatMap((selector, index) => {
    const filter = onlyFilter(selector);
    return filter && "negate" in filter && filter.negate ? [{ index, leftOut: turned(filter) }] : [];
  });
  for (const [n, one] of excluding.entries()) {
    const other = excluding.slice(n + 1).find(({ leftOut }) => areApart(hook, one.leftOut, leftOut));
    if (other === undefined) continue;
    const which = `selectors[${one.index}] and selectors[${other.index}]`;
    const right = "put the values of both into one filter, or both filters into one selector";
    problems.warn(
      `${hook.path}.selectors`,
      `${which} each match what the other one leaves out, so every call is matched: ${right}`,
    );
    return;
  }
}

function onlyFilter({ filters, returnFilters = [], scope }: SelectorDef): AnyFilter | undefined {
  const all = [...filters, ...returnFilters];
  return all.length === 1 && scope === undefined ? all[0] : undefined;
}

/** The filter that matches what this one leaves out. */
function turned<F extends AnyFilter & { negate: boolean }>(filter: F): F {
  return { ...filter, negate: !filter.negate };
}

function areApart(hook: HookDef, one: AnyFilter, other: AnyFilter): boolean {
  if (one.match !== "binary" || other.match !== "binary") return excludeEachOther(hook, [one, other]);
  const isSameProcess =
    (one.of ?? "self") === (other.of ?? "self") && !one.followChildren && !other.followChildren;
  const isWhole = one.compare === "equal" && other.compare === "equal";
  return isSameProcess && isWhole && !one.values.some((path) => other.values.includes(path));
}
