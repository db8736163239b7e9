/** One selector: its filters in the order in which they are evaluated, and its actions. */
import type { ArgDef, FilterDef, SelectorDef } from "../../crds/hook-spec.ts";
import { checkLabel } from "../args.ts";
import type { Lists } from "../lists.ts";
import type { Problems } from "../problems.ts";
import { refuse } from "../support.ts";
import type { PolicySpec, Selector } from "../types.ts";
import { compileActions } from "./actions.ts";
import { argumentFilter, checkArgumentCount } from "./arguments.ts";
import { mergeMacros, type PartName, type Parts } from "./parts.ts";
import { binaryFilter, checkNamespaceCount, namespaceFilter, pidFilter } from "./process.ts";

/** What a selector can refer to. */
export interface SelectorScope {
  args: ArgDef[];
  lists: Lists;
  macros: PolicySpec["selectorsMacros"];
}

const REFUSED = [
  "matchCapabilities",
  "matchCapabilityChanges",
  "matchData",
  "matchNamespaceChanges",
  "matchParentBinaries",
  "matchReturnActions",
  "matchReturnArgs",
  "matchWorkloads",
] as const satisfies readonly PartName[];

/** Compiles a selector; entries with errors are left out and reported. */
export function compileSelector(
  selector: Selector,
  path: string,
  scope: SelectorScope,
  problems: Problems,
): SelectorDef {
  const parts = mergeMacros(selector, path, scope.macros, problems);
  for (const name of REFUSED) {
    const part = parts.get(name);
    if (part && !(Array.isArray(part.value) && part.value.length === 0)) refuse(name, part.path, problems);
  }
  const filters = [...processFilters(parts, problems), ...argumentFilters(parts, scope, problems)];
  const actions = compileActions(
    parts.entries("matchActions"),
    parts.get("matchActions")?.path ?? path,
    problems,
  );
  const label = parts.get("label")?.value;
  checkLabel(label, parts.get("label")?.path ?? path, problems);
  return { ...(label ? { label } : {}), filters, actions };
}

function processFilters(parts: Parts, problems: Problems): FilterDef[] {
  const namespaces = parts.entries("matchNamespaces");
  checkNamespaceCount(namespaces.length, parts.get("matchNamespaces")?.path ?? "", problems);
  return [
    ...parts.entries("matchPIDs").map(({ value, path }) => pidFilter(value, path, problems)),
    ...namespaces.map(({ value, path }) => namespaceFilter(value, path, problems)),
    ...parts.entries("matchBinaries").map(({ value, path }) => binaryFilter(value, path, problems)),
  ];
}

function argumentFilters(parts: Parts, scope: SelectorScope, problems: Problems): FilterDef[] {
  const entries = parts.entries("matchArgs");
  checkArgumentCount(entries.length, parts.get("matchArgs")?.path ?? "", problems);
  return entries.flatMap(
    ({ value, path }) => argumentFilter(value, path, scope.args, scope.lists, problems) ?? [],
  );
}
