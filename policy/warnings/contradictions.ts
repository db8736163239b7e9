/** Selectors that can never match: their filters exclude each other, or an earlier selector takes every hit. */
import { isDeepStrictEqual } from "node:util";
import type {
  FilterDef,
  HookDef,
  Range,
  ReturnFilterDef,
  SelectorDef,
  TextComparison,
} from "../../crds/hook-spec.ts";
import type { Problems } from "../problems.ts";
import { CURRENT_CRED_FIELDS } from "../values/current-creds.ts";
import { bounds, integerType } from "../values/integers.ts";

/** A filter at entry or at return. */
export type AnyFilter = FilterDef | ReturnFilterDef;
type Filter<M extends AnyFilter["match"]> = Extract<AnyFilter, { match: M }>;
type Interval = [low: bigint, high: bigint];

/** Beyond every 64-bit value, signed or unsigned. */
const LEAST = -(1n << 64n);
const MOST = 1n << 64n;
const EVERY: Interval = [LEAST, MOST];

/** Warns of each selector that no call can match. */
export function warnOfContradictions(hook: HookDef, problems: Problems): void {
  for (const [index, selector] of hook.selectors.entries()) {
    const reason = contradiction(hook, selector) ?? hiddenBy(hook, hook.selectors.slice(0, index), selector);
    const path = `${hook.path}.selectors[${index}]`;
    if (reason !== undefined) problems.warn(path, `never matches: ${reason}`);
    else warnOfSilentOverride(hook, selector, `${path}.matchReturnArgs`, problems);
  }
}

/** After an Override the call returns its error, and the filters of the return value see that. */
function warnOfSilentOverride(
  hook: HookDef,
  { actions, returnFilters = [] }: SelectorDef,
  path: string,
  problems: Problems,
): void {
  const override = actions.find((action) => action.action === "Override");
  const type = hook.returnArg && integerType(hook.returnArg.type);
  if (!override || !type || returnFilters.length === 0) return;
  const { error } = override;
  const seen = `${type.signed ? error : BigInt.asUintN(type.bits, BigInt(error))}`;
  const returned: ReturnFilterDef = {
    match: "return",
    negate: false,
    compare: "range",
    ranges: [[seen, seen]],
  };
  if (!isPossible(hook, [...returnFilters, returned]))
    problems.warn(
      path,
      `leave out ${error}, which Override lets the call return: it is refused without an event`,
    );
}

function hiddenBy(
  hook: HookDef,
  earlier: readonly SelectorDef[],
  { filters, scope }: SelectorDef,
): string | undefined {
  const by = earlier.findIndex(
    (other) =>
      (other.returnFilters ?? []).length === 0 &&
      (other.scope === undefined || isDeepStrictEqual(other.scope, scope)) &&
      other.filters.every((filter) => implies(hook, filters, filter)),
  );
  if (by < 0) return undefined;
  const what = earlier[by]?.filters.length === 0 ? "has no filters" : "matches all that this one matches";
  return `selectors[${by}] ${what}, and the first selector that matches decides`;
}

/** Whether no value that passes the filters is one that the other filter leaves out. */
function implies(hook: HookDef, filters: readonly FilterDef[], other: FilterDef): boolean {
  if (filters.some((own) => isDeepStrictEqual(own, other))) return true;
  const operand = operandOf(other);
  if (operand === undefined || !("negate" in other) || "masks" in other) return false;
  const own = filters.filter((filter) => operandOf(filter) === operand);
  return !isPossible(hook, [...own, { ...other, negate: !other.negate }]);
}

function contradiction(hook: HookDef, { filters, returnFilters = [] }: SelectorDef): string | undefined {
  const groups = Map.groupBy([...filters, ...returnFilters], operandOf);
  for (const [operand, group] of groups) {
    if (operand !== undefined && (group.length > 1 || operand.startsWith("text")) && !isPossible(hook, group))
      return `its filters on ${operand.replace(/^text of /, "")} exclude each other`;
  }
  return namespaceContradiction(filters);
}

/** Whether the filters look at the same value, and none passes all of them. */
export function excludeEachOther(hook: HookDef, filters: readonly AnyFilter[]): boolean {
  const [operand, ...others] = new Set(filters.map(operandOf));
  return operand !== undefined && others.length === 0 && !isPossible(hook, filters);
}

/** What a filter looks at; undefined for one that is not compared with others. */
function operandOf(filter: AnyFilter): string | undefined {
  switch (filter.match) {
    case "pid":
      return `the ${filter.namespacePid ? "namespaced " : ""}pid${filter.followForks ? "s that forks are followed from" : ""}`;
    case "namespace":
      return `the ${filter.namespace} namespace`;
    case "capability":
      return `the ${filter.set} capabilities`;
    case "currentCred":
      return `the current ${filter.field}`;
    case "return":
      if (filter.compare === "text") return "text of the return value";
      return "the return value";
    case "arg":
      if (filter.compare === "range") return filter.syscalls ? undefined : `args[${filter.arg}]`;
      if (filter.compare === "mask") return `args[${filter.arg}]`;
      if (filter.compare === "text") return `text of args[${filter.arg}]`;
      return filter.compare === "fileType" ? `the file type of args[${filter.arg}]` : undefined;
    default:
      return undefined;
  }
}

/** Whether some value passes all filters of a group, which look at the same operand in the same way. */
function isPossible(hook: HookDef, group: readonly AnyFilter[]): boolean {
  const [first] = group;
  if (first && ("ranges" in first || "masks" in first))
    return isPossibleNumber(domainOf(hook, first), group as readonly NumberFilter[]);
  if (first?.match === "capability") return isPossibleSet(group as Filter<"capability">[]);
  if (first && "how" in first) return isPossibleText(group as TextFilter[]);
  if (first?.match === "pid" && first.followForks) return isPossibleDescent(group as readonly ListFilter[]);
  return isPossibleMember(group as readonly ListFilter[]);
}

type RangeFilter = { negate: boolean; ranges: Range[] };
type NumberFilter = RangeFilter | { masks: string[] };

/** Every value that the operand of a filter can have. */
function domainOf({ args, returnArg }: HookDef, filter: AnyFilter): Interval {
  if (filter.match === "currentCred") return [0n, CURRENT_CRED_FIELDS[filter.field].most];
  const read = filter.match === "arg" ? args[filter.arg] : returnArg;
  const type = read && integerType(read.type);
  return type ? bounds(type) : EVERY;
}

/** Each mask needs one of its bits in a number that all ranges leave. */
function isPossibleNumber(domain: Interval, filters: readonly NumberFilter[]): boolean {
  const left = intersect(
    domain,
    filters.filter((filter) => "ranges" in filter),
  );
  const masks = filters.flatMap((filter) => ("masks" in filter ? filter.masks.map(BigInt) : []));
  return left.some((interval) => masks.every((mask) => hasBitOf(mask, interval)));
}

function hasBitOf(mask: bigint, [low, high]: Interval): boolean {
  for (let bit = 0n; mask >> bit > 0n; bit++) {
    const isBitOf = (mask >> bit) & 1n;
    const firstWithBit = (low >> bit) & 1n ? low : ((low >> bit) | 1n) << bit;
    if (isBitOf && firstWithBit <= high) return true;
  }
  return false;
}

function intersect(domain: Interval, filters: readonly RangeFilter[]): Interval[] {
  return filters.reduce<Interval[]>((allowed, filter) => common(allowed, intervalsOf(filter)), [domain]);
}

function intervalsOf({ negate, ranges }: { negate: boolean; ranges: Range[] }): Interval[] {
  const intervals = ranges.map(([low, high]): Interval => [BigInt(low), BigInt(high)]);
  return negate ? complement(intervals) : intervals;
}

/** `intervals` are sorted and disjoint. */
function complement(intervals: readonly Interval[]): Interval[] {
  const lows = [LEAST, ...intervals.map(([, high]) => high + 1n)];
  const highs = [...intervals.map(([low]) => low - 1n), MOST];
  return lows.map((low, n): Interval => [low, highs[n] ?? MOST]).filter(([low, high]) => low <= high);
}

function common(a: readonly Interval[], b: readonly Interval[]): Interval[] {
  return a.flatMap((one) => b.map((other) => overlap(one, other))).filter(([low, high]) => low <= high);
}

function overlap(a: Interval, b: Interval): Interval {
  const [, low] = [a[0], b[0]].toSorted(ascending) as Interval;
  const [high] = [a[1], b[1]].toSorted(ascending) as Interval;
  return [low, high];
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}

/** In needs one bit of its mask, NotIn none of its own. */
function isPossibleSet(filters: readonly Filter<"capability">[]): boolean {
  const forbidden = filters.reduce((mask, filter) => (filter.negate ? mask | BigInt(filter.mask) : mask), 0n);
  return filters.every(({ negate, mask }) => negate || (BigInt(mask) & ~forbidden) !== 0n);
}

/** In and NotIn, of values or of file types. */
type ListFilter = { negate: boolean; values?: unknown[]; types?: unknown[] };

/** A process may descend from several of a list, of In at least from one and of NotIn from none. */
function isPossibleDescent(filters: readonly ListFilter[]): boolean {
  const excluded = filters.filter(({ negate }) => negate).flatMap(listOf);
  return filters.every(
    (filter) => filter.negate || listOf(filter).some((value) => !excluded.includes(value)),
  );
}

function isPossibleMember(filters: readonly ListFilter[]): boolean {
  const [wanted, ...others] = filters.filter(({ negate }) => !negate).map(listOf);
  if (!wanted) return true;
  const excluded = filters.filter(({ negate }) => negate).flatMap(listOf);
  return wanted.some((value) => others.every((list) => list.includes(value)) && !excluded.includes(value));
}

function listOf({ values = [], types = values }: { values?: unknown[]; types?: unknown[] }): unknown[] {
  return types;
}

type TextFilter = Extract<AnyFilter, { how: TextComparison }>;

/** Whole texts are tried on the other filters; without one, only beginnings are compared with each other. */
function isPossibleText(filters: readonly TextFilter[]): boolean {
  const whole = filters.find(({ how, negate }) => how === "equal" && !negate);
  if (whole) return whole.values.some((text) => filters.every((filter) => passes(text, filter)));
  const startsSo = (a: string, b: string) => a.startsWith(b) || b.startsWith(a);
  const endsSo = (a: string, b: string) => a.endsWith(b) || b.endsWith(a);
  if (!agree(filters, "prefix", startsSo) || !agree(filters, "postfix", endsSo)) return false;
  return filters.every((filter) => isLeft(filter, filters));
}

/** Whether a beginning or ending is left by the filters that exclude shorter ones. */
function isLeft({ how, negate, values }: TextFilter, filters: readonly TextFilter[]): boolean {
  if (negate || (how !== "prefix" && how !== "postfix")) return true;
  const excluding = filters.filter((filter) => filter.negate && filter.how === how);
  return values.some((value) => excluding.every((filter) => passes(value, filter)));
}

/** Whether each two filters have values that one string can be like. */
function agree(
  filters: readonly TextFilter[],
  wanted: TextComparison,
  together: (a: string, b: string) => boolean,
): boolean {
  const parts = filters.filter(({ how, negate }) => how === wanted && !negate);
  return parts.every((one) =>
    parts.every((other) => one.values.some((a) => other.values.some((b) => together(a, b)))),
  );
}

function passes(text: string, { how, negate, values }: TextFilter): boolean {
  return values.some((value) => isLike(text, how, value)) !== negate;
}

/** Whether a string is like a value of a filter; values that are compared without regard to case are in lower case. */
export function isLike(text: string, how: TextFilter["how"], value: string): boolean {
  switch (how) {
    case "equal":
      return text === value;
    case "prefix":
      return text.startsWith(value);
    case "postfix":
      return text.endsWith(value);
    case "substring":
      return text.includes(value);
    case "substringIgnoreCase":
      return text.toLowerCase().includes(value);
  }
}

/** isNamespaceCapability leaves out every process of the initial user namespace. */
function namespaceContradiction(filters: readonly FilterDef[]): string | undefined {
  if (!filters.some((filter) => "inNamespace" in filter && filter.inNamespace)) return undefined;
  const isInitialOnly = filters.some(
    (filter) =>
      filter.match === "namespace" &&
      filter.namespace === "User" &&
      !filter.negate &&
      filter.values.every((value) => value === "host_ns"),
  );
  const outside = "isNamespaceCapability: true leaves out processes of the initial user namespace";
  return isInitialOnly ? `${outside}, and matchNamespaces takes no others` : undefined;
}
