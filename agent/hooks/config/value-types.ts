/** How the kernel side reads each argument type, and how much room it takes in a record. */
import type { ArgDef, ArgType } from "../../../crds/hook-spec.ts";
import {
  BUFFER_SIZE,
  CRED_SIZE,
  MODULE_NAME_BYTES,
  MODULE_SIZE,
  PATH_SIZE,
  USER_NS_SIZE,
} from "../../records/layout.ts";
import { HookError } from "../hook-error.ts";
import { ENUMS } from "./layout.gen.ts";
import { MAX_DATA, MAX_STRING } from "./layout.ts";

export const VALUE_KINDS = ENUMS.value_kind;

/** How a value of a type is read and written. */
export interface ValueType {
  kind: number;
  /** Bytes of an integer in its register; 0 for other kinds. */
  width: 0 | 1 | 2 | 4 | 8;
  signed: boolean;
  /** Bytes of payload behind the slot's header; the most for a type whose size varies. */
  room: number;
  /** The payload is as long as the value. */
  varies: boolean;
}

const integer = (width: 1 | 2 | 4 | 8, signed: boolean): ValueType => ({
  kind: VALUE_KINDS.VALUE_INTEGER,
  width,
  signed,
  room: 8,
  varies: false,
});

const fixed = (kind: number, room: number): ValueType => ({
  kind,
  width: 0,
  signed: false,
  room,
  varies: false,
});

const CAPABILITY_SET = fixed(VALUE_KINDS.VALUE_CAPABILITY_SET, 8);

const varying = (kind: number, room: number): ValueType => ({ ...fixed(kind, room), varies: true });

const STRING = varying(VALUE_KINDS.VALUE_STRING, MAX_STRING);

/** struct path_value and the path. */
const path = (kind: number): ValueType => varying(kind, PATH_SIZE + MAX_STRING);

/** struct buffer_value and the bytes. */
const BUFFER = varying(VALUE_KINDS.VALUE_BUFFER, BUFFER_SIZE + MAX_STRING);

/** struct module_value and the name. */
const MODULE_BYTES = MODULE_SIZE + MODULE_NAME_BYTES;

/** Whether a type is shown and compared by its path. */
export function isPath({ kind }: ValueType): boolean {
  return kind >= VALUE_KINDS.VALUE_FILE && kind <= VALUE_KINDS.VALUE_BINPRM;
}

/** Whether a type is bytes, as many as something else says. */
export function isBuffer({ kind }: ValueType): boolean {
  return kind === VALUE_KINDS.VALUE_BUFFER;
}

/** Whether a type is compared as text. */
export function isText(type: ValueType): boolean {
  return type.kind === VALUE_KINDS.VALUE_STRING || isBuffer(type) || isPath(type);
}

/** Every argument type that hooks can read; `auto` stands for one of them. */
export const VALUE_TYPES: Readonly<Record<Exclude<ArgType, "auto">, ValueType>> = {
  int: integer(4, true),
  sint32: integer(4, true),
  int32: integer(4, true),
  sint8: integer(1, true),
  int8: integer(1, true),
  sint16: integer(2, true),
  int16: integer(2, true),
  uint8: integer(1, false),
  uint16: integer(2, false),
  uint32: integer(4, false),
  long: integer(8, true),
  sint64: integer(8, true),
  int64: integer(8, true),
  ulong: integer(8, false),
  uint64: integer(8, false),
  size_t: integer(8, false),
  capability: integer(4, true),
  kernel_cap_t: CAPABILITY_SET,
  cap_inheritable: CAPABILITY_SET,
  cap_permitted: CAPABILITY_SET,
  cap_effective: CAPABILITY_SET,
  cred: fixed(VALUE_KINDS.VALUE_CRED, CRED_SIZE),
  user_namespace: fixed(VALUE_KINDS.VALUE_USER_NS, USER_NS_SIZE),
  syscall64: integer(8, false),
  string: STRING,
  filename: STRING,
  file: path(VALUE_KINDS.VALUE_FILE),
  path: path(VALUE_KINDS.VALUE_PATH),
  dentry: path(VALUE_KINDS.VALUE_DENTRY),
  fd: path(VALUE_KINDS.VALUE_FD),
  linux_binprm: path(VALUE_KINDS.VALUE_BINPRM),
  char_buf: BUFFER,
  const_buf: BUFFER,
  module: fixed(VALUE_KINDS.VALUE_MODULE, MODULE_BYTES),
  load_info: fixed(VALUE_KINDS.VALUE_LOAD_INFO, MODULE_BYTES),
  nop: fixed(VALUE_KINDS.VALUE_NOP, 0),
};

/** How an argument is read; throws a HookError for an `auto` that has not been resolved. */
export function valueType({ type, maxData }: Pick<ArgDef, "type" | "maxData">): ValueType {
  if (type === "auto") throw new HookError("InvalidArgument", "auto is no type: name the one that is meant");
  const found = VALUE_TYPES[type];
  return maxData ? { ...found, room: BUFFER_SIZE + MAX_DATA } : found;
}
