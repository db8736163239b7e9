/** Encodes how a filter compares: part of struct filter_config, and the sets of values that it refers to. Pure. */
import type { Decimal, ExpressionStep, HookDef, Range, TextComparison } from "../../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../../crds/hook-spec-schema.ts";
import type { AutomatonTables } from "./automata.ts";
import { ENUMERATORS as E } from "./layout.ts";
import type { PathTables } from "./path-tables.ts";
import { biased, type RangeTables, type UnsignedRange } from "./ranges.ts";

/** Collects the sets of values of a hook's filters. */
export interface Tables {
  ranges: RangeTables;
  paths: PathTables;
  automata: AutomatonTables;
  expressions: ExpressionStep[];
}

/** struct filter_config. */
export interface FilterConfig {
  operand: number;
  index: number;
  compare: number;
  negate: boolean;
  first: number;
  count: number;
}

/** How the operand is compared. */
export type Comparison = Pick<FilterConfig, "compare" | "first" | "count">;

/** The operand is one of these numbers. */
export function numbers(values: readonly number[], tables: Tables): Comparison {
  return ranges(
    values.map((value): UnsignedRange => [BigInt(value), BigInt(value)]),
    tables,
  );
}

function ranges(set: readonly UnsignedRange[], tables: Tables): Comparison {
  const { many, first, count } = tables.ranges.add(set);
  return { compare: many ? E.COMPARE_MANY_RANGES : E.COMPARE_RANGES, first, count };
}

/** The operand has a bit in common with this mask. */
export function mask(bitsOfMask: bigint, tables: Tables): Comparison {
  return { compare: E.COMPARE_MASKS, first: tables.ranges.addMask(bitsOfMask), count: 1 };
}

/** The operand is in one of these ranges, compared as signed or unsigned values. */
export function valueRanges(set: readonly Range[], signed: boolean, tables: Tables): Comparison {
  return ranges(
    set.map(([low, high]): UnsignedRange => [biased(BigInt(low), signed), biased(BigInt(high), signed)]),
    tables,
  );
}

type NumberFilter = { compare: "range"; ranges: Range[] } | { compare: "mask"; masks: Decimal[] };

/** Encodes the comparison of a filter on a number. */
export function compareNumber(filter: NumberFilter, signed: boolean, tables: Tables): Comparison {
  if (filter.compare === "range") return valueRanges(filter.ranges, signed, tables);
  // A value has a bit in common with one of several masks exactly if it has one with their union.
  return mask(
    filter.masks.reduce((union, text) => union | biased(BigInt(text), false), 0n),
    tables,
  );
}

/** The operand equals, begins with, ends with or contains one of these strings. */
export function compareTexts(
  { compare, values }: { compare: TextComparison; values: readonly string[] },
  tables: Tables,
): Comparison {
  if (compare === "equal")
    return { compare: E.COMPARE_PATHS, first: tables.paths.addPaths(values), count: 0 };
  if (compare === "substring" || compare === "substringIgnoreCase") {
    const first = tables.automata.add(values, { ignoreCase: compare === "substringIgnoreCase" });
    return { compare: E.COMPARE_SUBSTRINGS, first, count: 0 };
  }
  const end = compare === "postfix";
  return {
    compare: end ? E.COMPARE_TAIL_PATTERNS : E.COMPARE_PATTERNS,
    ...tables.paths.addPatterns(values, end),
  };
}

/** Encodes a comparison of an argument's string, which may be with longer strings than that of a path. */
export function compareStrings(
  { compare, values }: { compare: TextComparison; values: readonly string[] },
  tables: Tables,
): Comparison {
  if (isLong(compare, values)) return searchFromStart(compare, values, tables);
  return compareTexts({ compare, values }, tables);
}

/** How many filters of a hook look at each byte of a string, which takes a large part of what the verifier allows. */
export function countSearches({ selectors }: HookDef): number {
  const filters = selectors.flatMap((selector) => [...selector.filters, ...(selector.returnFilters ?? [])]);
  return filters.filter(
    (filter) => "how" in filter && (filter.how.startsWith("substring") || isLong(filter.how, filter.values)),
  ).length;
}

/** Longer than what the other comparisons have room for. */
function isLong(compare: TextComparison, values: readonly string[]): compare is "equal" | "prefix" {
  const most = HOOK_SPEC_LIMITS.pathBytes;
  return (
    (compare === "equal" || compare === "prefix") && values.some((value) => Buffer.byteLength(value) > most)
  );
}

/** Long strings are found as substrings are, but at the beginning only; a whole string ends with its NUL. */
function searchFromStart(compare: "equal" | "prefix", values: readonly string[], tables: Tables): Comparison {
  const isWhole = compare === "equal";
  const ends = isWhole ? values.map((value) => `${value}\0`) : values;
  const first = tables.automata.add(ends, { anchored: true });
  return { compare: E.COMPARE_SUBSTRINGS, first, count: isWhole ? 1 : 0 };
}

/** A number with the bits at these positions. */
export function bits(positions: readonly number[]): number {
  return positions.reduce((sum, position) => sum | (1 << position), 0);
}
