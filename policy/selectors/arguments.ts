/** Filters on arguments: matchArgs. */
import type { ArgDef, FilterDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { parseCapabilitySet } from "../capabilities.ts";
import {
  bounds,
  fold,
  type IntegerType,
  integerType,
  mergeRanges,
  type Parsed,
  parseInteger,
  parseSpan,
} from "../integers.ts";
import { findList, type Lists, listName } from "../lists.ts";
import { child, type Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import { refuse } from "../support.ts";
import type { ArgumentMatch } from "../types.ts";
import { operatorFits } from "./operators.ts";

const MAX_FILTERS = 5;

/** Reports more argument filters than a selector may have. */
export function checkArgumentCount(count: number, path: string, problems: Problems): void {
  if (count > MAX_FILTERS) problems.error(path, `has ${count} entries: at most ${MAX_FILTERS} are allowed`);
}

/** The filter of an entry of matchArgs; undefined when an error was reported. */
export function argumentFilter(
  match: ArgumentMatch,
  path: string,
  args: ArgDef[],
  lists: Lists,
  problems: Problems,
): FilterDef | undefined {
  const position = findArgument(match, path, args, problems);
  const arg = position === undefined ? undefined : args[position];
  if (position === undefined || !arg) return undefined;
  if (!operatorFits(match.operator, arg.type, `${path}.operator`, problems)) return undefined;
  const values = match.values ?? [];
  if (values.length === 0) {
    problems.error(`${path}.values`, `is empty: ${match.operator} needs at least one value`);
    return undefined;
  }
  const type = integerType(arg.type);
  const where = { operator: match.operator, path: `${path}.values`, lists, problems };
  if (match.operator === "Mask") return maskFilter(position, type, values, where);
  return rangeFilter(position, type, values, where);
}

/** `args` counts entries of the hook's list, `index` parameters of the function. */
function findArgument(
  match: ArgumentMatch,
  path: string,
  args: ArgDef[],
  problems: Problems,
): number | undefined {
  if (match.args && match.args.length > 0) {
    if (match.index !== undefined) {
      problems.error(
        `${path}.index`,
        "and args are both given: index is the parameter, args the position; keep one",
      );
      return undefined;
    }
    return findByPosition(match.args, match.operator, path, args, problems);
  }
  const index = match.index ?? 0;
  if (match.index === undefined) problems.warn(`${path}.index`, "is not given: index 0 is meant");
  const position = args.findIndex((arg) => arg.index === index);
  if (position >= 0) return position;
  const known = [...new Set(args.map((arg) => arg.index))];
  const right =
    known.length > 0 ? `the hook reads ${known.join(", ")}` : "the hook reads no arguments, add it to args";
  problems.error(`${path}.index`, `there is no argument with index ${index}: ${right}`);
  return undefined;
}

function findByPosition(
  positions: number[],
  operator: string,
  path: string,
  args: ArgDef[],
  problems: Problems,
): number | undefined {
  for (const [n, position] of positions.entries()) {
    if (position >= args.length) {
      problems.error(
        child(`${path}.args`, n),
        `there is no position ${position}: args has ${args.length} entries, from 0`,
      );
      return undefined;
    }
  }
  if (positions.length > 1 && operator !== "CapabilitiesGained") {
    problems.error(`${path}.args`, `has ${positions.length} positions: ${operator} compares one argument`);
    return undefined;
  }
  return positions[0];
}

interface Where {
  operator: string;
  path: string;
  lists: Lists;
  problems: Problems;
}

/** Equal, GT, LT, InRange, InMap and their opposites: all are membership in a set of ranges. */
function rangeFilter(
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
function maskFilter(
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
