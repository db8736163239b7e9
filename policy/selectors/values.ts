/** The values of a filter on an argument: ranges or bits. */
import type { FilterDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { parseCapabilitySet } from "../capabilities.ts";
import {
  bounds,
  fold,
  type IntegerType,
  mergeRanges,
  type Parsed,
  parseInteger,
  parseSpan,
} from "../integers.ts";
import { findList, type Lists, listName } from "../lists.ts";
import { child, type Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import { refuse } from "../support.ts";

/** What the values of a filter belong to. */
export interface Where {
  operator: string;
  path: string;
  lists: Lists;
  problems: Problems;
}

/** Equal, GT, LT, InRange, InMap and their opposites: all are membership in a set of ranges. */
export function rangeFilter(
  position: number,
  type: IntegerType | undefined,
  values: string[],
  where: Where,
): FilterDef | undefined {
  const { operator, problems } = where;
  const spans: [bigint, bigint][] = [];
  let failed = false;
  for (const { value, path } of expandLists(values, where)) {
    const span = type ? integerSpans(value, operator, type) : equalSet(value);
    if ("value" in span) spans.push(...span.value);
    else {
      problems.error(path, span.error);
      failed = true;
    }
  }
  if (failed || spans.length === 0) return undefined;
  const ranges = mergeRanges(spans);
  if (ranges.length > HOOK_SPEC_LIMITS.ranges) {
    problems.error(
      where.path,
      `makes ${ranges.length} ranges: at most ${HOOK_SPEC_LIMITS.ranges} are allowed`,
    );
    return undefined;
  }
  return { match: "arg", arg: position, negate: operator.startsWith("Not"), compare: "range", ranges };
}

function equalSet(text: string): Parsed<[bigint, bigint][]> {
  const set = parseCapabilitySet(text);
  return "error" in set ? set : { value: [[set.value, set.value]] };
}

function integerSpans(text: string, operator: string, type: IntegerType): Parsed<[bigint, bigint][]> {
  switch (operator) {
    case "InRange":
    case "NotInRange":
    case "InMap":
    case "NotInMap": {
      const span = parseSpan(text, type, operator.endsWith("Map"));
      return "error" in span ? span : { value: fold(span.value, type) };
    }
    case "GT":
    case "GreaterThan":
    case "LT":
    case "LessThan":
      return halfLine(text, operator.startsWith("G"), type);
    default: {
      const number = parseInteger(text, type);
      return "error" in number ? number : { value: fold([number.value, number.value], type) };
    }
  }
}

/** Everything above or below a value; for signed types in their signed order. */
function halfLine(text: string, above: boolean, type: IntegerType): Parsed<[bigint, bigint][]> {
  const number = parseInteger(text, type);
  if ("error" in number) return number;
  const [low, high] = bounds(type);
  if (number.value > high) {
    return {
      error: `${text} is negative in a signed type: use uint32, or InRange ${above ? `${text}:${2n ** 32n - 1n}` : `0:${text}`}`,
    };
  }
  const span: [bigint, bigint] = above ? [number.value + 1n, high] : [low, number.value - 1n];
  if (span[0] > span[1]) return { error: `nothing is ${above ? "above" : "below"} ${text} in this type` };
  return { value: [span] };
}

/** A bit in common with any of the values: with all their bits together. */
export function maskFilter(
  position: number,
  type: IntegerType | undefined,
  values: string[],
  where: Where,
): FilterDef | undefined {
  const { problems } = where;
  let bits = 0n;
  for (const { value, path } of expandLists(values, where)) {
    const mask = type ? parseInteger(value, type) : parseCapabilitySet(value);
    if ("error" in mask) problems.error(path, mask.error);
    else if (mask.value === 0n) problems.error(path, `${value} has no bits: it never matches`);
    else bits |= BigInt.asUintN(type?.bits ?? 64, mask.value);
  }
  return { match: "arg", arg: position, negate: false, compare: "mask", masks: [String(bits)] };
}

/** Replaces `list:NAME`, which InMap and NotInMap take, by the entries of the list. */
function expandLists(values: string[], where: Where): { value: string; path: string }[] {
  return values.flatMap((value, index) => {
    const path = child(where.path, index);
    const name = listName(value);
    if (name === undefined) return [{ value, path }];
    if (!where.operator.endsWith("InMap")) {
      where.problems.error(path, `${quote(value)}: only InMap and NotInMap take lists`);
      return [];
    }
    const found = findList(name, path, where.lists, where.problems);
    if (found?.list.type === "syscalls") {
      refuse("syscallNumbers", path, where.problems);
      return [];
    }
    return (found?.list.values ?? []).map((entry, n) => ({
      value: entry,
      path: child(`${found?.path}.values`, n),
    }));
  });
}
