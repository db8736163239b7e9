/** Filters on arguments: matchArgs. */
import type { ArgDef, FilterDef } from "../../crds/hook-spec.ts";
import { integerType } from "../integers.ts";
import type { Lists } from "../lists.ts";
import { child, type Problems } from "../problems.ts";
import type { ArgumentMatch } from "../types.ts";
import { operatorFits } from "./operators.ts";
import { maskFilter, rangeFilter } from "./values.ts";

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
