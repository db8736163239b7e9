/** Filters on what a hook reads: matchArgs, matchData. */
import type { FilterDef } from "../../crds/hook-spec.ts";
import type { Problems } from "../problems.ts";
import type { ArgumentMatch } from "../types.ts";
import { integerType } from "../values/integers.ts";
import { expressionFilter } from "./expressions.ts";
import { fileTypeFilter } from "./file-types.ts";
import { gainedFilter } from "./gained.ts";
import { warnOfDecimalModes } from "./modes.ts";
import { comparisonOf } from "./operators.ts";
import { findPosition, isThereAtEntry, type Window } from "./positions.ts";
import type { SelectorScope } from "./scope.ts";
import { textFilter } from "./texts.ts";
import { maskFilter, rangeFilter } from "./values.ts";

/** The filter of an entry of matchArgs or matchData; undefined when an error was reported. */
export function argumentFilter(
  match: ArgumentMatch,
  path: string,
  window: Window,
  scope: SelectorScope,
  problems: Problems,
): FilterDef | undefined {
  const { operator, values = [] } = match;
  if (operator === "CelExpr") return expressionFilter(match, path, window, scope, problems);
  if (operator === "CapabilitiesGained") return gainedFilter(match, path, window, scope, problems);
  const position = findPosition(match, path, window, scope, problems);
  const arg = position === undefined ? undefined : scope.args[position];
  if (position === undefined || !arg) return undefined;
  const comparison = comparisonOf(operator, arg.type, `${path}.operator`, problems);
  if (!comparison || !isThereAtEntry(arg, path, problems)) return undefined;
  if (values.length === 0) {
    problems.error(`${path}.values`, `is empty: ${operator} needs at least one value`);
    return undefined;
  }
  const where = { operator, path: `${path}.values`, lists: scope.lists, problems };
  const target = { match: "arg", arg: position } as const;
  const type = integerType(arg.type);
  if (type && !window.isData) warnOfDecimalModes(values, arg, scope.calls, where.path, problems);
  switch (comparison) {
    case "range":
      return withTarget(target, rangeFilter(type, values, where));
    case "mask":
      return withTarget(target, maskFilter(type, values, where));
    case "text":
      return withTarget(target, textFilter(arg.type, values, where));
    case "fileType":
      return withTarget(target, fileTypeFilter(values, where));
  }
}

function withTarget<T extends object, C extends object>(
  target: T,
  comparison: C | undefined,
): (T & C) | undefined {
  return comparison && { ...target, ...comparison };
}
