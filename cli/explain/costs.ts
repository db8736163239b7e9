/**
 * What attaching and posting cost, in instructions per call on kernel 6.1, in a guest whose clock counts them: medians,
 * repeatable to a percent. Figures of fentry, of a filter and of events are from `npm run bench -- hook-cost`; those of
 * empty programs that are attached otherwise were counted in the same way, once. What is absent has not been measured.
 */
import { type FilterDef, type HookDef, overrides, type ReturnFilterDef } from "../../crds/hook-spec.ts";

/** How a hook is attached where the kernel allows it, and what comes in its place where it does not. */
export interface AttachPlan {
  first: string;
  /** Absent: the hook fails where the first is not possible. */
  otherwise?: string;
  /** Where the order is another one. */
  note?: string;
}

/** What a program that does nothing adds to each call of what it is attached to. */
const EMPTY_PROGRAM: Readonly<Record<string, number>> = { fentry: 123, kprobe: 327, lsm: 157 };
/** The same at return. */
const EMPTY_AT_RETURN: Readonly<Record<string, number>> = { fentry: 167, kprobe: 565 };
/** What a hook with one filter adds that does not match, less the empty program: 213 - 123. */
const FILTERED_OUT = 90;
/** What a posted event adds by fentry, as a whole. */
const POSTED: Readonly<Record<string, number>> = { cred: 1505, int: 503 };

/** Which way of attaching each node tries first; a node that differs says why in the policy's status. */
export function attachPlan(hook: HookDef): AttachPlan {
  if (hook.section === "lsmhooks") return { first: "lsm" };
  if (hook.section === "tracepoints") {
    return hook.tracepoint?.raw ? { first: "tp_btf", otherwise: "raw_tracepoint" } : { first: "tracepoint" };
  }
  if (overrides(hook)) {
    return hook.call.startsWith("security_")
      ? { first: "fmod_ret" }
      : { first: "kprobe", otherwise: "fmod_ret" };
  }
  if (hook.section === "fentries") return { first: "fentry" };
  const otherwise = hook.syscall ? "kprobe, then the system call's tracepoint" : "kprobe";
  return { first: "fentry", otherwise, note: "kprobe comes first on kernels that preempt programs" };
}

/** One line about what each call costs, matched or not. */
export function attachCost(hook: HookDef): string {
  const { first } = attachPlan(hook);
  const entry = EMPTY_PROGRAM[first];
  if (entry === undefined) return `attaching by ${first} is not measured`;
  const atReturn = hook.returnArg ? EMPTY_AT_RETURN[first] : undefined;
  const both = atReturn === undefined ? "" : `, and ${atReturn} at its return`;
  return `about ${entry} instructions in each call${both}, before any filter`;
}

/** One line about what a posted event costs. */
export function postCost(hook: HookDef): string {
  const { args, returnArg } = hook;
  const [only, ...others] = args;
  const isMeasured = attachPlan(hook).first === "fentry" && others.length === 0 && !returnArg;
  const known = only && isMeasured && POSTED[only.type];
  return known ? `about ${known} instructions` : "not measured for these arguments";
}

const WORK: Readonly<Record<string, string>> = {
  pid: "reads the process",
  namespace: `follows pointers to the namespace; about ${FILTERED_OUT} instructions with the program's start`,
  namespaceChange: "reads the namespaces and compares them with those at exec",
  capability: "reads one capability set of the process",
  capabilityChange: "reads one capability set and compares it with that at exec",
  binary: "one look-up of the process, and one of its path",
  currentCred: "reads one field of the caller's credentials",
  credChange: "reads the old and the new value of each field that is listed",
  arg: "reads one argument",
  expression: "reads each argument that is named, and counts",
  return: "compares the return value",
};

/** What a filter does at each call that reaches it. */
export function filterCost(filter: FilterDef | ReturnFilterDef): string {
  if (filter.match === "binary" && filter.compare !== "equal")
    return "one look-up, and a comparison for each value";
  if (filter.match === "binary" && filter.followChildren) return "up to 32 look-ups, one for each ancestor";
  if ("how" in filter) return "copies the string, and compares it";
  return WORK[filter.match] ?? "not measured";
}
