/** Filters, arguments and actions in words. Pure. */
import type { ActionDef, ArgDef, FilterDef, HookDef, Range, ReturnFilterDef } from "../../crds/hook-spec.ts";
import { CAPABILITIES } from "../../crds/linux.ts";

/** `arg1.euid.val (uint32)`; `data` starts at a register or the current task. */
export function argumentText({ index, type, source, resolve, label }: ArgDef): string {
  const start = source ?? `arg${index}`;
  const named = label === undefined ? "" : ` "${label}"`;
  return `${[start, ...(resolve === undefined ? [] : [resolve])].join(".")} (${type})${named}`;
}

/** The condition of a filter. */
export function filterText(filter: FilterDef, { args }: Pick<HookDef, "args">): string {
  switch (filter.match) {
    case "pid": {
      const what = filter.namespacePid ? "pid in the process's own namespace" : "pid";
      return `${what} ${isIn(filter.negate)} ${filter.values.join(", ")}${filter.followForks ? ", or of a descendant" : ""}`;
    }
    case "namespace":
      return `${filter.namespace} namespace ${isIn(filter.negate)} ${filter.values.join(", ")}`;
    case "namespaceChange":
      return `${changed(filter.negate)} ${filter.namespaces.join(", ")} namespace since exec`;
    case "capability":
    case "capabilityChange": {
      const names = capabilityNames(filter.mask);
      const where = filter.inNamespace ? " in a user namespace of its own" : "";
      if (filter.match === "capability") return `${filter.set} ${has(filter.negate)} ${names}${where}`;
      return `${changed(filter.negate)} ${names} of ${filter.set} since exec${where}`;
    }
    case "binary":
      return `${filter.of === "parent" ? "parent binary" : "binary"} ${compared(filter.compare, filter.negate)} ${filter.values.join(", ")}${filter.followChildren ? ", or a descendant" : ""}`;
    case "currentCred":
      return `the caller's ${filter.field} ${isIn(filter.negate)} ${rangesText(filter.ranges)}`;
    case "credChange":
      return `new credentials: ${filter.fields.join(" or ")} ${filter.change.toLowerCase()}`;
    case "expression":
      return "the expression over the arguments is true";
    case "arg":
      return argumentFilterText(filter, args);
  }
}

type ArgumentFilter = Extract<FilterDef, { match: "arg" }>;

function argumentFilterText(filter: ArgumentFilter, args: readonly ArgDef[]): string {
  const name = (index: number) => argumentText(args[index] as ArgDef);
  const what = name(filter.arg);
  switch (filter.compare) {
    case "range": {
      const values = [...filter.ranges.map(rangeText), ...(filter.syscalls ?? [])].join(", ");
      return `${what} ${isIn(filter.negate)} ${values}`;
    }
    case "mask":
      return `${what} ${has(filter.negate)} a bit of ${filter.masks.join(", ")}`;
    case "text":
      return `${what} ${textText(filter)}`;
    case "gained":
      return `${name(filter.newArg)} has a capability that ${what} has not`;
    case "fileType":
      return `${what} ${filter.negate ? "is not a" : "is a"} ${filter.types.join(" or ")}`;
  }
}

function textText({ how, negate, values }: Extract<FilterDef, { compare: "text" }> | ReturnText): string {
  return `${compared(how, negate)} ${values.map((value) => JSON.stringify(value)).join(", ")}`;
}

type ReturnText = Extract<ReturnFilterDef, { compare: "text" }>;

/** A condition at return: on the return value, or on what the call has changed. */
export function returnFilterText(filter: ReturnFilterDef, hook: HookDef): string {
  if (filter.match !== "return") return filterText(filter, hook);
  switch (filter.compare) {
    case "range":
      return `the return value ${isIn(filter.negate)} ${rangesText(filter.ranges)}`;
    case "mask":
      return `the return value ${has(filter.negate)} a bit of ${filter.masks.join(", ")}`;
    case "text":
      return `the return value ${textText(filter)}`;
  }
}

/** What a selector does, in order. */
export function actionsText(actions: readonly ActionDef[]): string {
  const implied = actions.some(({ action }) => action === "Post" || action === "NoPost") ? [] : ["post"];
  return [...actions.map(actionText), ...implied].join(", ");
}

function actionText(action: ActionDef): string {
  switch (action.action) {
    case "Post": {
      const { rateLimit } = action;
      const extras = [
        ...(rateLimit
          ? [`at most once in ${rateLimit.intervalMs / 1000} s for equal values per ${rateLimit.scope}`]
          : []),
        ...(action.kernelStackTrace ? ["kernel stack"] : []),
        ...(action.userStackTrace ? ["user stack"] : []),
        ...(action.imaHash ? ["hash of the file"] : []),
      ];
      return ["post", ...extras].join(", ");
    }
    case "NoPost":
      return "do not post";
    case "Sigkill":
      return "kill the process";
    case "Signal":
      return `send signal ${action.signal}`;
    case "Override":
      return `do not make the call, return ${action.error}`;
  }
}

function capabilityNames(mask: string): string {
  const bits = BigInt(mask);
  return CAPABILITIES.filter((_name, bit) => (bits >> BigInt(bit)) & 1n).join(", ");
}

function rangesText(ranges: readonly Range[]): string {
  return ranges.map(rangeText).join(", ");
}

function rangeText([low, high]: Range): string {
  return low === high ? low : `${low} to ${high}`;
}

const isIn = (negate: boolean) => (negate ? "is none of" : "is one of");
const has = (negate: boolean) => (negate ? "has none of" : "has one of");
const changed = (negate: boolean) => (negate ? "changed something other than" : "changed");

function compared(how: string, negate: boolean): string {
  const words: Record<string, string> = {
    equal: "is",
    prefix: "begins with",
    postfix: "ends with",
    substring: "contains",
    substringIgnoreCase: "contains, in any case,",
  };
  return `${negate ? "not: " : ""}${words[how]}`;
}
