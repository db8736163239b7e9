/** Replaces `auto` in the arguments of a raw tracepoint by types, as the kernel declares them. Pure. */
import type { ArgType } from "../../../crds/argument-types.ts";
import type { ArgDef, HookDef } from "../../../crds/hook-spec.ts";
import { describe } from "../../../policy/members/field-path.ts";
import type { BtfType } from "../../../policy/members/kernel-types.ts";
import { isCharacter, structureType } from "../../../policy/members/structure-types.ts";
import type { FuncProto, KernelBtf } from "../../bpf/binding.ts";
import { HookError } from "../hook-error.ts";
import { typeOfArgument } from "./field-paths.ts";
import { integerType } from "./trace-events.ts";

type Types = Pick<KernelBtf, "describeType" | "structId">;

/** Returns the hook with a type for each argument; throws a HookError if no type fits. */
export function resolveAuto(types: Types, def: HookDef, proto: FuncProto | undefined): HookDef {
  const args = def.args.map((arg, position) =>
    arg.type === "auto" ? { ...arg, type: findType(types, def, arg, proto, `args[${position}]: auto`) } : arg,
  );
  return { ...def, args };
}

function findType(
  types: Types,
  def: HookDef,
  arg: ArgDef,
  proto: FuncProto | undefined,
  at: string,
): ArgType {
  const type = typeOfArgument(types, def, arg, proto);
  if (!type) {
    throw new HookError("KernelUnsupported", `${at}: BTF does not describe ${def.call}: name the type`);
  }
  const found = typeOf(types, type);
  const isAddress = arg.resolve !== undefined && type.kind === "pointer" && found === "uint64";
  if (!found || isAddress)
    throw new HookError("InvalidArgument", `${at}: no type reads ${describe(type)}: name the type`);
  return found;
}

function typeOf(types: Types, type: BtfType): ArgType | undefined {
  if (type.kind === "integer") return integerType(type.size, type.signed);
  if (type.kind === "pointer") {
    const target = types.describeType(type.target);
    return isCharacter(target) ? "string" : (structureType(target) ?? "uint64");
  }
  if (type.kind === "array") return isCharacter(types.describeType(type.target)) ? "string" : undefined;
  return structureType(type) ?? wrappedType(types, type);
}

/** The type of a struct that only wraps a number, such as kuid_t. */
function wrappedType(types: Types, type: BtfType): ArgType | undefined {
  if (type.kind !== "struct" || type.members.length !== 1) return undefined;
  const [member] = type.members;
  const inner = member && types.describeType(member.type);
  return inner?.kind === "integer" ? integerType(inner.size, inner.signed) : undefined;
}
