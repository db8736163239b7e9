/**
 * What the schema of a hook spec cannot express: what filters refer to exists, ranges are not empty, parts fit the
 * section.
 */
import { credHookOf } from "./cred-hooks.ts";
import type {
  ActionDef,
  ExpressionStep,
  FilterDef,
  HookDef,
  HookSpecError,
  Range,
  ReturnFilterDef,
} from "./hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "./hook-spec-schema.ts";

/** Everything that is wrong with a hook that fits the schema. */
export function checkHook(hook: HookDef, path: string): HookSpecError[] {
  const errors: HookSpecError[] = [];
  const report = (at: string, message: string): void => void errors.push({ path: `${path}.${at}`, message });
  checkSection(hook, report);
  checkIndices(hook, report);
  const filters = hook.selectors.flatMap((selector) => [
    ...selector.filters,
    ...(selector.returnFilters ?? []),
  ]).length;
  if (filters > HOOK_SPEC_LIMITS.hookFilters) {
    report("selectors", `have ${filters} filters, at most ${HOOK_SPEC_LIMITS.hookFilters} are allowed`);
  }
  for (const [s, selector] of hook.selectors.entries()) {
    const at = `selectors[${s}]`;
    for (const [f, filter] of selector.filters.entries())
      checkFilter(filter, hook, `${at}.filters[${f}]`, report);
    checkResults(hook, selector.actions, `${at}.actions`, report);
    const { returnFilters = [], returnActions = [] } = selector;
    if (!hook.returnArg && returnFilters.length > 0) report(`${at}.returnFilters`, "need a returnArg");
    if (!hook.returnArg && returnActions.length > 0) report(`${at}.returnActions`, "need a returnArg");
    for (const [f, filter] of returnFilters.entries())
      checkRanges(filter, `${at}.returnFilters[${f}]`, report);
  }
  return errors;
}

type Report = (at: string, message: string) => void;

function checkSection(hook: HookDef, report: Report): void {
  const isFunction = hook.section === "kprobes" || hook.section === "fentries";
  if ((hook.section === "tracepoints") !== (hook.tracepoint !== undefined)) {
    report("tracepoint", "belongs to hooks of tracepoints, and to each of them");
  }
  if (hook.syscall && !isFunction) report("syscall", `does not fit ${hook.section}`);
  if (hook.returnArg && !isFunction) report("returnArg", `does not fit ${hook.section}`);
}

function checkIndices(hook: HookDef, report: Report): void {
  const most = hook.tracepoint?.raw === false ? HOOK_SPEC_LIMITS.fieldIndex : HOOK_SPEC_LIMITS.argIndex;
  for (const [position, { index }] of hook.args.entries()) {
    if (index > most) report(`args[${position}].index`, `must be <= ${most}`);
  }
}

function checkResults(hook: HookDef, actions: readonly ActionDef[], at: string, report: Report): void {
  const isSecurity = hook.section === "lsmhooks" || (!hook.syscall && hook.call.startsWith("security_"));
  const highest = isSecurity ? HOOK_SPEC_LIMITS.error : -1;
  for (const [a, action] of actions.entries()) {
    if (action.action !== "Override") continue;
    if (action.error === 0) report(`${at}[${a}].error`, "must not be 0: the call would be made");
    else if (action.error > highest) report(`${at}[${a}].error`, `must be <= ${highest}`);
  }
}

function checkFilter(filter: FilterDef, hook: HookDef, at: string, report: Report): void {
  if (filter.match === "credChange" && !credHookOf(hook)) {
    report(at, `${hook.call} receives no new credentials`);
  }
  if (filter.match === "arg") {
    checkPosition(filter.arg, "arg", hook, at, report);
    if (filter.compare === "range" && filter.ranges.length === 0 && !filter.syscalls) {
      report(`${at}.ranges`, "must NOT have fewer than 1 items");
    }
    if (filter.compare === "gained") checkPosition(filter.newArg, "newArg", hook, at, report);
  }
  if (filter.match === "expression") checkSteps(filter.steps, hook, at, report);
  checkRanges(filter, at, report);
}

/** How many values of the stack a step of an expression replaces by one. */
export function operandsOf({ op }: ExpressionStep): 0 | 1 | 2 {
  if (op === "const" || op === "arg") return 0;
  return op === "neg" || op === "not" ? 1 : 2;
}

/** Each step finds its values, one is left, and never more than the limit wait. */
function checkSteps(steps: readonly ExpressionStep[], hook: HookDef, at: string, report: Report): void {
  let depth = 0;
  for (const [n, step] of steps.entries()) {
    if (step.op === "arg") checkPosition(step.arg, `steps[${n}].arg`, hook, at, report);
    const takes = operandsOf(step);
    const isBad = depth < takes || depth - takes + 1 > HOOK_SPEC_LIMITS.expressionDepth;
    if (isBad) {
      report(`${at}.steps[${n}]`, `finds ${depth} values on the stack`);
      return;
    }
    depth += 1 - takes;
  }
  if (depth !== 1) report(`${at}.steps`, `leave ${depth} values`);
}

function checkPosition(position: number, name: string, hook: HookDef, at: string, report: Report): void {
  if (position < hook.args.length) return;
  report(`${at}.${name}`, `is ${position}, the hook has ${hook.args.length} arguments`);
}

function checkRanges(filter: FilterDef | ReturnFilterDef, at: string, report: Report): void {
  const ranges: Range[] = "ranges" in filter ? filter.ranges : [];
  for (const [r, [low, high]] of ranges.entries()) {
    if (BigInt(low) > BigInt(high)) report(`${at}.ranges[${r}]`, `is empty: ${low} is above ${high}`);
  }
}
