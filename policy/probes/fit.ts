/** Whether arguments fit what a hook is attached to, as far as that is known before a node looks: index, type, members. */
import { isAddress, misfit, misfitOfReturn, misfitOfSyscall, type Shape } from "../../crds/argument-fit.ts";
import { type ArgType, isKernelStructure, isReadable, traitsOf } from "../../crds/argument-types.ts";
import type { ArgDef, ReturnDef } from "../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { bareName } from "../../crds/syscall-table.ts";
import { child, type Problems } from "../problems.ts";
import type { Call } from "./calls.ts";
import { reportFaults } from "./kernel-faults.ts";
import { resolveError } from "./members.ts";
import type { Prototype } from "./prototype.ts";
import { ALL_KERNELS, parametersOf, prototypeOf, recordedPrototypes, showPrototype } from "./prototypes.ts";
import { checkMembers } from "./recorded-members.ts";

/** What is wrong with a field of an argument. */
interface Fault {
  field: "index" | "type" | "resolve" | "sizeArgIndex";
  message: string;
}

/** Reports arguments that no kernel takes, and warns of those that some do not. */
export function checkArgsOfCall(args: ArgDef[], path: string, call: Call, problems: Problems): void {
  for (const [position, arg] of args.entries()) {
    const at = child(`${path}.args`, position);
    if (arg.index > HOOK_SPEC_LIMITS.argIndex || !isReadable(arg.type)) continue; // an error already
    if (call.syscall) checkSyscall(arg, at, call, problems);
    else {
      checkRecorded(arg, at, call, problems);
      checkParameter(arg, at, call, problems);
    }
  }
}

function checkSyscall(arg: ArgDef, at: string, { name }: Call, problems: Problems): void {
  const faults = syscallFaults(arg, name);
  for (const { field, message } of faults) problems.error(`${at}.${field}`, message);
  if (faults.length > 0) return;
  const doubt = syscallDoubt(arg, name);
  if (doubt !== undefined) problems.warn(`${at}.type`, doubt);
}

/** Names of parameters that are such numbers. */
const NUMBER_NAMES: Partial<Record<ArgType, RegExp>> = { capability: /cap/i, fd: /fd|fildes|mqdes/i };

/** What is to be said of a number that may be none of the type, because its name is that of something else. */
function numberDoubt(
  { type, index, resolve, source }: ArgDef,
  parameters: readonly string[],
  shown: string,
): string | undefined {
  const names = NUMBER_NAMES[type];
  const parameter = parameters[index];
  if (names === undefined || parameter === undefined || resolve !== undefined || source !== undefined)
    return undefined;
  if (names.test(nameOf(parameter))) return undefined;
  const right = parameters.findIndex((other) => !isAddress(declaredType(other)) && names.test(nameOf(other)));
  const instead = right < 0 ? "" : `, or read parameter ${right}, which is one`;
  return `reads parameter ${index} of ${shown} as ${type}, and its name is that of another number: write int or uint32${instead}`;
}

/** Calls of prctl have them in two of its numbers: PR_CAPBSET_DROP, PR_CAP_AMBIENT. */
const CAPABILITIES_OF_PRCTL = [1, 2];

/** The same for a system call (`sys_setuid` or `setuid`), of which most parameters are not known. */
export function syscallDoubt(arg: ArgDef, name: string): string | undefined {
  if (arg.type !== "capability" || arg.source !== undefined)
    return numberDoubt(arg, parametersOf(name) ?? [], prototypeOf(name));
  if (bareName(name) === "prctl" && CAPABILITIES_OF_PRCTL.includes(arg.index)) return undefined;
  return "no system call has a capability as parameter but prctl, whose arg2 and arg3 may be one: write int or uint32";
}

/** The same for what is read at return; a system call returns a number. */
export function checkReturnOfCall(
  returnArg: ReturnDef | undefined,
  path: string,
  call: Call,
  problems: Problems,
): void {
  if (!returnArg || returnArg.type === "nop" || !isReadable(returnArg.type)) return;
  if (["buffer", "placeholder"].includes(traitsOf(returnArg.type).family)) return; // an error already
  const returns: [kernels: number, declared: string][] = call.syscall
    ? [[ALL_KERNELS, "long"]]
    : recordedPrototypes(call).map(([kernels, declared]) => [kernels, declared]);
  const faults = returns.flatMap(([kernels, declared]) => {
    const reason = misfitOfReturn(returnArg.type, declared);
    return reason === undefined ? [] : [{ kernels, reason }];
  });
  const newest = faults.at(-1);
  if (!newest) return;
  const message = `${returnArg.type} does not fit ${call.name}: ${newest.reason}`;
  const fault = { path: `${path}.returnArg.type`, message };
  reportFaults(faults, faults.length === returns.length, fault, problems);
}

/** What is wrong with an argument of a system call, as far as its parameters are known. */
export function syscallFaults(arg: ArgDef, name: string): Fault[] {
  const faults: Fault[] = [];
  const isStructure = isKernelStructure(arg.type);
  if (isStructure) {
    const instead = arg.type === "filename" ? "write string" : "no system call takes one";
    faults.push({ field: "type", message: `${arg.type} is a structure of the kernel: ${instead}` });
  }
  const parameters = parametersOf(name);
  if (!parameters) return faults;
  const shown = prototypeOf(name);
  const outside = beyond(arg, parameters.length, shown);
  if (outside) return [...faults, outside];
  const declared = declaredType(parameters[arg.index] ?? "");
  const advice = isStructure ? undefined : misfitOfSyscall(arg.type, declared);
  if (advice !== undefined) faults.push(typeFault(arg, shown, advice));
  return faults;
}

function checkRecorded(arg: ArgDef, at: string, call: Call, problems: Problems): void {
  const prototypes = recordedPrototypes(call);
  const faults = prototypes.flatMap((prototype) => {
    const fault = faultOf(arg, call.name, prototype);
    return fault ? [{ ...fault, kernels: prototype[0] }] : [];
  });
  const newest = faults.at(-1);
  if (!newest) {
    warnOfOtherNumber(arg, at, call, prototypes.at(-1), problems);
    return;
  }
  const fault = { path: `${at}.${newest.field}`, message: newest.message };
  reportFaults(faults, faults.length === prototypes.length, fault, problems);
}

/** What a path leads to from the structure that the parameter points to. */
function checkParameter(arg: ArgDef, at: string, call: Call, problems: Problems): void {
  const { resolve } = arg;
  if (resolve === undefined || arg.btfType || resolveError(resolve) !== undefined) return;
  const prototypes = recordedPrototypes(call);
  const startOf = (kernel: number): string | undefined => {
    const parameters = prototypes.find(([kernels]) => kernels & (1 << kernel))?.[2];
    return /^(?:const )?(?:struct|union) (\w+) \*$/.exec(declaredType(parameters?.[arg.index] ?? ""))?.[1];
  };
  checkMembers({ type: arg.type, resolve }, startOf, at, problems);
}

function warnOfOtherNumber(
  arg: ArgDef,
  at: string,
  { name }: Call,
  prototype: Prototype | undefined,
  problems: Problems,
): void {
  if (!prototype || arg.btfType) return;
  const doubt = numberDoubt(arg, prototype[2], showPrototype(name, prototype));
  if (doubt !== undefined) problems.warn(`${at}.type`, doubt);
}

function faultOf(arg: ArgDef, name: string, prototype: Prototype): Fault | undefined {
  const [, , parameters, shapes] = prototype;
  const shown = showPrototype(name, prototype);
  const outside = beyond(arg, parameters.length, shown);
  if (outside) return outside;
  const parameter = parameters[arg.index] ?? "";
  const shape = SHAPES[shapes[arg.index] ?? ""];
  if (arg.btfType || shape === undefined) return undefined;
  if (arg.resolve !== undefined) {
    if (shape === "pointer") return undefined;
    return {
      field: "resolve",
      message: `does not fit parameter ${arg.index} of ${shown}, which has no members`,
    };
  }
  const advice = misfit(arg.type, declaredType(parameter), shape);
  return advice === undefined ? undefined : typeFault(arg, shown, advice);
}

const SHAPES: Readonly<Record<string, Shape>> = { p: "pointer", s: "aggregate", 1: 1, 2: 2, 4: 4, 8: 8 };

function beyond({ index, sizeArgIndex }: ArgDef, count: number, shown: string): Fault | undefined {
  if (index >= count) {
    const right = count === 0 ? "it has no parameters" : `the last index is ${count - 1}`;
    return { field: "index", message: `is ${index}, beyond the parameters of ${shown}: ${right}` };
  }
  if (sizeArgIndex === undefined || sizeArgIndex <= count) return undefined;
  return { field: "sizeArgIndex", message: `is ${sizeArgIndex}, from 1, beyond the parameters of ${shown}` };
}

function typeFault({ type, index }: ArgDef, shown: string, advice: string): Fault {
  const message = `${type} does not fit parameter ${index} of ${shown}`;
  return { field: "type", message: advice === "" ? message : `${message}: ${advice}` };
}

/** `new` of `struct cred *new`. */
function nameOf(parameter: string): string {
  return /\w*$/.exec(parameter)?.[0] ?? "";
}

/** `struct cred *` of `struct cred *new`. */
export function declaredType(parameter: string): string {
  return /^(.*[ *])\w+$/.exec(parameter)?.[1]?.trim() ?? parameter;
}
