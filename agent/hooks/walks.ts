/** Where an argument's value is found: in its parameter, or by a walk from there or from the current task. Pure. */
import type { ArgDef, HookDef } from "../../crds/hook-spec.ts";
import type { BtfType, FuncProto, KernelBtf } from "../bpf/binding.ts";
import { HookError } from "./hook-error.ts";
import { resolveMember, resolveWalk, type Walk } from "./resolve.ts";
import { valueType } from "./values.ts";

type Types = Pick<KernelBtf, "describeType" | "structId">;

/** The walk of each argument that needs one. `proto` is that of the function whose parameters the hook gets. */
export function resolveWalks(types: Types, def: HookDef, proto: FuncProto | undefined): (Walk | undefined)[] {
  return def.args.map((arg, position) => {
    try {
      return walkOf(types, def, arg, proto);
    } catch (error) {
      if (!(error instanceof HookError)) throw error;
      throw new HookError(error.reason, `args[${position}]: ${error.message}`, { cause: error });
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
  if (arg.resolve) return resolveMember(types, startOf(types, def, arg, proto), arg.resolve).type;
  const typeId = proto?.params[arg.index]?.typeId;
  return typeId === undefined ? undefined : types.describeType(typeId);
}

function walkOf(types: Types, def: HookDef, arg: ArgDef, proto: FuncProto | undefined): Walk | undefined {
  if (arg.source === "pt_regs") {
    throw new HookError("KernelUnsupported", "source pt_regs: registers are not read by name");
  }
  if (!arg.resolve) {
    // getname() has copied it into the kernel, except for a system call, which gets the pointer of its caller.
    const isStruct = arg.type === "filename" && proto?.params[arg.index]?.type.includes("struct filename");
    return isStruct && !def.syscall ? resolveWalk(types, structOf(types, "filename"), "name") : undefined;
  }
  const walk = resolveWalk(types, startOf(types, def, arg, proto), arg.resolve);
  checkEnd(arg, walk);
  return walk;
}

function startOf(types: Types, def: HookDef, arg: ArgDef, proto: FuncProto | undefined): number {
  if (arg.btfTypeModule) {
    throw new HookError(
      "KernelUnsupported",
      `btfTypeModule ${arg.btfTypeModule}: types of modules are not read`,
    );
  }
  if (arg.source === "current_task") return structOf(types, "task_struct");
  if (def.syscall || (def.section === "tracepoints" && !def.tracepoint?.raw)) {
    throw new HookError(
      "InvalidArgument",
      `resolve ${arg.resolve}: the argument is no structure of the kernel`,
    );
  }
  if (arg.btfType) return structOf(types, arg.btfType.replace(/^(struct|union) /, "").replace(/ ?\*$/, ""));
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

function structOf(types: Types, name: string): number {
  const id = types.structId(name);
  if (id === undefined) throw new HookError("InvalidArgument", `the kernel has no struct ${name}`);
  return id;
}

/** The type must suit what stands there: a number where it wants one, else a structure, an array or a pointer. */
function checkEnd({ type, resolve }: ArgDef, { load }: Walk): void {
  const { width } = valueType({ type });
  if (type === "nop" || type === "fd") return;
  if (width > 0 && load === 0) {
    throw new HookError("InvalidArgument", `resolve ${resolve}: it is no number, as type ${type} wants`);
  }
  if (width === 0 && load !== 0 && load !== 8) {
    throw new HookError(
      "InvalidArgument",
      `resolve ${resolve}: it is a number, type ${type} wants an address`,
    );
  }
}
