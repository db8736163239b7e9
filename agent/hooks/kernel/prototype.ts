/** Does a policy's argument list fit the function? Only where BTF knows the prototype. Pure. */
import {
  isAddress,
  misfit,
  misfitOfReturn,
  misfitOfSyscall,
  numberWidth,
  type Shape,
} from "../../../crds/argument-fit.ts";
import { isKernelStructure } from "../../../crds/argument-types.ts";
import type { ArgDef, HookDef } from "../../../crds/hook-spec.ts";
import type { BtfParam, FuncProto, KernelBtf } from "../../bpf/binding.ts";
import { HookError } from "../hook-error.ts";

/** Tells what a parameter is without its names. */
export type Types = Pick<KernelBtf, "describeType">;

/** Throws a HookError that shows the prototype. `proto` is that of the function, or of a system call's body. */
export function checkArguments(
  def: HookDef,
  name: string,
  proto: FuncProto | undefined,
  types?: Types,
): void {
  def.args.forEach((arg, position) => {
    const at = `args[${position}]`;
    if (arg.source) return; // it is read from elsewhere
    if (def.syscall && isKernelStructure(arg.type)) {
      throw new HookError("InvalidArgument", `${at}: a system call has no argument of type ${arg.type}`);
    }
    if (!proto) return;
    const parameter = proto.params[arg.index];
    const shown = formatPrototype(name, proto);
    if (!parameter) throw new HookError("InvalidArgument", `${at}: no parameter ${arg.index} in ${shown}`);
    if (parameter.type === "...") {
      throw new HookError("InvalidArgument", `${at}: parameter ${arg.index} is variable in ${shown}`);
    }
    const advice = readsOther(arg) ? undefined : adviceOn(def, arg, parameter, types);
    if (advice !== undefined) {
      const what = `${at}: type ${arg.type} does not fit parameter ${arg.index} of ${shown}`;
      throw new HookError("InvalidArgument", advice === "" ? what : `${what}: ${advice}`);
    }
  });
}

/** What would be right; undefined where the parameter fits. */
function adviceOn(
  def: HookDef,
  arg: ArgDef,
  parameter: BtfParam,
  types: Types | undefined,
): string | undefined {
  if (def.syscall) return misfitOfSyscall(arg.type, parameter.type);
  return misfit(arg.type, parameter.type, shapeOf(types, parameter.typeId));
}

/** A structure around one integer, such as kuid_t, is passed as that integer. */
function shapeOf(types: Types | undefined, typeId: number | undefined): Shape | undefined {
  if (!types || typeId === undefined) return undefined;
  const type = types.describeType(typeId);
  if (type.kind === "pointer") return "pointer";
  if (type.kind === "integer") return [1, 2, 4, 8].includes(type.size) ? (type.size as Shape) : "aggregate";
  if (type.kind !== "struct" || type.members.length !== 1) return "aggregate";
  const inner = shapeOf(types, type.members[0]?.type);
  return inner === "pointer" ? "aggregate" : inner;
}

/** The same for what is returned, by a system call a number. `proto` is that of the function. */
export function checkReturn(
  { returnArg, syscall }: HookDef,
  name: string,
  proto: FuncProto | undefined,
): void {
  const returns = syscall ? "long" : proto?.returnType;
  if (!returnArg || returnArg.type === "nop" || returns === undefined) return;
  const reason = misfitOfReturn(returnArg.type, returns);
  if (reason !== undefined) {
    throw new HookError("InvalidArgument", `return: type ${returnArg.type} does not fit ${name}: ${reason}`);
  }
}

/** As C would declare it. */
export function formatPrototype(name: string, proto: FuncProto): string {
  const parameters = proto.params.map((parameter) => declare(parameter)).join(", ");
  return `${declare({ type: proto.returnType, name })}(${parameters || "void"})`;
}

/** A typed load reads pointers as pointers: their bits are for a probe to read. */
export function readsPointerAsInteger(args: readonly ArgDef[], proto: FuncProto): boolean {
  return args.some((arg) => {
    const type = proto.params[arg.index]?.type ?? "";
    return numberWidth(arg.type) !== undefined && !readsOther(arg) && isAddress(type);
  });
}

/** The value is a member that the parameter leads to, or nothing of it. */
function readsOther({ resolve, source }: ArgDef): boolean {
  return resolve !== undefined || source !== undefined;
}

function declare({ type, name }: BtfParam): string {
  if (name === "") return type;
  return type.endsWith("*") ? `${type}${name}` : `${type} ${name}`;
}
