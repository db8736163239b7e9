/** Where an argument's value is found: in its parameter, or by a field path from there or from the current task. Pure. */

import type { ArgDef, HookDef } from "../../../crds/hook-spec.ts";
import { type FieldPath, MemberError, resolveMember } from "../../../policy/members/field-path.ts";
import type { BtfType } from "../../../policy/members/kernel-types.ts";
import { checkMember } from "../../../policy/members/member-fit.ts";
import { type FuncProto, isBpfError, type KernelBtf } from "../../bpf/binding.ts";
import { HookError } from "../hook-error.ts";

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
      ? memberAt(types, structOf(types, "filename"), "name").fieldPath
      : undefined;
  }
  const member = memberOf(types, def, arg, proto, arg.resolve);
  ofPath(arg.resolve, () => checkMember(arg, member));
  return member.fieldPath;
}

/** What `path` leads to; a type that a module has brings its own types with it. */
function memberOf(types: Types, def: HookDef, arg: ArgDef, proto: FuncProto | undefined, path: string) {
  if (!arg.btfType || !arg.btfTypeModule || arg.source) {
    return memberAt(types, startOf(types, def, arg, proto), path);
  }
  checkIsStructure(def, arg);
  const module = openModule(types, arg.btfTypeModule);
  try {
    return memberAt(module, structOf(module, bareName(arg.btfType)), path);
  } finally {
    module.close();
  }
}

function memberAt(types: Types, structId: number, path: string) {
  return ofPath(path, () => resolveMember(types, structId, path));
}

/** What is wrong with a path becomes why its hook cannot be attached. */
function ofPath<T>(path: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof MemberError)) throw error;
    throw new HookError("InvalidArgument", `resolve ${path}: ${error.message}`);
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
