/** Does a policy's argument list fit the function? Only where BTF knows the prototype. Pure. */
import {
  type ArgType,
  HOOK_ARGUMENT_TYPES,
  isKernelStructure,
  traitsOf,
} from "../../../crds/argument-types.ts";
import type { ArgDef, HookDef } from "../../../crds/hook-spec.ts";
import type { BtfParam, FuncProto } from "../../bpf/binding.ts";
import { HookError } from "../hook-error.ts";

const CHARACTERS = "(?:unsigned |signed )?(?:char|u8|__u8)";

/** What a parameter must point to to be read as a type; undefined: it may be anything. */
function wantedTarget(type: ArgType): string | undefined {
  const { family, structure } = traitsOf(type);
  if (family === "buffer") return ".*";
  if (family === "capabilitySet") return `(?:kernel_cap_t|struct ${structure})`;
  if (family === "string") return structure ? `(?:char|struct ${structure})` : CHARACTERS;
  return structure && `struct ${structure}`;
}

const WANTED: ReadonlyMap<ArgType, RegExp> = new Map(
  HOOK_ARGUMENT_TYPES.flatMap((type) => {
    const target = wantedTarget(type);
    return target ? [[type, new RegExp(`^(?:const )?${target} ?\\*$`)] as const] : [];
  }),
);

/** Throws a HookError that shows the prototype. `proto` is that of the function, or of a system call's body. */
export function checkArguments(def: HookDef, name: string, proto: FuncProto | undefined): void {
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
    if (!readsOther(arg) && !fitsDeclared(arg.type, parameter.type) && !isAddress(def, arg, parameter)) {
      throw new HookError(
        "InvalidArgument",
        `${at}: type ${arg.type} does not fit parameter ${arg.index} of ${shown}`,
      );
    }
  });
}

/** System calls such as prctl and keyctl take addresses as numbers. */
function isAddress({ syscall }: HookDef, { type }: ArgDef, parameter: BtfParam): boolean {
  return (
    syscall && (type === "string" || type === "char_buf") && /^(long|long unsigned int)$/.test(parameter.type)
  );
}

/** The same for what is returned, by a system call a number. `proto` is that of the function. */
export function checkReturn(
  { returnArg, syscall }: HookDef,
  name: string,
  proto: FuncProto | undefined,
): void {
  const returns = syscall ? "long" : proto?.returnType;
  if (!returnArg || returnArg.type === "nop" || returns === undefined) return;
  if (returns === "void") throw new HookError("InvalidArgument", `return: ${name} returns void`);
  if (!fitsDeclared(returnArg.type, returns)) {
    throw new HookError(
      "InvalidArgument",
      `return: type ${returnArg.type} does not fit ${name}, which returns ${returns}`,
    );
  }
}

/** Whether what C declares so can be read as a type. */
export function fitsDeclared(type: ArgType, declared: string): boolean {
  return WANTED.get(type)?.test(declared) ?? true;
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
    return arg.type !== "nop" && !readsOther(arg) && !WANTED.has(arg.type) && type.endsWith("*");
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
