/** Whether a selector would have posted an event of an export, as far as the event says what the filter looks at. Pure. */
import type {
  ArgDef,
  FilterDef,
  HookDef,
  Range,
  ReturnFilterDef,
  SelectorDef,
} from "../../crds/hook-spec.ts";

import { isLike } from "../../policy/warnings/contradictions.ts";

/** A hook's event as the JSON export has it. */
export interface HookEvent {
  function_name?: string;
  subsys?: string;
  event?: string;
  policy_name?: string;
  process?: ReplayProcess;
  parent?: ReplayProcess;
  args?: Record<string, unknown>[];
  data?: Record<string, unknown>[];
  return?: Record<string, unknown>;
  credential_change?: Record<string, Change>;
}

interface ReplayProcess {
  pid?: number;
  binary?: string;
  ns?: Record<string, { inum?: number; is_host?: boolean }>;
}

interface Change {
  old?: unknown;
  new?: unknown;
  added?: string[];
  removed?: string[];
}

/** Yes, no, or why it cannot be said. */
export type Verdict = boolean | { unknown: string };

const unknown = (why: string): Verdict => ({ unknown: why });
const not = (verdict: Verdict, negate: boolean): Verdict =>
  typeof verdict === "boolean" ? verdict !== negate : verdict;

/** The hook's event in a line of an export; undefined for other events. */
export function hookEvent(line: Record<string, unknown>, hook: HookDef): HookEvent | undefined {
  const field = {
    kprobes: "process_kprobe",
    fentries: "process_kprobe",
    lsmhooks: "process_lsm",
    tracepoints: "process_tracepoint",
  }[hook.section];
  const event = line[field] as HookEvent | undefined;
  if (!event) return undefined;
  const name = event.function_name ?? `${event.subsys}/${event.event}`;
  const call = hook.syscall ? name.replace(/^__(x64|arm64)_/, "") : name;
  return call === hook.call ? event : undefined;
}

/** Counts of a selector; what neither posted nor failed to match is in `unknown`, by reason. */
export interface Counts {
  posted: number;
  unknown: Map<string, number>;
}

/** What each selector would have done with the events, in the order of the policy; the first that matches decides. */
export function countPosts(events: readonly HookEvent[], hook: HookDef, policy: string): Counts[] {
  const counts = hook.selectors.map(() => ({ posted: 0, unknown: new Map<string, number>() }));
  for (const event of events) {
    for (const [index, selector] of hook.selectors.entries()) {
      const verdict = matches(event, selector, hook, event.policy_name === policy);
      const count = counts[index] as Counts;
      if (verdict === false) continue;
      if (verdict === true) count.posted++;
      else count.unknown.set(verdict.unknown, (count.unknown.get(verdict.unknown) ?? 0) + 1);
      break; // a later selector is asked only if this one does not match
    }
  }
  return counts;
}

function matches(event: HookEvent, selector: SelectorDef, hook: HookDef, isOwn: boolean): Verdict {
  const verdicts = [
    ...selector.filters.map((filter) => filterVerdict(event, filter, hook, isOwn)),
    ...(selector.returnFilters ?? []).map((filter) =>
      filter.match === "return" ? returnVerdict(event, filter) : filterVerdict(event, filter, hook, isOwn),
    ),
  ];
  if (verdicts.includes(false)) return false;
  return verdicts.find((verdict) => verdict !== true) ?? true;
}

function filterVerdict(event: HookEvent, filter: FilterDef, hook: HookDef, isOwn: boolean): Verdict {
  switch (filter.match) {
    case "pid":
      return pidVerdict(event, filter);
    case "namespace":
      return namespaceVerdict(event, filter);
    case "binary":
      return binaryVerdict(event, filter);
    case "credChange":
      return credChangeVerdict(event, filter);
    case "arg":
      return isOwn
        ? argVerdict(event, filter, hook)
        : unknown("the event is of another policy, which may read other arguments");
    case "capability":
    case "currentCred":
      return unknown("an event does not have the caller's credentials at the time of the call");
    case "namespaceChange":
    case "capabilityChange":
      return unknown("an event does not have what changed since exec");
    case "expression":
      return unknown("expressions are not evaluated here");
  }
}

type Filter<M extends FilterDef["match"]> = Extract<FilterDef, { match: M }>;

function pidVerdict({ process }: HookEvent, filter: Filter<"pid">): Verdict {
  if (filter.namespacePid || filter.followForks)
    return unknown("an event has neither pids in namespaces nor all ancestors");
  const pid = process?.pid;
  return pid === undefined
    ? unknown("the event has no pid")
    : not(filter.values.includes(pid), filter.negate);
}

/** Namespaces are those at exec, which is where a process nearly always is. */
function namespaceVerdict(
  { process }: HookEvent,
  { namespace, values, negate }: Filter<"namespace">,
): Verdict {
  const name = namespace.replace(/(?<!^)([A-Z])/g, "_$1").toLowerCase();
  const found = process?.ns?.[name];
  if (!found) return unknown("the event has no namespaces: the agent runs without --enable-process-ns");
  return not(
    values.some((value) => (value === "host_ns" ? found.is_host === true : value === found.inum)),
    negate,
  );
}

function binaryVerdict(event: HookEvent, filter: Filter<"binary">): Verdict {
  if (filter.followChildren) return unknown("an event does not have all ancestors");
  const binary = (filter.of === "parent" ? event.parent : event.process)?.binary;
  if (binary === undefined) return unknown("the event has no such process");
  return not(
    filter.values.some((value) => isLike(binary, filter.compare, value)),
    filter.negate,
  );
}

function credChangeVerdict({ credential_change: changes }: HookEvent, filter: Filter<"credChange">): Verdict {
  if (!changes || "error_arg" in changes) return unknown("the event has no credential_change");
  const verdicts = filter.fields.flatMap((field) => {
    const change = changes[CHANGE_NAMES[field] ?? field];
    return change ? [directionVerdict(change, filter.change)] : [];
  });
  if (verdicts.includes(true)) return true;
  return verdicts.find((verdict) => verdict !== false) ?? false;
}

const CHANGE_NAMES: Readonly<Record<string, string>> = {
  capPermitted: "cap_permitted",
  capEffective: "cap_effective",
  capInheritable: "cap_inheritable",
  capBounding: "cap_bounding",
  capAmbient: "cap_ambient",
  userNamespace: "user_ns",
  noNewPrivs: "no_new_privs",
};

function directionVerdict(change: Change, wanted: Filter<"credChange">["change"]): Verdict {
  if (wanted === "Changed") return true;
  const raised = change.added ?? (change.new === 0 ? ["0"] : undefined);
  const dropped = change.removed ?? (change.old === 0 ? ["0"] : undefined);
  if ((wanted === "Raised" ? raised : dropped)?.length) return true;
  if (raised || dropped) return false;
  return unknown(
    "of other changes than those of capabilities and from or to id 0 this is not evaluated here",
  );
}

function argVerdict(event: HookEvent, filter: Filter<"arg">, hook: HookDef): Verdict {
  const value = argumentOf(event, filter.arg, hook.args);
  if (value === undefined) return unknown("the event does not show the argument");
  switch (filter.compare) {
    case "range":
      if (filter.syscalls?.length) return unknown("numbers of system calls differ between architectures");
      return integerVerdict(value, (number) => inRanges(number, filter.ranges), filter.negate);
    case "mask":
      return integerVerdict(value, (number) => hasBit(number, filter.masks), filter.negate);
    case "text":
      return textVerdict(value, filter);
    case "gained": {
      const gained = integerOf(argumentOf(event, filter.newArg, hook.args));
      const old = integerOf(value);
      return gained === undefined || old === undefined
        ? unknown("the event does not show both sets")
        : (gained & ~old) !== 0n;
    }
    case "fileType":
      return unknown("types of files are not evaluated here");
  }
}

/** Arguments of type nop show nothing and have no entry. */
function argumentOf(event: HookEvent, position: number, args: readonly ArgDef[]): unknown {
  const def = args[position];
  if (!def) return undefined;
  const isData = def.source !== undefined;
  const before = args
    .slice(0, position)
    .filter(({ source, type }) => (source !== undefined) === isData && type !== "nop");
  const entry = (isData ? event.data : event.args)?.[before.length];
  return entry && Object.entries(entry).find(([name]) => name.endsWith("_arg") && name !== "error_arg")?.[1];
}

function integerVerdict(value: unknown, test: (number: bigint) => boolean, negate: boolean): Verdict {
  const number = integerOf(value);
  return number === undefined
    ? unknown("the event does not show the argument as a number")
    : not(test(number), negate);
}

/** Capability sets are 16 hexadecimal digits, numbers of 64 bits decimal strings. */
function integerOf(value: unknown): bigint | undefined {
  if (typeof value === "number") return BigInt(value);
  if (typeof value === "object" && value !== null && "value" in value) return integerOf(value.value);
  if (typeof value !== "string") return undefined;
  if (/^[0-9a-f]{16}$/.test(value)) return BigInt(`0x${value}`);
  return /^-?\d+$/.test(value) ? BigInt(value) : undefined;
}

function inRanges(number: bigint, ranges: readonly Range[]): boolean {
  return ranges.some(([low, high]) => number >= BigInt(low) && number <= BigInt(high));
}

function hasBit(number: bigint, masks: readonly string[]): boolean {
  return masks.some((mask) => (number & BigInt(mask)) !== 0n);
}

type TextFilter = Extract<FilterDef | ReturnFilterDef, { compare: "text" }>;

function textVerdict(value: unknown, filter: TextFilter): Verdict {
  const text = typeof value === "string" ? value : (value as { path?: string }).path;
  if (text === undefined) return unknown("the event does not show the argument as a string");
  return not(
    filter.values.some((wanted) => isLike(text, filter.how, wanted)),
    filter.negate,
  );
}

function returnVerdict(
  { return: returned }: HookEvent,
  filter: Extract<ReturnFilterDef, { match: "return" }>,
): Verdict {
  const value = returned && Object.entries(returned).find(([name]) => name.endsWith("_arg"))?.[1];
  if (value === undefined) return unknown("the event has no return value");
  if (filter.compare === "text") return textVerdict(value, filter);
  const test = (number: bigint) =>
    filter.compare === "range" ? inRanges(number, filter.ranges) : hasBit(number, filter.masks);
  return integerVerdict(value, test, filter.negate);
}
