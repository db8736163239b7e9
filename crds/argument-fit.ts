/** Whether a parameter, as C declares it, can be read as an argument type: one answer for the compiler and for every node. */
import { type ArgType, HOOK_ARGUMENT_TYPES, isKernelStructure, traitsOf } from "./argument-types.ts";

/** What a parameter is without its names: an address, an integer of so many bytes, anything else. */
export type Shape = "pointer" | "aggregate" | 1 | 2 | 4 | 8;

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

/** Bytes of the number of a file. */
const FD_BYTES = 4;

const TYPE_OF_WIDTH = { 1: "uint8", 2: "uint16", 4: "int or uint32", 8: "long or uint64" } as const;

const IS_ADDRESS = "it is an address: name the type of what is there";

/** The argument types for an integer of so many bytes, as an error names them. */
export const typeOfWidth = (bytes: 1 | 2 | 4 | 8): string => TYPE_OF_WIDTH[bytes];

/** Bytes of a type that is read as a number; undefined for the others. */
export function numberWidth(type: ArgType): 1 | 2 | 4 | 8 | undefined {
  const traits = traitsOf(type);
  if (type === "fd") return FD_BYTES;
  return traits.family === "integer" || traits.family === "capability" ? traits.width : undefined;
}

/** Types of system calls' parameters that are addresses, and whose names do not show it. */
const NAMED_ADDRESSES = /^(?:const )?(?:cap_user_header_t|cap_user_data_t|__sighandler_t)$/;

/** Whether C declares an address. */
export function isAddress(declared: string): boolean {
  return declared.endsWith("*") || NAMED_ADDRESSES.test(declared);
}

/** Whether what C declares so can be read as a type that is a structure or a text; numbers always fit here. */
function fitsDeclared(type: ArgType, declared: string): boolean {
  return WANTED.get(type)?.test(declared) ?? true;
}

/**
 * What would be right where a parameter of a kernel function cannot be read as the type; undefined where it can, empty
 * where there is no advice. Without a shape only the declaration is compared.
 */
export function misfit(type: ArgType, declared: string, shape: Shape | undefined): string | undefined {
  const width = numberWidth(type);
  if (width === undefined) return fitsDeclared(type, declared) ? undefined : "";
  const found = shape ?? (isAddress(declared) ? "pointer" : width);
  if (found === width) return otherNumber(type, declared);
  if (found === "pointer") return `${IS_ADDRESS}, or resolve a member`;
  if (found === "aggregate") return "it is a structure: resolve a member";
  return `write ${TYPE_OF_WIDTH[found]}`;
}

/** Names by which C declares numbers of another meaning, such as uid_t and enum key_need_perm. */
const NAMED_NUMBER = /^(?:const )?(?:(?!mqd_t|u?int32_t)\w+_t|bool|enum \w+)$/;

/** What would be right for a number that the kernel declares as something other than the type shows. */
function otherNumber(type: ArgType, declared: string): string | undefined {
  if (type !== "capability" && type !== "fd") return undefined;
  return NAMED_NUMBER.test(declared) ? `${declared} is another number: write int or uint32` : undefined;
}

/** A field of a trace event. */
export interface DeclaredField {
  /** The type in C, as the event's format has it, such as `pid_t` and `__data_loc char[]`. */
  type: string;
  /** In bytes. */
  size: number;
  /** The event has the characters or the array itself, not a number or an address. */
  isInside: boolean;
}

/** Subsystems whose fields are as wide as a register, whatever the system call's parameter is. */
const REGISTERS: ReadonlySet<string> = new Set(["syscalls", "raw_syscalls"]);

/** An address of something that a type may be there for; of `void` the address itself may be meant, as of freed memory. */
const STRUCTURE_ADDRESS = /^(?:const )?(?:struct|union) \w+ ?\*$/;

/**
 * The same for the field of a trace event. A number may be the address of a string, as in arguments of prctl, but not of
 * a structure.
 */
export function misfitOfField(type: ArgType, field: DeclaredField, subsystem: string): string | undefined {
  if (field.isInside) return misfitOfBytes(type, field);
  const isRegister = REGISTERS.has(subsystem);
  const width = numberWidth(type);
  const other = otherNumber(type, field.type);
  if (other !== undefined) return other;
  if (width !== undefined) {
    if (!isRegister && STRUCTURE_ADDRESS.test(field.type)) return IS_ADDRESS;
    const isWide = width >= field.size || (isRegister && !isAddress(field.type));
    return isWide ? undefined : wideEnough(field.size);
  }
  if (isKernelStructure(type)) return fitsDeclared(type, field.type) ? undefined : "";
  return type !== "string" || field.size === 8 ? undefined : wideEnough(field.size);
}

/** The families of types that can read bytes instead of a pointer or a number. */
const OF_BYTES: ReadonlySet<string> = new Set(["string", "buffer", "nothing", "placeholder"]);

function misfitOfBytes(type: ArgType, field: DeclaredField): string | undefined {
  if (!isKernelStructure(type) && OF_BYTES.has(traitsOf(type).family)) return undefined;
  return field.type.includes("char") ? "write string" : "";
}

function wideEnough(bytes: number): string {
  return bytes === 1 || bytes === 2 || bytes === 4 || bytes === 8 ? `write ${TYPE_OF_WIDTH[bytes]}` : "";
}

/** The same for what a function returns. */
export function misfitOfReturn(type: ArgType, returns: string): string | undefined {
  if (returns === "void") return "it returns nothing";
  if (numberWidth(type) !== undefined && isAddress(returns)) return `it returns ${returns}, an address`;
  if (type === "capability") return `it returns ${returns}, not a capability: write int or long`;
  return fitsDeclared(type, returns) ? undefined : `it returns ${returns}`;
}

/** Parameters of calls such as prctl and keyctl, which take addresses as numbers. */
const ADDRESS_OR_NUMBER = /^(?:unsigned long|long|long unsigned int)$/;

/** What a caller puts at such an address may be anything, as with the options of mount. */
const VOID = /^(?:const )?void ?\*$/;

/** The same for system calls, whose registers are whole: only an address does not fit a type with fewer bytes. */
export function misfitOfSyscall(type: ArgType, declared: string): string | undefined {
  const width = numberWidth(type);
  if (isAddress(declared)) {
    if (type === "string" && VOID.test(declared)) return undefined;
    if (width === undefined ? fitsDeclared(type, declared) : width === 8) return undefined;
    return `it is an address: write ${fitsDeclared("string", declared) ? "string or uint64" : "uint64"}`;
  }
  const other = otherNumber(type, declared);
  if (other !== undefined) return other;
  if (fitsDeclared(type, declared) || ADDRESS_OR_NUMBER.test(declared)) return undefined;
  return "it is a number: write int or uint32";
}
