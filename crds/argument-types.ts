/**
 * The argument types of policies and what each of them is. Other tables are derived from this one: the CRD's enum, the
 * operators that fit, how the programs read a value and how it lies in a record. A new type needs a line here, a reader
 * in bpf/include/values.h if it is read in a new way, and its JSON in agent/events/json/arguments.ts.
 */

interface CommonTraits {
  /** The enumerator of enum value_kind by which the programs read it; a placeholder is never read. */
  read?: string;
  /** The structure in kernel memory that it is read from. No system call takes one. */
  structure?: string;
  /** The one section whose hooks have such values. */
  only?: "tracepoints";
}

/** The family is what a value is, and decides how policies compare it. */
type FamilyTraits =
  | { family: "integer" | "capability"; width: 1 | 2 | 4 | 8; signed: boolean }
  /** Whether the call or the parameter's type gives the number of bytes. */
  | { family: "buffer"; sizeFrom: "call" | "type" }
  /** Whether the path begins at the root directory, or at the root of its file system. */
  | { family: "path"; isFull: boolean }
  | { family: "capabilitySet" | "string" | "credentials" | "userNamespace" | "module" }
  | { family: "nothing" | "placeholder" };

type Traits = CommonTraits & FamilyTraits;

const signed = <Width extends 1 | 2 | 4 | 8>(width: Width) =>
  ({ family: "integer", read: "VALUE_INTEGER", width, signed: true }) as const;

const unsigned = <Width extends 1 | 2 | 4 | 8>(width: Width) =>
  ({ family: "integer", read: "VALUE_INTEGER", width, signed: false }) as const;

const CAPABILITY_SET = {
  family: "capabilitySet",
  read: "VALUE_CAPABILITY_SET",
  structure: "kernel_cap_struct",
} as const;

const STRING = { family: "string", read: "VALUE_STRING" } as const;

/** Hooks cannot read it. */
const NOT_READ = undefined;

/** Every argument type that the CRDs know, in their order. */
const ARGUMENT_TRAITS = {
  auto: { family: "placeholder", only: "tracepoints" },
  int: signed(4),
  sint8: signed(1),
  int8: signed(1),
  uint8: unsigned(1),
  sint16: signed(2),
  int16: signed(2),
  uint16: unsigned(2),
  uint32: unsigned(4),
  sint32: signed(4),
  int32: signed(4),
  ulong: unsigned(8),
  uint64: unsigned(8),
  size_t: unsigned(8),
  long: signed(8),
  sint64: signed(8),
  int64: signed(8),
  char_buf: { family: "buffer", read: "VALUE_BUFFER", sizeFrom: "call" },
  char_iovec: NOT_READ,
  skb: NOT_READ,
  sock: NOT_READ,
  sockaddr: NOT_READ,
  socket: NOT_READ,
  sockaddr_un: NOT_READ,
  string: STRING,
  fd: { family: "path", read: "VALUE_FD", isFull: true },
  file: { family: "path", read: "VALUE_FILE", structure: "file", isFull: true },
  filename: { ...STRING, structure: "filename" },
  path: { family: "path", read: "VALUE_PATH", structure: "path", isFull: true },
  nop: { family: "nothing", read: "VALUE_NOP" },
  bpf_attr: NOT_READ,
  perf_event: NOT_READ,
  bpf_map: NOT_READ,
  user_namespace: { family: "userNamespace", read: "VALUE_USER_NS", structure: "user_namespace" },
  capability: { family: "capability", read: "VALUE_INTEGER", width: 4, signed: true },
  kiocb: NOT_READ,
  iov_iter: NOT_READ,
  cred: { family: "credentials", read: "VALUE_CRED", structure: "cred" },
  const_buf: { family: "buffer", read: "VALUE_BUFFER", sizeFrom: "type" },
  load_info: { family: "module", read: "VALUE_LOAD_INFO", structure: "load_info" },
  module: { family: "module", read: "VALUE_MODULE", structure: "module" },
  syscall64: { ...unsigned(8), only: "tracepoints" },
  kernel_cap_t: CAPABILITY_SET,
  cap_inheritable: CAPABILITY_SET,
  cap_permitted: CAPABILITY_SET,
  cap_effective: CAPABILITY_SET,
  linux_binprm: { family: "path", read: "VALUE_BINPRM", structure: "linux_binprm", isFull: true },
  data_loc: NOT_READ,
  net_device: NOT_READ,
  bpf_cmd: NOT_READ,
  dentry: { family: "path", read: "VALUE_DENTRY", structure: "dentry", isFull: false },
  bpf_prog: NOT_READ,
} as const satisfies Record<string, Traits | undefined>;

type Table = typeof ARGUMENT_TRAITS;
type AnyArgumentType = keyof Table;

/** An argument type that hooks can read. */
export type ArgType = {
  [Type in AnyArgumentType]: Table[Type] extends undefined ? never : Type;
}[AnyArgumentType];

/** The enumerators of enum value_kind that argument types are read by. */
export type ReadKind = Extract<Table[ArgType], { read: string }>["read"];

/** What is known of an argument type. */
export type ArgumentTraits = Traits & { read?: ReadKind };

export type ArgumentFamily = ArgumentTraits["family"];

/** All argument types, whether hooks can read them or not. */
export const ARGUMENT_TYPES = Object.keys(ARGUMENT_TRAITS) as AnyArgumentType[];

/** The argument types that hooks can read. */
export const HOOK_ARGUMENT_TYPES = ARGUMENT_TYPES.filter(isReadable);

/** Whether a name is that of an argument type that hooks can read. */
export function isReadable(type: string): type is ArgType {
  return Object.hasOwn(ARGUMENT_TRAITS, type) && ARGUMENT_TRAITS[type as AnyArgumentType] !== NOT_READ;
}

/** What is known of a type. */
export function traitsOf(type: ArgType): ArgumentTraits {
  return ARGUMENT_TRAITS[type];
}

/** The types of a family, in the order of the table. */
export function typesOf(family: ArgumentFamily): ArgType[] {
  return HOOK_ARGUMENT_TYPES.filter((type) => traitsOf(type).family === family);
}

/** Whether values of a type are structures of the kernel, which no system call takes. */
export function isKernelStructure(type: ArgType): boolean {
  return traitsOf(type).structure !== undefined;
}
