/** Entries of tracepoints. */
import { isReadable } from "../../crds/argument-types.ts";
import type { ArgDef, HookDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { bareName, SYSCALL_NAMES } from "../../crds/syscall-table.ts";
import { child, type Problems } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import type { TracepointProbe } from "../types.ts";
import { compileArgs } from "./args.ts";
import type { ProbeContext } from "./context.ts";
import { checkArgsOfCall, syscallDoubt, syscallFaults } from "./fit.ts";
import { compileCommon } from "./probe.ts";
import { functionOfSyscall, isFunctionOfSyscall, parametersOf } from "./prototypes.ts";
import { COMMON_FIELDS, checkRecordedFields } from "./recorded-fields.ts";

const WORD = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** The hook of a tracepoint. */
export function compileTracepoint(probe: TracepointProbe, context: ProbeContext): HookDef[] {
  const { path, section, problems } = context;
  const { subsystem, event, raw = false } = probe;
  checkName(subsystem, "a subsystem", `${path}.subsystem`, problems);
  checkName(event, "an event", `${path}.event`, problems);
  const name = `${subsystem}/${event}`;
  if (raw && subsystem === "syscalls") {
    const raws = "raw_syscalls/sys_enter and raw_syscalls/sys_exit";
    problems.error(
      `${path}.raw`,
      `${quote(name)} exists as a trace event only: leave raw out, or hook ${raws}`,
    );
  }
  if (name.length > HOOK_SPEC_LIMITS.functionNameLength)
    problems.error(`${path}.event`, `is too long: ${quote(name)}`);
  warnOfSyscallEvent(probe, path, problems);
  const args = compileArgs(probe, context, raw);
  if (raw)
    checkArgsOfCall(
      args,
      path,
      { name: event, syscall: false, path: `${path}.event`, rawTracepoint: true },
      problems,
    );
  else {
    checkFields(args, probe, `${path}.args`, problems);
    checkRecordedFields(args, probe, `${path}.args`, problems);
  }
  checkSyscallArgs(args, probe, `${path}.args`, problems);
  const calls = [{ name, syscall: false, path: `${path}.event` }];
  return [
    {
      path,
      section,
      call: name,
      tracepoint: { subsystem, event, raw },
      syscall: false,
      ignoreCallNotFound: false,
      args,
      ...compileCommon(probe, { calls, args, data: 0, returnArg: undefined }, context),
    },
  ];
}

/** Name of the system call at whose entry or return an event is. */
function syscallOf(event: string): string | undefined {
  return /^sys_(?:enter|exit)_(\w+)$/.exec(event)?.[1];
}

/** Nodes find out whether an event exists; a slip in its name can be told before. */
function warnOfSyscallEvent({ subsystem, event }: TracepointProbe, path: string, problems: Problems): void {
  const call = syscallOf(event);
  if (call === undefined) {
    const name = functionOfSyscall(bareName(event));
    if (subsystem === "syscalls" && isFunctionOfSyscall(name))
      problems.warn(`${path}.event`, `is no event: write sys_enter_${name} or sys_exit_${name}`);
    return;
  }
  if (subsystem !== "syscalls") {
    problems.warn(`${path}.subsystem`, `${quote(subsystem)} has no event ${event}: it is in syscalls`);
    return;
  }
  const own = functionOfSyscall(call);
  if (own !== call) {
    problems.warn(
      `${path}.event`,
      `is not what 64-bit programs reach by this call: write ${event.replace(call, own)}`,
    );
    return;
  }
  const hint = isFunctionOfSyscall(call) ? "" : didYouMean(call, SYSCALL_NAMES);
  if (hint !== "")
    problems.warn(
      `${path}.event`,
      `is about ${quote(call)}, which is no system call that Trigon knows${hint}`,
    );
}

/** Nodes know the fields of all events; those of system calls are the same on each. */
function checkFields(
  args: readonly ArgDef[],
  { subsystem, event }: TracepointProbe,
  path: string,
  problems: Problems,
): void {
  const { length: parameters } = parametersOf(syscallOf(event) ?? "") ?? Array(MOST_PARAMETERS);
  const isExit = /^sys_exit(?:_|$)/.test(event);
  const isSyscallEvent = subsystem === "syscalls" && syscallOf(event) !== undefined;
  const last = FIELDS_BEFORE + (isExit ? 1 : parameters) - 1;
  for (const [position, { index, type }] of args.entries()) {
    const at = `${child(path, position)}.index`;
    if (index < COMMON_FIELDS && type !== "nop") {
      const first =
        subsystem === "syscalls" ? `${isExit ? "ret" : "the first parameter"} is 5` : "its own begin at 4";
      problems.error(at, `is ${index}, a field that all events have and programs cannot read: ${first}`);
    } else if (isSyscallEvent && index > last && index <= HOOK_SPEC_LIMITS.fieldIndex)
      problems.error(at, `is ${index}, beyond the fields of ${event}: the last index is ${last}`);
  }
}

/** Of a system call. */
const MOST_PARAMETERS = 6;

/** Fields before the first parameter: those that all events have, and the number of the call. */
const FIELDS_BEFORE = 5;

/** What a call is given are the fields of its entry. */
function checkSyscallArgs(
  args: readonly ArgDef[],
  { subsystem, event }: TracepointProbe,
  path: string,
  problems: Problems,
): void {
  const call = event.startsWith("sys_enter_") && subsystem === "syscalls" ? syscallOf(event) : undefined;
  for (const [position, { index, type }] of args.entries()) {
    const parameter = index - FIELDS_BEFORE;
    if (call === undefined || parameter < 0 || !isReadable(type)) continue;
    const arg = { index: parameter, type };
    const at = `${child(path, position)}.type`;
    const faults = syscallFaults(arg, call).filter(({ field }) => field === "type");
    for (const { message } of faults) problems.error(at, message);
    const doubt = faults.length > 0 ? undefined : syscallDoubt(arg, call);
    if (doubt !== undefined) problems.warn(at, doubt);
  }
}

function checkName(name: string, what: string, path: string, problems: Problems): void {
  if (name === "") problems.error(path, `is empty: name ${what} below /sys/kernel/tracing/events`);
  else if (!WORD.test(name))
    problems.error(path, `${quote(name)} is not the name of ${what}: letters, digits, "_" and "-"`);
}
