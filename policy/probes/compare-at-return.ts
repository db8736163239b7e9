/** Moves filters on changes to the return of the calls that make these changes. Pure. */
import type { ActionDef, ChangeFilterDef, FilterDef, HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import { bareName } from "../../crds/syscall-table.ts";
import { CHANGE_CAPABILITIES, CHANGE_NAMESPACES, EXECS } from "../warnings/changing-calls.ts";

/** Kernel functions that have changed both when they return. */
const CHANGING_FUNCTIONS: ReadonlySet<string> = new Set(["commit_creds", "override_creds", "ksys_unshare"]);

/**
 * Returns the hook with each filter on a change that the call itself makes among those that are compared at its return:
 * at entry nothing has changed yet. A selector that overrides keeps them, as it decides before the call is made.
 */
export function compareAtReturn(hook: HookDef): HookDef {
  const selectors = hook.selectors.map((selector) => moveChanges(selector, hook));
  if (selectors.every((selector, index) => selector === hook.selectors[index])) return hook;
  return { ...hook, returnArg: hook.returnArg ?? { type: "nop" }, selectors };
}

function moveChanges(selector: SelectorDef, hook: HookDef): SelectorDef {
  const isMoved = (filter: FilterDef): filter is ChangeFilterDef =>
    (filter.match === "capabilityChange" && changesCapabilities(hook)) ||
    (filter.match === "namespaceChange" && changesNamespaces(hook));
  const changes = selector.filters.filter(isMoved);
  if (changes.length === 0 || selector.actions.some(({ action }) => action === "Override")) return selector;
  const signals = selector.actions.filter(isSignal);
  const returnActions = [...signals, ...(selector.returnActions ?? [])];
  return {
    ...selector,
    filters: selector.filters.filter((filter) => !isMoved(filter)),
    actions: selector.actions.filter((action) => !isSignal(action)),
    returnFilters: [...changes, ...(selector.returnFilters ?? [])],
    ...(returnActions.length > 0 ? { returnActions } : {}),
  };
}

/** At entry it is not known yet whether the selector matches. */
function isSignal({ action }: ActionDef): boolean {
  return action === "Sigkill" || action === "Signal";
}

function changesCapabilities({ call, syscall }: HookDef): boolean {
  const name = bareName(call);
  return syscall ? CHANGE_CAPABILITIES.has(name) || EXECS.has(name) : CHANGING_FUNCTIONS.has(call);
}

function changesNamespaces({ call, syscall }: HookDef): boolean {
  if (syscall) return CHANGE_NAMESPACES.has(bareName(call));
  return CHANGING_FUNCTIONS.has(call) || call === "switch_task_namespaces";
}
