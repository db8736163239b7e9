/** Selectors and filters as policies of one hook make them, and as tests expect them. */
import type { FilterDef, SelectorDef } from "../../crds/hook-spec.ts";
import { errorsOf, hooksOf, type Loose, makeSelectorPolicy } from "./policies.ts";

const AT = "spec.kprobes[0].selectors[0]";
/** Its arguments may have any type. */
const KERNEL_ARGS = { call: "some_function", syscall: false };

/** The one selector of a policy of one hook. */
export function selectorOf(selector: Loose, probe: Loose = {}): SelectorDef {
  const found = hooksOf(makeSelectorPolicy(selector, probe))[0]?.selectors[0];
  if (!found) throw new Error("no selector");
  return found;
}

/** The filter that an entry of matchArgs on one argument makes, or its errors. */
export function argFilter(type: string, operator: string, values: string[]): FilterDef | string[] {
  const probe = { ...KERNEL_ARGS, args: [{ index: 0, type }] };
  const policy = makeSelectorPolicy({ matchArgs: [{ index: 0, operator, values }] }, probe);
  const errors = errorsOf(policy);
  if (errors.length > 0) return errors.map((error) => error.replace(`${AT}.matchArgs[0].`, ""));
  const filter = hooksOf(policy)[0]?.selectors[0]?.filters[0];
  if (!filter) throw new Error("no filter");
  return filter;
}

export const ranges = (...list: [string, string][]) => ({
  match: "arg",
  arg: 0,
  negate: false,
  compare: "range",
  ranges: list,
});
export const notRanges = (...list: [string, string][]) => ({ ...ranges(...list), negate: true });
export const masks = (bits: string) => ({
  match: "arg",
  arg: 0,
  negate: false,
  compare: "mask",
  masks: [bits],
});
