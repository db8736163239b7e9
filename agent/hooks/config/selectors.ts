/** Encodes selectors as struct selector_config. Pure. */
import type { ActionDef, ArgDef, HookDef, SelectorDef } from "../../../crds/hook-spec.ts";
import type { Tables } from "./comparisons.ts";
import { comparesWithRemembered, encodeFilter, type Resolution } from "./filters.ts";
import { ENUMERATORS as E, HOOK_CONFIG, RETURN_ARG, SELECTOR_CONFIG } from "./layout.ts";
import { encodeScope } from "./scopes.ts";

const SCOPES = { thread: E.LIMIT_THREAD, process: E.LIMIT_PROCESS, global: E.LIMIT_GLOBAL } as const;

/** Numbers of Tetragon's KprobeAction. */
const ACTION_NUMBERS = { Sigkill: 3, Override: 5, Signal: 10 } as const;

const SIGKILL = 9;

/** Writes the selectors of a hook and their filters into its config. */
export function encodeSelectors(view: DataView, def: HookDef, resolution: Resolution, tables: Tables): void {
  let next = 0;
  const atReturn = withReturnValue(def);
  def.selectors.forEach((selector, index) => {
    const base = HOOK_CONFIG.members.selector + index * SELECTOR_CONFIG.size;
    const at = SELECTOR_CONFIG.members;
    const returnFilters = selector.returnFilters ?? [];
    view.setUint16(base + at.first_filter, next, true);
    view.setUint16(base + at.filters, selector.filters.length, true);
    for (const filter of selector.filters) encodeFilter(view, next++, filter, { def, resolution, tables });
    view.setUint16(base + at.first_return_filter, next, true);
    view.setUint16(base + at.return_filters, returnFilters.length, true);
    for (const filter of returnFilters) {
      const atEnd =
        filter.match === "return" ? ({ ...filter, match: "arg", arg: RETURN_ARG } as const) : filter;
      encodeFilter(view, next++, atEnd, { def: atReturn, resolution, tables });
    }
    encodeScope(
      view,
      { scope: base + at.scope, scope_flags: base + at.scope_flags },
      selector.scope,
      resolution,
    );
    encodeActions(view, base, selector, flagsOf(def.selectors, index));
  });
}

/** At return, the returned value is an additional argument. */
function withReturnValue(def: HookDef): HookDef {
  if (!def.returnArg) return def;
  const nop: ArgDef = { index: 0, type: "nop" };
  const args = Array.from({ length: RETURN_ARG }, (_, position) => def.args[position] ?? nop);
  return { ...def, args: [...args, { ...def.returnArg, index: RETURN_ARG }] };
}

function encodeActions(view: DataView, base: number, selector: SelectorDef, flags: number): void {
  const at = SELECTOR_CONFIG.members;
  const { actions, returnActions = [] } = selector;
  const limit = rateLimitOf(selector);
  const override = overrideOf(actions);
  view.setUint16(base + at.flags, flags, true);
  view.setUint16(base + at.limit_scope, limit ? SCOPES[limit.scope] : E.LIMIT_NONE, true);
  view.setBigUint64(base + at.limit_ns, BigInt(limit?.intervalMs ?? 0) * 1_000_000n, true);
  view.setUint8(base + at.signal, signalOf(actions));
  view.setUint8(base + at.signal_at_return, signalOf(returnActions));
  view.setUint8(base + at.action, lastEnforcing(actions));
  view.setUint8(base + at.action_at_return, lastEnforcing(returnActions));
  view.setInt32(base + at.error, override ?? 0, true);
}

/**
 * Stack traces are only available at entry. If a selector's return filters may reject a call, a later selector may
 * report it, so the earlier one also takes the stack traces that the later ones ask for.
 */
function flagsOf(selectors: readonly SelectorDef[], index: number): number {
  const [selector, ...later] = selectors.slice(index).map((each) => ({ each, flags: selectorFlags(each) }));
  if (!selector) return 0;
  if (!selector.each.returnFilters?.length) return selector.flags;
  const stacks = E.SELECTOR_KERNEL_STACK | E.SELECTOR_USER_STACK;
  return later.reduce((flags, other) => flags | (other.flags & stacks), selector.flags);
}

/** Whether a selector compares with the state that the hook reported last. */
export function remembers(selector: SelectorDef): boolean {
  return remembersAtEntry(selector) || remembersAtReturn(selector);
}

function remembersAtEntry({ filters }: SelectorDef): boolean {
  return filters.some(comparesWithRemembered);
}

function remembersAtReturn({ returnFilters = [] }: SelectorDef): boolean {
  return returnFilters.some(comparesWithRemembered);
}

function selectorFlags(selector: SelectorDef): number {
  const { actions, returnActions = [] } = selector;
  const post = [...actions, ...returnActions].filter((action) => action.action === "Post");
  const flag = (isSet: boolean, bit: number) => (isSet ? bit : 0);
  return (
    flag(isSilent(actions), E.SELECTOR_NO_POST) |
    flag(isSilent(returnActions), E.SELECTOR_NO_POST_AT_RETURN) |
    flag(
      post.some((action) => action.kernelStackTrace),
      E.SELECTOR_KERNEL_STACK,
    ) |
    flag(
      post.some((action) => action.userStackTrace),
      E.SELECTOR_USER_STACK,
    ) |
    flag(asksForHash(selector), E.SELECTOR_HASH) |
    flag(overrideOf(actions) !== undefined, E.SELECTOR_OVERRIDE) |
    flag(remembersAtEntry(selector), E.SELECTOR_REMEMBERS) |
    flag(remembersAtReturn(selector), E.SELECTOR_REMEMBERS_AT_RETURN)
  );
}

function isSilent(actions: readonly ActionDef[]): boolean {
  return actions.some((action) => action.action === "NoPost");
}

function signalOf(actions: readonly ActionDef[]): number {
  for (const action of actions) {
    if (action.action === "Sigkill") return SIGKILL;
    if (action.action === "Signal") return action.signal;
  }
  return 0;
}

/** The error that the function returns instead of running. */
function overrideOf(actions: readonly ActionDef[]): number | undefined {
  for (const action of actions) {
    if (action.action === "Override") return action.error;
  }
  return undefined;
}

function lastEnforcing(actions: readonly ActionDef[]): number {
  const numbers = actions.flatMap(({ action }) =>
    action === "Post" || action === "NoPost" ? [] : [ACTION_NUMBERS[action]],
  );
  return numbers.at(-1) ?? 0;
}

/** The rate limit of a selector's events. */
export function rateLimitOf({ actions, returnActions = [] }: SelectorDef) {
  for (const action of [...returnActions, ...actions]) {
    if (action.action === "Post" && action.rateLimit) return action.rateLimit;
  }
  return undefined;
}

/** Whether a hook has an action other than posting or not posting an event. */
export function isEnforcing(def: HookDef): boolean {
  return def.selectors.some((selector) =>
    [...selector.actions, ...(selector.returnActions ?? [])].some(
      ({ action }) => action !== "Post" && action !== "NoPost",
    ),
  );
}

function asksForHash({ actions }: SelectorDef): boolean {
  return actions.some((action) => action.action === "Post" && action.imaHash === true);
}

/** Whether a selector of a hook asks for the hash of a file. */
export function hashes(def: HookDef): boolean {
  return def.selectors.some(asksForHash);
}

/** How many stack traces a hook's records have. */
export function stackTraces(def: HookDef): number {
  const bits = def.selectors.reduce((all, selector) => all | selectorFlags(selector), 0);
  return (bits & E.SELECTOR_KERNEL_STACK ? 1 : 0) + (bits & E.SELECTOR_USER_STACK ? 1 : 0);
}
