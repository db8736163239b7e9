/** What a hook's `call` names: one function, one system call, or all entries of a list. */
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { bareName, isSyscall, SYSCALL_NAMES } from "../../crds/syscall-table.ts";
import { child, type Problems } from "../problems.ts";
import { quote } from "../suggest.ts";
import type { FunctionProbe } from "../types.ts";
import { findList, type Lists, listName } from "./lists.ts";
import { functionOfSyscall, parametersOf, recordedPrototypes, syscallHint } from "./prototypes.ts";

/** A function to attach to. */
export interface Call {
  name: string;
  syscall: boolean;
  /** Where the name stands. */
  path: string;
  /** True: a hook of the Linux Security Modules. */
  lsm?: boolean;
  /** True: a raw tracepoint, by the name of its event. */
  rawTracepoint?: boolean;
  /** True: an entry of a generated list, which not every kernel has. */
  mayBeMissing?: boolean;
}

/** Its declared parameters, on the newest of the known kernels that has it; undefined where they are not known. */
export function parametersOfCall(call: Call): readonly string[] | undefined {
  return call.syscall ? parametersOf(call.name) : recordedPrototypes(call).at(-1)?.[2];
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_.$]*$/;
const SYSCALL = /^(?:__(?:x64|arm64)_)?(sys_[a-z0-9_]+)$/;
const OTHER_ABI = /^__\w+_(?:compat_)?sys_/;
const OR_FUNCTION = "set syscall: false for a kernel function";

/** Functions that a probe stands for; names that cannot be right are reported. */
export function resolveCalls(probe: FunctionProbe, path: string, lists: Lists, problems: Problems): Call[] {
  const at = { name: `${path}.call`, syscall: `${path}.syscall` };
  return callsNamed(probe.call, probe.syscall ?? true, at, lists, problems);
}

/** Functions that a name or `list:NAME` stands for; `at` says where the name stands, and whether it is a system call. */
export function callsNamed(
  text: string,
  syscall: boolean,
  at: { name: string; syscall: string },
  lists: Lists,
  problems: Problems,
): Call[] {
  const name = listName(text);
  if (name === undefined) return callOf(text, syscall, at.name, problems);
  const found = findList(name, at.name, lists, problems);
  if (!found) return [];
  const { type, values = [] } = found.list;
  if ((type === "syscalls" || type === "generated_syscalls") && !syscall) {
    problems.error(at.syscall, `must be true: list ${quote(name)} holds system calls`);
    return [];
  }
  if (type === "generated_syscalls") return everySyscall(at.name, problems);
  const elsewise = type === "syscalls" ? "write sys_NAME" : OR_FUNCTION;
  return values.flatMap((value, index) =>
    callOf(value, syscall, child(`${found.path}.values`, index), problems, elsewise),
  );
}

/** No kernel has them all. */
function everySyscall(path: string, problems: Problems): Call[] {
  problems.warn(
    path,
    `makes ${SYSCALL_NAMES.length} hooks, one for each system call: list those that matter`,
  );
  return SYSCALL_NAMES.map((name) => ({
    name: `sys_${functionOfSyscall(name)}`,
    syscall: true,
    path,
    mayBeMissing: true,
  }));
}

/** `elsewise` is what a user does whose name is that of no system call. */
function callOf(
  name: string,
  syscall: boolean,
  path: string,
  problems: Problems,
  elsewise = OR_FUNCTION,
): Call[] {
  const error = nameError(name) ?? (syscall ? syscallError(name, elsewise) : functionError(name));
  if (error !== undefined) {
    problems.error(path, error);
    return [];
  }
  const call = syscall ? (SYSCALL.exec(name)?.[1] ?? name) : name;
  if (!syscall && isSyscall(name)) {
    const right = `write sys_${name} and syscall: true, unless the kernel has a function of this name`;
    problems.warn(path, `${quote(name)} is the name of a system call: ${right}`);
  }
  return [{ name: call, syscall, path }];
}

function nameError(name: string): string | undefined {
  if (name === "") return "is empty: name a kernel function, sys_NAME for a system call, or list:NAME";
  if (!IDENTIFIER.test(name)) return `${quote(name)} is not a function name: letters, digits and "_"`;
  if (name.length > HOOK_SPEC_LIMITS.functionNameLength)
    return `is longer than ${HOOK_SPEC_LIMITS.functionNameLength} characters`;
  return undefined;
}

function syscallError(name: string, elsewise: string): string | undefined {
  if (SYSCALL.test(name)) return undefined;
  if (OTHER_ABI.test(name)) return otherAbi(name);
  const meant = bareName(name.toLowerCase());
  const right = isSyscall(meant) ? `write sys_${meant}` : elsewise;
  return `${quote(name)} is not written like a system call (sys_NAME): ${right}`;
}

function otherAbi(name: string): string {
  const call = name.replace(/^__[a-z0-9]+_(compat_)?sys_(ia32_)?/, "");
  const meant = isSyscall(call) ? call : call.replace(/(16|_time32)$/, "");
  return `${quote(name)} is the entry of one ABI: write sys_${meant} and syscall: true, which sees the callers of all ABIs`;
}

function functionError(name: string): string | undefined {
  if (/^sys_[a-z0-9_]+$/.test(name) && syscallHint(name) === "") {
    return `${quote(name)} is a system call: set syscall: true`;
  }
  if (SYSCALL.test(name)) {
    return `${quote(name)} is the entry of a system call: write ${name.replace(/^__[a-z0-9]+_(compat_)?/, "")} and syscall: true`;
  }
  return OTHER_ABI.test(name) ? otherAbi(name) : undefined;
}
