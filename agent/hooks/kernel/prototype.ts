/** Does a policy's argument list fit the function? Only where BTF knows the prototype. Pure. */
import { type ArgDef, type ArgType, type HookDef, KERNEL_STRUCTURE_TYPES } from "../../../crds/hook-spec.ts";
import type { BtfParam, FuncProto } from "../../bpf/binding.ts";
import { HookError } from "../hook-error.ts";

const CAPABILITY_SET = /^(const )?(kernel_cap_t|struct kernel_cap_struct) \*$/;
const TEXT = /^(const )?(unsigned |signed )?(char|u8|__u8) \*$/;
const POINTER = /\*$/;

/** What a parameter must be to be read as a type that is a structure. */
const WANTED: Partial<Record<ArgType, RegExp>> = {
  cred: /^(const )?struct cred \*$/,
  user_namespace: /^(const )?struct user_namespace \*$/,
  kernel_cap_t: CAPABILITY_SET,
  cap_inheritable: CAPABILITY_SET,
  cap_permitted: CAPABILITY_SET,
  cap_effective: CAPABILITY_SET,
  string: TEXT,
  filename: /^(const )?(char|struct filename) \*$/,
  file: /^(const )?struct file \*$/,
  path: /^(const )?struct path \*$/,
  dentry: /^(const )?struct dentry \*$/,
  linux_binprm: /^(const )?struct linux_binprm \*$/,
  module: /^(const )?struct module \*$/,
  load_info: /^(const )?struct load_info \*$/,
  char_buf: POINTER,
  const_buf: POINTER,
};

/** Throws a HookError that shows the prototype. `proto` is that of the function, or of a system call's body. */
export function checkArguments(def: HookDef, name: string, proto: FuncProto | undefined): void {
  def.args.forEach((arg, position) => {
    const at = `args[${position}]`;
    if (arg.source) return; // it is read from elsewhere
    if (def.syscall && KERNEL_STRUCTURE_TYPES.has(arg.type)) {
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
  return WANTED[type]?.test(declared) ?? true;
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
    return arg.type !== "nop" && !readsOther(arg) && !WANTED[arg.type] && type.endsWith("*");
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
