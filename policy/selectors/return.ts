/** The parts of a selector about a function's return value: matchReturnArgs, matchReturnActions. */
import type { ReturnFilterDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import type { Problems } from "../problems.ts";
import type { ArgumentMatch } from "../types.ts";
import { integerType } from "../values/integers.ts";
import { comparisonOf } from "./operators.ts";
import type { Parts } from "./parts.ts";
import { checkEntryCount } from "./process.ts";
import type { SelectorScope } from "./scope.ts";
import { textFilter } from "./texts.ts";
import { maskFilter, rangeFilter } from "./values.ts";

/** Reports parts about the return value on hooks that do not read it. */
export function checkReturnParts(parts: Parts, scope: SelectorScope, problems: Problems): void {
  for (const name of ["matchReturnArgs", "matchReturnActions"] as const) {
    const count = parts.entries(name).length;
    const path = parts.get(name)?.path ?? "";
    if (count > 0 && !scope.returnArg) problems.error(path, reason(scope));
    if (name === "matchReturnArgs") checkEntryCount(count, HOOK_SPEC_LIMITS.args, path, problems);
  }
}

function reason({ section }: SelectorScope): string {
  if (section === "tracepoints") return "does not fit a tracepoint, which has no return";
  if (section === "lsmhooks") return "does not fit an LSM hook, which has no return";
  return "needs return: true and a returnArg";
}

/** The filter of an entry of matchReturnArgs; undefined when an error was reported. */
export function returnFilter(
  match: ArgumentMatch,
  path: string,
  scope: SelectorScope,
  problems: Problems,
): ReturnFilterDef | undefined {
  const { operator, values = [], index = 0, args = [] } = match;
  if (index !== 0 && index !== scope.returnIndex)
    problems.error(`${path}.index`, `is ${index}: there is one return value, index 0`);
  if (args.some((position) => position !== 0) || args.length > 1) {
    problems.error(`${path}.args`, "there is one return value: leave args out");
  }
  const type = scope.returnArg?.type ?? "nop";
  const comparison = comparisonOf(operator, type, `${path}.operator`, problems);
  if (!comparison) return undefined;
  if (comparison === "fileType" || operator === "CapabilitiesGained") {
    problems.error(
      `${path}.operator`,
      `${operator} does not fit a return value: numbers, strings and paths are compared`,
    );
    return undefined;
  }
  if (values.length === 0) {
    problems.error(`${path}.values`, `is empty: ${operator} needs at least one value`);
    return undefined;
  }
  const where = {
    operator,
    path: `${path}.values`,
    lists: scope.lists,
    problems,
    syscalls: "refused",
  } as const;
  if (comparison === "text") {
    const text = textFilter(type, values, where);
    return text && { match: "return", ...text };
  }
  const integer = integerType(type);
  if (comparison === "mask") return { match: "return", ...maskFilter(integer, values, where) };
  const range = rangeFilter(integer, values, where);
  return range && { match: "return", negate: range.negate, compare: "range", ranges: range.ranges };
}
