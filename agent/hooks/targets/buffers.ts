/** Finds the size of each buffer among a hook's arguments: from a parameter, the return value, or its type. Pure. */
import { traitsOf } from "../../../crds/argument-types.ts";
import type { ArgDef, HookDef } from "../../../crds/hook-spec.ts";
import type { BtfType } from "../../../policy/members/kernel-types.ts";
import type { FuncProto, KernelBtf } from "../../bpf/binding.ts";
import type { BufferConfig } from "../config/filters.ts";
import { MAX_DATA, MAX_STRING, RETURN_ARG } from "../config/layout.ts";
import { HookError } from "../hook-error.ts";
import { typeOfArgument } from "./field-paths.ts";

type Types = Pick<KernelBtf, "describeType" | "structId">;

/** The buffers among the arguments, by position. `proto` is the prototype of the function whose parameters are read. */
export function resolveBuffers(
  types: Types,
  def: HookDef,
  proto: FuncProto | undefined,
): (BufferConfig | undefined)[] {
  return def.args.map((arg, position) => {
    const traits = traitsOf(arg.type);
    if (traits.family !== "buffer") return undefined;
    const size = traits.sizeFrom === "type" ? sizeOfType : sizeInCall;
    return size(types, def, position, proto);
  });
}

/** A buffer of a fixed size. */
export function fixedBuffer(bytes: number): BufferConfig {
  return { limit: Math.min(bytes, MAX_STRING), parameter: 0, width: 0, signed: false };
}

/** Upper bound of the bytes of a buffer whose size is known only at the hit. */
export function bufferLimit({ maxData }: Pick<ArgDef, "maxData">): number {
  return maxData ? MAX_DATA : MAX_STRING;
}

function sizeInCall(
  types: Types,
  def: HookDef,
  position: number,
  proto: FuncProto | undefined,
): BufferConfig {
  const arg = def.args[position] as ArgDef;
  const limit = bufferLimit(arg);
  if (arg.sizeArgIndex !== undefined) {
    const parameter = arg.sizeArgIndex - 1;
    return { limit, parameter, ...integerOf(types, def, proto, parameter, position) };
  }
  if (arg.returnCopy) return { limit, parameter: RETURN_ARG, ...returnedInteger(def, proto) };
  throw new HookError("InvalidArgument", `args[${position}]: char_buf: which parameter holds its size?`);
}

/** The integer with the size. A system call's register is read whole, a function's only as wide as the parameter. */
function integerOf(
  types: Types,
  def: HookDef,
  proto: FuncProto | undefined,
  parameter: number,
  position: number,
): Pick<BufferConfig, "width" | "signed"> {
  if (def.syscall || !proto) return { width: 8, signed: false };
  const { typeId, type = "" } = proto.params[parameter] ?? {};
  if (typeId === undefined) {
    const message = `sizeArgIndex ${parameter + 1}: the function has ${proto.params.length} parameters`;
    throw new HookError("InvalidArgument", `args[${position}]: ${message}`);
  }
  const described = types.describeType(typeId);
  if (described.kind !== "integer") {
    throw new HookError(
      "InvalidArgument",
      `args[${position}]: sizeArgIndex ${parameter + 1}: ${type} is not an integer, so it cannot be a size`,
    );
  }
  const { size, signed } = described;
  return { width: size === 1 || size === 2 || size === 4 ? size : 8, signed };
}

const HALF_REGISTER = /^(unsigned int|int|(__)?[su]32|u?int32_t)$/;

function returnedInteger(def: HookDef, proto: FuncProto | undefined): Pick<BufferConfig, "width" | "signed"> {
  const type = def.syscall ? "long" : (proto?.returnType ?? "int");
  return { width: HALF_REGISTER.test(type) ? 4 : 8, signed: true };
}

function sizeOfType(
  types: Types,
  def: HookDef,
  position: number,
  proto: FuncProto | undefined,
): BufferConfig {
  const type = def.syscall ? undefined : typeOfArgument(types, def, def.args[position] as ArgDef, proto);
  const target = type?.kind === "pointer" ? types.describeType(type.target) : type;
  if (!target || !hasExtent(target)) {
    throw new HookError(
      "InvalidArgument",
      `args[${position}]: const_buf: only arrays and structures have a size of their own; use char_buf with sizeArgIndex`,
    );
  }
  return fixedBuffer(target.size);
}

function hasExtent(type: BtfType): type is Extract<BtfType, { kind: "array" | "struct" }> {
  return (type.kind === "array" || type.kind === "struct") && type.size > 0;
}
