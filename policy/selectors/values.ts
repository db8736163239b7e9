/** The values of a filter on an argument: ranges or bits. */
import type { Decimal, Range } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { findList, type Lists, listName, syscallsOf } from "../probes/lists.ts";
import { child, type Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import { parseCapabilitySet } from "../values/capabilities.ts";
import {
  bounds,
  fold,
  type IntegerType,
  mergeRanges,
  type Parsed,
  parseInteger,
  parseSpan,
} from "../values/integers.ts";

/** What the values of a filter belong to. */
export interface Where {
  operator: string;
  path: string;
  lists: Lists;
  problems: Problems;
  /** What a list of system calls is as values: their numbers, or an error. */
  syscalls?: "refused";
}

/** Membership in a set of numbers. */
interface RangeComparison {
  negate: boolean;
  compare: "range";
  ranges: Range[];
  syscalls?: string[];
}

/** Equal, GT, LT, InRange, InMap and their opposites: all are membership in a set of ranges. Without a type: capabilities. */
export function rangeFilter(
  type: IntegerType | undefined,
  values: string[],
  where: Where,
): RangeComparison | undefined {
  const { operator, problems } = where;
  const spans: [bigint, bigint][] = [];
  const expanded = expandLists(values, where);
  let failed = false;
  for (const { value, path } of expanded.values) {
    const span = type ? integerSpans(value, operator, type) : equalSet(value);
    if ("value" in span) spans.push(...span.value);
    else {
      problems.error(path, span.error);
      failed = true;
    }
  }
  const syscalls = [...new Set(expanded.syscalls)];
  if (failed || spans.length + syscalls.length === 0) return undefined;
  if (syscalls.length > 0 && !(type && type.bits >= 16)) {
    problems.error(where.path, "names system calls, whose numbers do not fit the type: use syscall64 or int");
    return undefined;
  }
  const ranges = mergeRanges(spans);
  if (ranges.length > HOOK_SPEC_LIMITS.ranges) {
    problems.error(
      where.path,
      `makes ${ranges.length} ranges: at most ${HOOK_SPEC_LIMITS.ranges} are allowed`,
    );
    return undefined;
  }
  const negate = operator.startsWith("Not");
  if (type && isEverything(ranges, type)) {
    reportEverything("the type", operator, where.path, problems);
    if (negate) return undefined;
  }
  return {
    negate,
    compare: "range",
    ranges,
    ...(syscalls.length > 0 ? { syscalls } : {}),
  };
}

/** Says of a filter whose values are all that there can be of `what` that it leaves nothing, or nothing out. */
export function reportEverything(what: string, operator: string, path: string, problems: Problems): void {
  const message = `name every value of ${what}: ${operator}`;
  if (operator.startsWith("Not")) problems.error(path, `${message} never matches`);
  else problems.warn(path, `${message} always matches, so leave the filter out`);
}

function isEverything(ranges: Range[], type: IntegerType): boolean {
  const [low, high] = bounds(type);
  return ranges[0]?.[0] === String(low) && ranges[0][1] === String(high);
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
      if ("value" in parseSpan(text, type, false)) {
        return {
          error: `${quote(text)} is a range: use ${operator.startsWith("Not") ? "NotInRange" : "InRange"}`,
        };
      }
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
  const isId = number.value > high; // the unsigned spelling of a negative value
  const [least, most] = isId ? [0n, 2n ** BigInt(type.bits) - 1n] : [low, high];
  const span: [bigint, bigint] = above ? [number.value + 1n, most] : [least, number.value - 1n];
  if (span[0] > span[1]) return { error: `nothing is ${above ? "above" : "below"} ${text} in this type` };
  if (isId)
    return { error: `${text} is negative in a signed type: use uint32, or InRange ${span.join(":")}` };
  return { value: [span] };
}

/** A bit in common with any of the values: with all their bits together. */
export function maskFilter(
  type: IntegerType | undefined,
  values: string[],
  where: Where,
): { negate: false; compare: "mask"; masks: Decimal[] } {
  const { problems } = where;
  let bits = 0n;
  for (const { value, path } of expandLists(values, where).values) {
    const mask = type ? parseInteger(value, type) : parseCapabilitySet(value);
    if ("error" in mask) problems.error(path, mask.error);
    else if (mask.value === 0n) problems.error(path, `${value} has no bits: it never matches`);
    else bits |= BigInt.asUintN(type?.bits ?? 64, mask.value);
  }
  return { negate: false, compare: "mask", masks: [String(bits)] };
}

interface Expanded {
  values: { value: string; path: string }[];
  /** Names without `sys_`. */
  syscalls: string[];
}

/** Replaces `list:NAME`, which InMap and NotInMap take, by the entries of the list. */
function expandLists(values: string[], where: Where): Expanded {
  const result: Expanded = { values: [], syscalls: [] };
  for (const [index, value] of values.entries()) {
    const path = child(where.path, index);
    const name = listName(value);
    if (name === undefined) result.values.push({ value, path });
    else if (!where.operator.endsWith("InMap"))
      where.problems.error(path, `${quote(value)}: only InMap and NotInMap take lists`);
    else expandList(name, path, where, result);
  }
  return result;
}

function expandList(name: string, path: string, where: Where, result: Expanded): void {
  const found = findList(name, path, where.lists, where.problems);
  if (!found) return;
  const { type } = found.list;
  if (type !== "syscalls" && type !== "generated_syscalls") {
    for (const [n, value] of (found.list.values ?? []).entries())
      result.values.push({ value, path: child(`${found.path}.values`, n) });
    return;
  }
  if (where.syscalls === "refused") {
    where.problems.error(path, `list ${quote(name)} holds system calls: a return value is none`);
  } else result.syscalls.push(...syscallsOf(found, where.problems));
}
