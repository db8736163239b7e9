/** The operator CapabilitiesGained: two sets, the old one first. */
import { isReadable, traitsOf, typesOf } from "../../crds/argument-types.ts";
import type { FilterDef } from "../../crds/hook-spec.ts";
import { child, type Problems } from "../problems.ts";
import type { ArgumentMatch } from "../types.ts";
import { findPositions, isThereAtEntry, type Window } from "./positions.ts";
import type { SelectorScope } from "./scope.ts";

const RIGHT = "args: [OLD, NEW], the positions of two capability sets";

/** The filter; undefined when an error was reported. */
export function gainedFilter(
  match: ArgumentMatch,
  path: string,
  window: Window,
  scope: SelectorScope,
  problems: Problems,
): FilterDef | undefined {
  const { args = [], index, values = [] } = match;
  if (index !== undefined)
    problems.error(`${path}.index`, `names one argument: CapabilitiesGained needs ${RIGHT}`);
  else if (args.length !== 2) {
    const found =
      args.length === 0
        ? "is missing"
        : `has ${args.length === 1 ? "1 position" : `${args.length} positions`}`;
    problems.error(`${path}.args`, `${found}: CapabilitiesGained needs ${RIGHT}`);
  }
  if (values.length > 0)
    problems.error(`${path}.values`, "must be empty: CapabilitiesGained compares two arguments");
  if (index !== undefined || args.length !== 2 || values.length > 0) return undefined;
  const [arg, newArg] = findPositions(args, path, window, problems) ?? [];
  if (arg === undefined || newArg === undefined) return undefined;
  const fit = [arg, newArg].every((position, n) =>
    isSet(position, child(`${path}.args`, n), scope, problems),
  );
  if (fit && arg === newArg) problems.error(`${path}.args`, "names the same set twice: it gains nothing");
  return fit ? { match: "arg", arg, newArg, compare: "gained" } : undefined;
}

function isSet(position: number, path: string, scope: SelectorScope, problems: Problems): boolean {
  const arg = scope.args[position];
  if (!arg || !isThereAtEntry(arg, path, problems)) return false;
  if (isReadable(arg.type) && traitsOf(arg.type).family === "capabilitySet") return true;
  problems.error(path, `is of the type ${arg.type}: must be one of ${typesOf("capabilitySet").join(", ")}`);
  return false;
}
