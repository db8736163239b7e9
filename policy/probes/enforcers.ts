/**
 * Enforcers: functions that return an error or send a signal once a selector has notified them. A hook at the same call
 * needs no notification: it acts itself. A tracepoint at the entry of system calls cannot, so a hook at each of the
 * enforcers' calls decides again, in the same way, and acts.
 */
import type { ActionDef, FilterDef, HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import { seesEverySyscall } from "../../crds/syscall-abis.ts";
import { bareName } from "../../crds/syscall-table.ts";
import { child, type Problems } from "../problems.ts";
import type { Action, PolicySpec, Selector } from "../types.ts";
import { type Call, callsNamed } from "./calls.ts";
import { type Lists, listName } from "./lists.ts";

/** What a policy's enforcers act on. */
export interface Enforcers {
  calls: readonly Call[];
  /** The actions of tracepoints' selectors that stand for a NotifyEnforcer. */
  notifications: Set<ActionDef>;
  /** What does the same as the policy's enforcers, for an error. */
  instead: string | undefined;
}

/** Reads a policy's enforcers; names that cannot be right are reported. */
export function readEnforcers(spec: PolicySpec, lists: Lists, problems: Problems): Enforcers {
  const calls = (spec.enforcers ?? []).flatMap(({ calls: names = [] }, index) =>
    names.flatMap((name, n) => callsOf(name, child(`spec.enforcers[${index}].calls`, n), lists, problems)),
  );
  const unique = [...new Map(calls.map((call) => [call.name, call])).values()];
  const notifying = selectorsOf(spec).some(({ matchActions = [], matchReturnActions = [] }) =>
    [...matchActions, ...matchReturnActions].some(({ action }) => action === "NotifyEnforcer"),
  );
  if (spec.enforcers?.length && !notifying)
    problems.warn("spec.enforcers", "has no effect: no selector has the action NotifyEnforcer, leave it out");
  return { calls: unique, notifications: new Set(), instead: replacementOf(spec) };
}

/** An enforcer takes system calls and security_ functions; only the name says which. */
function callsOf(name: string, path: string, lists: Lists, problems: Problems): Call[] {
  const list = lists.get(listName(name) ?? "")?.list;
  const names = list ? (list.values ?? []) : [name];
  const isSyscall = list?.type?.endsWith("syscalls") || !names.some((each) => each.startsWith("security_"));
  const found = callsNamed(name, isSyscall, { name: path, syscall: path }, lists, problems);
  return found.flatMap((call) => {
    if (call.syscall || call.name.startsWith("security_")) return [{ ...call, path }];
    const what = "enforcers act on system calls and security_ functions only";
    problems.error(call.path, `${what}, not on ${call.name}`);
    return [];
  });
}

/**
 * Splits hooks of tracepoints whose selectors notify: they post as before, and hooks at the calls of the enforcers act.
 */
export function withEnforcers(
  hooks: readonly HookDef[],
  enforcers: Enforcers,
  problems: Problems,
): HookDef[] {
  return hooks.flatMap((hook) => {
    const { section, selectors } = hook;
    if (section !== "tracepoints" || !selectors.some((selector) => notifies(selector, enforcers)))
      return [hook];
    checkFilters(hook, enforcers, problems);
    warnOfOthers(hook, enforcers, problems);
    const posting = selectors.map((selector) => {
      return {
        ...selector,
        actions: selector.actions.filter((action) => !enforcers.notifications.has(action)),
      };
    });
    return [
      { ...hook, selectors: posting },
      ...enforcers.calls.flatMap((call) => hookAt(call, hook, enforcers)),
    ];
  });
}

function notifies({ actions }: SelectorDef, { notifications }: Enforcers): boolean {
  return actions.some((action) => notifications.has(action));
}

/** A hook that posts nothing; none where no selector notifies of the call. */
function hookAt(call: Call, { selectors }: HookDef, enforcers: Enforcers): HookDef[] {
  const own = selectors.flatMap((selector) => selectorAt(call, selector, enforcers));
  if (!own.some(({ actions }) => actions.length > 1)) return [];
  const { name, syscall, path, mayBeMissing = false } = call;
  return [
    {
      path,
      section: "kprobes",
      call: name,
      syscall,
      ignoreCallNotFound: mayBeMissing,
      args: [],
      selectors: own,
    },
  ];
}

/** Filters on the call's number are decided here, once for all. */
function selectorAt(call: Call, selector: SelectorDef, { notifications }: Enforcers): SelectorDef[] {
  const name = bareName(call.name);
  const ofCall = selector.filters.filter(isOfCall);
  if (!ofCall.every(({ syscalls, negate }) => syscalls.includes(name) !== negate)) return [];
  const acting = selector.actions.filter((action) => notifications.has(action));
  return [
    {
      ...selector,
      filters: selector.filters.filter((filter) => !isOfCall(filter)),
      actions: [{ action: "NoPost" }, ...acting],
    },
  ];
}

type CallFilter = Extract<FilterDef, { match: "arg"; compare: "range" }> & { syscalls: string[] };

/** Whether a filter is on the number of the call, by names: these stand for the numbers of every ABI. */
function isOfCall(filter: FilterDef): filter is CallFilter {
  return (
    filter.match === "arg" &&
    filter.compare === "range" &&
    filter.syscalls !== undefined &&
    filter.ranges.length === 0
  );
}

/** Upstream keeps a notification until an enforcer's call comes by, and that may be another one. */
function warnOfOthers({ path, selectors }: HookDef, enforcers: Enforcers, problems: Problems): void {
  const enforced = new Set(enforcers.calls.map(({ name }) => name));
  for (const [index, selector] of selectors.entries()) {
    if (!notifies(selector, enforcers)) continue;
    const named = selector.filters
      .filter(isOfCall)
      .flatMap(({ negate, syscalls }) => (negate ? [] : syscalls));
    const others = named.map((name) => `sys_${name}`).filter((name) => !enforced.has(name));
    if (others.length > 0)
      problems.warn(
        `${path}.selectors[${index}]`,
        `notifies of calls that no enforcer acts on, so that they are made: ${others.join(", ")}`,
      );
  }
}

/** Filters that would not decide in the same way at another hook. */
const ELSEWHERE: Partial<Record<FilterDef["match"], string>> = {
  arg: "matchArgs",
  expression: "matchArgs",
  credChange: "matchCredChanges",
  capabilityChange: "matchCapabilityChanges",
  namespaceChange: "matchNamespaceChanges",
};

function checkFilters({ path, selectors }: HookDef, { instead }: Enforcers, problems: Problems): void {
  for (const [index, { filters }] of selectors.entries()) {
    const other = filters.find((filter) => !isOfCall(filter) && ELSEWHERE[filter.match]);
    if (!other) continue;
    const part = ELSEWHERE[other.match] ?? "";
    const what = "cannot decide for an enforcer, except InMap and NotInMap of a list of system calls";
    problems.error(`${path}.selectors[${index}].${part}`, `${what}; ${instead}`);
  }
}

/** Why a NotifyEnforcer of this hook cannot reach an enforcer in the same call; undefined where it can. */
export function reasonAgainstNotifying(
  section: HookDef["section"],
  calls: readonly Call[],
  { calls: enforced, instead }: Enforcers,
): string | undefined {
  if (enforced.length === 0)
    return "NotifyEnforcer needs spec.enforcers with the calls that are to fail, or write Override or Signal";
  const other = calls.find((call) => !isDecided(section, call, enforced));
  if (!other) return undefined;
  return `NotifyEnforcer does not fit ${other.name}: the enforcers act on another call, which may never come; ${instead}`;
}

function isDecided(section: HookDef["section"], { name, syscall }: Call, enforced: readonly Call[]): boolean {
  if (section === "kprobes") return enforced.some((call) => call.name === name && call.syscall === syscall);
  if (seesEverySyscall({ section, call: name })) return enforced.every((call) => call.syscall);
  const ofOne = section === "tracepoints" ? /^syscalls\/sys_enter_(\w+)$/.exec(name)?.[1] : undefined;
  return enforced.every((call) => call.syscall && call.name === `sys_${ofOne}`);
}

/** The probes that do the same as the policy's enforcers; undefined if it lacks one of the two halves. */
function replacementOf(spec: PolicySpec): string | undefined {
  const calls = [...new Set((spec.enforcers ?? []).flatMap(({ calls }) => calls))];
  const actions = [...new Set(selectorsOf(spec).flatMap(notifications))];
  if (calls.length === 0 || actions.length === 0) return undefined;
  return `for this policy: kprobes with ${callsText(calls)}, the selectors that decide, and matchActions ${actions.join(" or ")}`;
}

/** Every selector of a policy, and every macro. */
export function selectorsOf({
  kprobes = [],
  fentries = [],
  tracepoints = [],
  lsmhooks = [],
  selectorsMacros = {},
}: PolicySpec): Selector[] {
  const probes = [...kprobes, ...fentries, ...tracepoints, ...lsmhooks];
  return [...probes.flatMap(({ selectors = [] }) => selectors), ...Object.values(selectorsMacros)];
}

function notifications({ matchActions = [] }: Selector): string[] {
  return matchActions.filter(({ action }) => action === "NotifyEnforcer").map(actionsText);
}

/** An enforcer returns the error instead of making the call, and sends the signal; either may be absent. */
function actionsText({ argError, argSig }: Action): string {
  const override = argError ? [`{ action: Override, argError: ${argError} }`] : [];
  const signal = argSig
    ? [argSig === 9 ? "{ action: Sigkill }" : `{ action: Signal, argSig: ${argSig} }`]
    : [];
  return `[${[...override, ...signal].join(", ")}]`;
}

function callsText(calls: readonly string[]): string {
  const [first = ""] = calls;
  const call = calls.length === 1 ? `call: ${first}` : `one entry for each call of ${calls.join(", ")}`;
  return `${call}, syscall: ${first.startsWith("security_") ? "false" : "true"}`;
}
