/** Arguments of a hook. */
import { isDeepStrictEqual } from "node:util";
import { type ArgDef, type ArgType, KERNEL_STRUCTURE_TYPES } from "../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS, HOOK_SPEC_SCHEMA } from "../crds/hook-spec-schema.ts";
import type { Call } from "./calls.ts";
import { child, type Problems } from "./problems.ts";
import { LATER_ARGUMENT_TYPES, refuse } from "./support.ts";
import { parametersOf, prototypeOf } from "./syscalls.ts";
import type { FunctionProbe, ProbeArgument } from "./types.ts";

const READABLE: readonly string[] =
  HOOK_SPEC_SCHEMA.properties.hooks.items.properties.args.items.properties.type.enum;

/** The arguments of a probe; entries that are wrong keep their position so that filters still find their own. */
export function compileArgs(probe: FunctionProbe, path: string, problems: Problems): ArgDef[] {
  const args = probe.args ?? [];
  const data = probe.data ?? [];
  if (data.length > 0) refuse("data", `${path}.data`, problems);
  if (args.length + data.length > HOOK_SPEC_LIMITS.args) {
    const more = data.length > 0 ? ` and ${data.length} data` : "";
    problems.error(
      `${path}.args`,
      `has ${args.length} entries${more}: at most ${HOOK_SPEC_LIMITS.args} can be read`,
    );
  }
  warnOfDoubles(args, path, problems);
  return args.map((arg, index) => compileArg(arg, child(`${path}.args`, index), problems));
}

/** What only the function can tell: an index beyond its parameters, a kernel structure passed by user space. */
export function checkArgsOfCall(args: ArgDef[], path: string, call: Call, problems: Problems): void {
  const parameters = parametersOf(call.name, call.syscall);
  for (const [position, arg] of args.entries()) {
    const at = child(`${path}.args`, position);
    if (parameters && arg.index >= parameters.length && arg.index <= HOOK_SPEC_LIMITS.argIndex) {
      const prototype = prototypeOf(call.name, call.syscall);
      const last = parameters.length - 1;
      const right = last < 0 ? "it has no parameters" : `the last index is ${last}`;
      problems.error(`${at}.index`, `is ${arg.index}, beyond the parameters of ${prototype}: ${right}`);
    }
    if (call.syscall && KERNEL_STRUCTURE_TYPES.has(arg.type)) {
      problems.error(`${at}.type`, `${arg.type} is a structure of the kernel: no system call takes one`);
    }
  }
}

/** A parameter may be read several times, as different types; the same twice only costs. */
function warnOfDoubles(args: ProbeArgument[], path: string, problems: Problems): void {
  for (const [position, arg] of args.entries()) {
    const earlier = args.findIndex((other) => isDeepStrictEqual(other, arg));
    if (earlier < position) problems.warn(child(`${path}.args`, position), `is the same as args[${earlier}]`);
  }
}

function compileArg(arg: ProbeArgument, path: string, problems: Problems): ArgDef {
  if (arg.index > HOOK_SPEC_LIMITS.argIndex) {
    problems.error(`${path}.index`, `is ${arg.index}, out of bounds: 0 to ${HOOK_SPEC_LIMITS.argIndex}`);
  }
  checkType(arg.type, `${path}.type`, problems);
  checkLabel(arg.label, `${path}.label`, problems);
  if (arg.source) problems.error(`${path}.source`, "belongs to entries of data: an argument has no source");
  if (arg.sizeArgIndex)
    problems.error(`${path}.sizeArgIndex`, `fits char_buf and char_iovec only, not ${arg.type}`);
  if (arg.maxData) problems.error(`${path}.maxData`, `fits char_buf and char_iovec only, not ${arg.type}`);
  if (arg.returnCopy) refuse("returnCopy", `${path}.returnCopy`, problems);
  if (arg.resolve) refuse("resolve", `${path}.resolve`, problems);
  if (arg.btfType) refuse("btfType", `${path}.btfType`, problems);
  if (arg.btfTypeModule) refuse("btfType", `${path}.btfTypeModule`, problems);
  return { index: arg.index, type: arg.type as ArgType, ...(arg.label ? { label: arg.label } : {}) };
}

/** Reports a label that is longer than events carry. */
export function checkLabel(label: string | undefined, path: string, problems: Problems): void {
  const most = HOOK_SPEC_LIMITS.labelLength;
  if (label !== undefined && [...label].length > most)
    problems.error(path, `is longer than ${most} characters`);
}

function checkType(type: string, path: string, problems: Problems): void {
  if (READABLE.includes(type)) return;
  if (type === "auto")
    problems.error(path, `auto does not fit a kernel function: name the type, for example int`);
  else if (type === "syscall64") problems.error(path, "syscall64 fits tracepoints only");
  else if (LATER_ARGUMENT_TYPES.has(type))
    problems.error(path, `the argument type ${type} is not supported yet`);
  else problems.error(path, `the argument type ${type} is not supported: Trigon watches credentials`);
}
