/** Which of the hook's values a filter refers to. */
import type { ArgDef } from "../../crds/hook-spec.ts";
import { child, type Problems } from "../problems.ts";
import type { ArgumentMatch } from "../types.ts";
import type { SelectorScope } from "./scope.ts";

/** The part of the hook's values that a filter can refer to. */
export interface Window {
  /** Position of its first entry among all values. */
  first: number;
  count: number;
  /** Entries of data are counted, arguments are also known by their index. */
  isData: boolean;
}

/** Position among all values of the hook; `args` counts entries of a list, `index` parameters of the function. */
export function findPosition(
  match: ArgumentMatch,
  path: string,
  window: Window,
  scope: SelectorScope,
  problems: Problems,
): number | undefined {
  const written = match.args ?? [];
  if (written.length > 0 && match.index !== undefined) {
    const message = window.isData
      ? "and args are both given, and both are the position in data: keep one"
      : "and args are both given: index is the parameter, args the position; keep one";
    problems.error(`${path}.index`, message);
    return undefined;
  }
  if (written.length > 0) {
    const positions = findPositions(written, path, window, problems);
    if (positions && positions.length > 1) {
      problems.error(
        `${path}.args`,
        `has ${positions.length} positions: ${match.operator} compares one argument`,
      );
      return undefined;
    }
    return positions?.[0];
  }
  if (match.index === undefined) problems.warn(`${path}.index`, "is not given: index 0 is meant");
  const index = match.index ?? 0;
  return window.isData
    ? findData(index, path, window, problems)
    : findParameter(index, path, window, scope, problems);
}

/** Positions that a list of `args` means; one that does not exist is an error. */
export function findPositions(
  written: number[],
  path: string,
  window: Window,
  problems: Problems,
): number[] | undefined {
  const list = window.isData ? "data" : "args";
  for (const [n, position] of written.entries()) {
    if (position >= window.count) {
      problems.error(
        child(`${path}.args`, n),
        `there is no position ${position}: ${list} has ${window.count} entries, from 0`,
      );
      return undefined;
    }
  }
  return written.map((position) => window.first + position);
}

function findData(index: number, path: string, window: Window, problems: Problems): number | undefined {
  if (index < window.count) return window.first + index;
  const right =
    window.count > 0 ? `data has ${window.count} entries, from 0` : "the hook reads no data, add it to data";
  problems.error(`${path}.index`, `there is no entry ${index}: ${right}`);
  return undefined;
}

function findParameter(
  index: number,
  path: string,
  window: Window,
  scope: SelectorScope,
  problems: Problems,
): number | undefined {
  const args = scope.args.slice(0, window.count);
  const position = args.findIndex((arg) => arg.index === index);
  if (position >= 0) return position;
  const placed = args[index];
  if (placed && scope.section === "tracepoints") {
    const message = `${index} is no field that the hook reads: args[${index}], field ${placed.index}, is meant; write args: [${index}]`;
    problems.warn(`${path}.index`, message);
    return index;
  }
  const known = [...new Set(args.map((arg) => arg.index))];
  const right =
    known.length > 0 ? `the hook reads ${known.join(", ")}` : "the hook reads no arguments, add it to args";
  const advice = placed ? `; args: [${index}] refers to args[${index}], parameter ${placed.index}` : "";
  problems.error(`${path}.index`, `there is no argument with index ${index}: ${right}${advice}`);
  return undefined;
}

/** Filters on values are evaluated when the function is entered. */
export function isThereAtEntry(arg: ArgDef, path: string, problems: Problems): boolean {
  if (!arg.returnCopy) return true;
  problems.error(
    path,
    "compares a value with returnCopy: true, which is not there before the function returns",
  );
  return false;
}
