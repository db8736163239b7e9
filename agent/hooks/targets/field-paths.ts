/** Where an argument's value is found: in its parameter, or by a field path from there or from the current task. Pure. */

import { numberWidth, typeOfWidth } from "../../../crds/argument-fit.ts";
import { type ArgType, isKernelStructure, traitsOf } from "../../../crds/argument-types.ts";
import type { ArgDef, HookDef } from "../../../crds/hook-spec.ts";
import { type BtfType, type FuncProto, isBpfError, type KernelBtf } from "../../bpf/binding.ts";
import { valueType } from "../config/value-types.ts";
import { HookError } from "../hook-error.ts";
import {
  describe,
  type FieldPath,
  type Member,
  resolveFieldPath,
  resolveMember,
} from "../kernel/field-path.ts";
import { isCharacter, structureType } from "../kernel/structure-types.ts";

type Types = Pick<KernelBtf, "describeType" | "structId"> & Partial<Pick<KernelBtf, "module">>;

/** The field path of each argument that needs one. `proto` is that of the function whose parameters the hook gets. */
export function resolveFieldPaths(
  types: Types,
  def: HookDef,
  proto: FuncProto | undefined,
): (FieldPath | undefined)[] {
  const firstData = def.args.findIndex(({ source }) => source !== undefined);
  return def.args.map((arg, position) => {
    try {
      return fieldPathOf(types, def, arg, proto);
    } catch (error) {
      if (!(error instanceof HookError)) throw error;
      const at = arg.source === undefined ? `args[${position}]` : `data[${position - firstData}]`;
      throw new HookError(error.reason, `${at}: ${error.message}`, { cause: error.cause });
    }
  });
}

/** Type of what an argument reads; undefined where BTF does not tell. */
export function typeOfArgument(
  types: Types,
  def: HookDef,
  arg: ArgDef,
  proto: FuncProto | undefined,
): BtfType | undefined {
  if (arg.resolve) return memberOf(types, def, arg, proto, arg.resolve).type;
  const typeId = proto?.params[arg.index]?.typeId;
  return typeId === undefined ? undefined : types.describeType(typeId);
}

function fieldPathOf(
  types: Types,
  def: HookDef,
  arg: ArgDef,
  proto: FuncProto | undefined,
): FieldPath | undefined {
  if (!arg.resolve) {
    // getname() has copied it into the kernel, except for a system call, which gets the pointer of its caller.
    const isStruct = arg.type === "filename" && proto?.params[arg.index]?.type.includes("struct filename");
    return isStruct && !def.syscall
      ? resolveFieldPath(types, structOf(types, "filename"), "name")
      : undefined;
  }
  const member = memberOf(types, def, arg, proto, arg.resolve);
  checkEnd(arg, member);
  return member.fieldPath;
}

/** What `path` leads to; a type that a module has brings its own types with it. */
function memberOf(types: Types, def: HookDef, arg: ArgDef, proto: FuncProto | undefined, path: string) {
  if (!arg.btfType || !arg.btfTypeModule || arg.source) {
    return resolveMember(types, startOf(types, def, arg, proto), path);
  }
  checkIsStructure(def, arg);
  const module = openModule(types, arg.btfTypeModule);
  try {
    return resolveMember(module, structOf(module, bareName(arg.btfType)), path);
  } finally {
    module.close();
  }
}

function openModule(types: Types, name: string): KernelBtf {
  if (!types.module)
    throw new HookError("KernelUnsupported", `btfTypeModule ${name}: types of modules are not known`);
  try {
    return types.module(name.replaceAll("-", "_"));
  } catch (cause) {
    if (!isBpfError(cause)) throw cause;
    throw new HookError(
      "KernelUnsupported",
      `btfTypeModule ${name}: ${cause.code}: the module is not loaded, or the kernel has no types of modules, as before 5.11`,
      { cause },
    );
  }
}

function bareName(type: string): string {
  return type.replace(/^(struct|union) /, "").replace(/ ?\*$/, "");
}

function startOf(types: Types, def: HookDef, arg: ArgDef, proto: FuncProto | undefined): number {
  if (arg.source) return structOf(types, arg.source === "pt_regs" ? "pt_regs" : "task_struct");
  checkIsStructure(def, arg);
  if (arg.btfType) return structOf(types, bareName(arg.btfType));
  const parameter = proto?.params[arg.index];
  if (parameter?.typeId === undefined) {
    throw new HookError("KernelUnsupported", `resolve ${arg.resolve}: BTF does not describe the parameter`);
  }
  const type = types.describeType(parameter.typeId);
  const target = type.kind === "pointer" ? types.describeType(type.target) : undefined;
  if (type.kind !== "pointer" || target?.kind !== "struct") {
    throw new HookError("InvalidArgument", `resolve ${arg.resolve}: ${parameter.type} points to no struct`);
  }
  return type.target;
}

function checkIsStructure(def: HookDef, { resolve }: ArgDef): void {
  if (def.syscall || (def.section === "tracepoints" && !def.tracepoint?.raw)) {
    throw new HookError("InvalidArgument", `resolve ${resolve}: the argument is no structure of the kernel`);
  }
}

function structOf(types: Types, name: string): number {
  const id = types.structId(name);
  if (id === undefined) throw new HookError("InvalidArgument", `the kernel has no struct ${name}`);
  return id;
}

/** The type must suit what stands there: a number where it wants one, else a structure, an array or a pointer. */
function checkEnd(arg: ArgDef, member: Member): void {
  const { type, resolve } = arg;
  const { fieldPath, of } = member;
  const { load, room } = fieldPath;
  const { width } = valueType({ type });
  if (type === "nop") return;
  if (width > 0 && load === 0) {
    throw new HookError("InvalidArgument", `resolve ${resolve}: it is no number, as type ${type} wants`);
  }
  checkNumber(arg, member);
  if (width === 0 && load !== 0 && load !== 8) {
    throw new HookError(
      "InvalidArgument",
      `resolve ${resolve}: it is a number, type ${type} wants an address`,
    );
  }
  if (!isReadFrom(type, of))
    throw new HookError(
      "InvalidArgument",
      `resolve ${resolve}: it is ${describe(of)}, not of the type ${type}`,
    );
  if (type === "string" && room === 0)
    throw new HookError(
      "InvalidArgument",
      `resolve ${resolve}: the kernel's types do not contain the array's length, and no NUL need end it`,
    );
}

/** A register may hold a narrower number; a member has all of its bytes, and an address is no number. */
function checkNumber(
  { type, resolve, source }: ArgDef,
  { fieldPath: { load, bits }, type: found }: Member,
): void {
  const width = numberWidth(type);
  if (width === undefined || source === "pt_regs") return;
  if (found.kind === "pointer") {
    const advice = "name the type of what is there, or resolve a member of it";
    throw new HookError(
      "InvalidArgument",
      `resolve ${resolve}: it is an address, not of the type ${type}: ${advice}`,
    );
  }
  if (load !== 0 && (bits?.count ?? load * 8) > width * 8) {
    const what = `it has ${load} bytes, type ${type} has ${width}`;
    throw new HookError("InvalidArgument", `resolve ${resolve}: ${what}: write ${typeOfWidth(load)}`);
  }
}

/** A pointer to void may lead to anything. A set of capabilities has no name from 6.3 on. */
function isReadFrom(type: ArgType, of: BtfType): boolean {
  if (of.kind === "other") return true;
  if (type === "string") return isCharacter(of);
  if (type === "filename" || !isKernelStructure(type)) return true;
  if (traitsOf(type).family !== "capabilitySet") return structureType(of) === type;
  return structureType(of) === "kernel_cap_t" || (of.kind === "struct" && of.name === "");
}
