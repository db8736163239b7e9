/** One selector: its filters in the order in which they are evaluated, and its actions. */
import type { FilterDef, ReturnFilterDef, SelectorDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { checkLabel } from "../probes/args.ts";
import type { Problems } from "../problems.ts";
import { compileWorkloads } from "../scope.ts";
import type { Selector } from "../types.ts";
import { compileActions } from "./actions.ts";
import { argumentFilter } from "./arguments.ts";
import { binaryFilter } from "./binaries.ts";
import { capabilityChangeFilter, capabilityFilter } from "./capabilities.ts";
import { credChangeFilter, currentCredFilter } from "./credentials.ts";
import { mergeMacros, type Parts } from "./parts.ts";
import { checkEntryCount, namespaceChangeFilter, namespaceFilter, pidFilter } from "./process.ts";
import { checkReturnParts, returnFilter } from "./return.ts";
import type { SelectorScope } from "./scope.ts";

/** Most entries of the parts that upstream limits, too. */
const MOST = { matchNamespaces: 10, matchNamespaceChanges: 1 } as const;

/** Compiles a selector; entries with errors are left out and reported. */
export function compileSelector(
  selector: Selector,
  path: string,
  scope: SelectorScope,
  problems: Problems,
): SelectorDef {
  const parts = mergeMacros(selector, path, scope.macros, problems);
  const workloads = parts.get("matchWorkloads");
  const inScope = workloads && compileWorkloads(workloads.value, workloads.path, problems);
  checkReturnParts(parts, scope, problems);
  const filters = [...processFilters(parts, scope, problems), ...argumentFilters(parts, scope, problems)];
  const label = parts.get("label")?.value;
  checkLabel(label, parts.get("label")?.path ?? path, problems);
  return {
    ...(label ? { label } : {}),
    ...(inScope ? { scope: inScope } : {}),
    filters,
    actions: actionsOf("matchActions", parts, scope, problems),
    ...returnParts(parts, scope, problems),
  };
}

function processFilters(parts: Parts, scope: SelectorScope, problems: Problems): FilterDef[] {
  for (const name of ["matchNamespaces", "matchNamespaceChanges"] as const) {
    checkEntryCount(parts.entries(name).length, MOST[name], parts.get(name)?.path ?? "", problems);
  }
  return [
    ...parts.filters("matchPIDs", (value, at) => pidFilter(value, at, problems)),
    ...parts.filters("matchNamespaces", (value, at) => namespaceFilter(value, at, problems)),
    ...parts.filters("matchCapabilities", (value, at) => capabilityFilter(value, at, problems)),
    ...parts.filters("matchNamespaceChanges", (value, at) => namespaceChangeFilter(value, at, problems)),
    ...parts.filters("matchCapabilityChanges", (value, at) => capabilityChangeFilter(value, at, problems)),
    ...parts.filters("matchBinaries", (value, at) => binaryFilter(value, "self", at, problems)),
    ...parts.filters("matchParentBinaries", (value, at) => binaryFilter(value, "parent", at, problems)),
    ...parts.filters("matchCurrentCred", (value, at) => currentCredFilter(value, at, problems)),
    ...parts.filters("matchCredChanges", (value, at) => credChangeFilter(value, at, scope, problems)),
  ];
}

/** args and data share a limit: both cost a slot each in the kernel. */
function argumentFilters(parts: Parts, scope: SelectorScope, problems: Problems): FilterDef[] {
  const { data, args } = scope;
  const lists = ["matchArgs", "matchData"] as const;
  const counts = lists.map((name) => parts.entries(name).length);
  const most = HOOK_SPEC_LIMITS.args;
  const sum = (counts[0] ?? 0) + (counts[1] ?? 0);
  if (sum > most) {
    const [at, what] =
      counts[0] === 0 || counts[1] === 0
        ? [parts.get(counts[0] === 0 ? "matchData" : "matchArgs")?.path ?? "", `has ${sum} entries`]
        : [parts.get("matchData")?.path ?? "", `and matchArgs have ${sum} entries`];
    problems.error(at, `${what}: at most ${most} are allowed`);
  }
  const ofArgs = { first: 0, count: args.length - data, isData: false };
  const ofData = { first: args.length - data, count: data, isData: true };
  return [
    ...parts.filters("matchArgs", (value, at) => argumentFilter(value, at, ofArgs, scope, problems)),
    ...parts.filters("matchData", (value, at) => argumentFilter(value, at, ofData, scope, problems)),
  ];
}

function actionsOf(
  name: "matchActions" | "matchReturnActions",
  parts: Parts,
  scope: SelectorScope,
  problems: Problems,
): SelectorDef["actions"] {
  const place = { path: parts.get(name)?.path ?? "", atReturn: name === "matchReturnActions" };
  return compileActions(parts.entries(name), place, scope, problems);
}

function returnParts(
  parts: Parts,
  scope: SelectorScope,
  problems: Problems,
): Pick<SelectorDef, "returnFilters" | "returnActions"> {
  if (!scope.returnArg) return {};
  const returnFilters: ReturnFilterDef[] = parts.filters("matchReturnArgs", (value, at) =>
    returnFilter(value, at, scope, problems),
  );
  const returnActions = actionsOf("matchReturnActions", parts, scope, problems);
  return {
    ...(returnFilters.length > 0 ? { returnFilters } : {}),
    ...(returnActions.length > 0 ? { returnActions } : {}),
  };
}
