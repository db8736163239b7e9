/** Arguments of hook records as JSON, written straight from the record's words. */
import type { ArgType } from "../../crds/hook-spec.ts";
import { type ByteWriter, utf8 } from "./byte-writer.ts";
import { CAPABILITY_NAMES, securebitList } from "./capabilities.ts";
import { CapabilityFragments } from "./capability-fragments.ts";
import type { RecordBatch } from "./decode.ts";
import { CRED, USER_NS } from "./record-layout.ts";

/** Writes the payload at a word index as the argument's one field: `"int_arg":0`. */
export type ArgumentWriter = (out: ByteWriter, batch: RecordBatch, at: number, sizeBytes: number) => void;

const QUOTE = utf8('"');
const END_OBJECT = utf8("}");

/** How each type is written; types that show nothing have no writer. */
export const ARGUMENT_WRITERS: Record<ArgType, ArgumentWriter | undefined> = {
  int: int32("int_arg"),
  int32: int32("int_arg"),
  sint32: int32("int_arg"),
  int16: int32("int_arg"),
  sint16: int32("int_arg"),
  int8: int32("int_arg"),
  sint8: int32("int_arg"),
  uint32: uint32("uint_arg"),
  uint16: uint32("uint_arg"),
  uint8: uint32("uint_arg"),
  long: int64("long_arg"),
  int64: int64("long_arg"),
  sint64: int64("long_arg"),
  ulong: uint64("size_arg"),
  uint64: uint64("size_arg"),
  size_t: uint64("size_arg"),
  string: text("string_arg"),
  cred: writeCredentials,
  user_namespace: writeUserNamespace,
  capability: writeCapability,
  kernel_cap_t: hex64("kernel_cap_t_arg"),
  cap_inheritable: hex64("cap_inheritable_arg"),
  cap_permitted: hex64("cap_permitted_arg"),
  cap_effective: hex64("cap_effective_arg"),
  nop: undefined,
  char_buf: undefined,
  const_buf: undefined,
  filename: text("string_arg"),
  fd: undefined,
  file: undefined,
  path: undefined,
  dentry: undefined,
  linux_binprm: undefined,
  module: undefined,
  load_info: undefined,
  syscall64: undefined,
  auto: undefined,
};

/** Payload bytes without which a type's writer must not run. */
export function payloadBytes(type: ArgType): number {
  if (type === "cred") return 80;
  if (type === "user_namespace") return 16;
  return type === "string" || type === "nop" ? 0 : 8;
}

function int32(field: string): ArgumentWriter {
  const key = utf8(`"${field}":`);
  return (out, { words }, at) => {
    out.bytes(key);
    out.int32((words[at] as number) | 0);
  };
}

function uint32(field: string): ArgumentWriter {
  const key = utf8(`"${field}":`);
  return (out, { words }, at) => {
    out.bytes(key);
    out.uint32(words[at] as number);
  };
}

/** 64-bit integers stand in strings: JSON's numbers do not reach that far. */
function int64(field: string): ArgumentWriter {
  const key = utf8(`"${field}":"`);
  return (out, { words }, at) => {
    out.bytes(key);
    out.int64(words[at] as number, words[at + 1] as number);
    out.bytes(QUOTE);
  };
}

function uint64(field: string): ArgumentWriter {
  const key = utf8(`"${field}":"`);
  return (out, { words }, at) => {
    out.bytes(key);
    out.uint64(words[at] as number, words[at + 1] as number);
    out.bytes(QUOTE);
  };
}

function hex64(field: string): ArgumentWriter {
  const key = utf8(`"${field}":"`);
  return (out, { words }, at) => {
    out.bytes(key);
    out.hex64(words[at] as number, words[at + 1] as number);
    out.bytes(QUOTE);
  };
}

function text(field: string): ArgumentWriter {
  const key = utf8(`"${field}":"`);
  return (out, { bytes }, at, sizeBytes) => {
    const start = at * 4;
    const nul = bytes.indexOf(0, start);
    const end = nul >= 0 && nul < start + sizeBytes ? nul : start + sizeBytes;
    out.bytes(key);
    out.jsonText(bytes.subarray(start, end));
    out.bytes(QUOTE);
  };
}

const CAPABILITY_FRAGMENTS = CAPABILITY_NAMES.map((name, value) =>
  utf8(`"capability_arg":{"value":${value},"name":"${name}"}`),
);
const CAPABILITY_VALUE = utf8('"capability_arg":{"value":');

function writeCapability(out: ByteWriter, { words }: RecordBatch, at: number): void {
  const value = (words[at] as number) | 0;
  const known = CAPABILITY_FRAGMENTS[value];
  if (known !== undefined) {
    out.bytes(known);
    return;
  }
  out.bytes(CAPABILITY_VALUE);
  out.int32(value);
  out.bytes(END_OBJECT);
}

const USER_NS_LEVEL = utf8('"user_ns":{"level":');
const USER_NS_ARG_LEVEL = utf8('"user_ns_arg":{"level":');
const USER_NS_UID = utf8(',"uid":');
const USER_NS_GID = utf8(',"gid":');
const USER_NS_INUM = utf8(',"ns":{"inum":');
const USER_NS_HOST = utf8(',"is_host":true}}');
const USER_NS_NOT_HOST = utf8("}}");

function writeUserNamespace(out: ByteWriter, { words }: RecordBatch, at: number): void {
  out.bytes(USER_NS_ARG_LEVEL);
  userNamespaceRest(out, words, at, USER_NS);
}

/** Only the initial user namespace is at level 0. */
function userNamespaceRest(out: ByteWriter, words: Uint32Array, at: number, offsets: typeof USER_NS): void {
  const level = (words[at + (offsets.level >> 2)] as number) | 0;
  out.int32(level);
  out.bytes(USER_NS_UID);
  out.uint32(words[at + (offsets.owner >> 2)] as number);
  out.bytes(USER_NS_GID);
  out.uint32(words[at + (offsets.group >> 2)] as number);
  out.bytes(USER_NS_INUM);
  out.uint32(words[at + (offsets.inum >> 2)] as number);
  out.bytes(level === 0 ? USER_NS_HOST : USER_NS_NOT_HOST);
}

const CRED_IDS: readonly (readonly [key: Uint8Array, word: number])[] = [
  [utf8('"process_credentials_arg":{"uid":'), CRED.uid >> 2],
  [utf8(',"gid":'), CRED.gid >> 2],
  [utf8(',"euid":'), CRED.euid >> 2],
  [utf8(',"egid":'), CRED.egid >> 2],
  [utf8(',"suid":'), CRED.suid >> 2],
  [utf8(',"sgid":'), CRED.sgid >> 2],
  [utf8(',"fsuid":'), CRED.fsuid >> 2],
  [utf8(',"fsgid":'), CRED.fsgid >> 2],
];
/** The user namespace's words lie in a struct cred in the order of a struct user_ns_value. */
const CRED_USER_NS = CRED.user_ns_level >> 2;
const CRED_SECUREBITS = CRED.securebits >> 2;
const COMMA = utf8(",");

const capabilityFragments = new CapabilityFragments();
const securebitFragments = new Map<number, Uint8Array>();

function writeCredentials(out: ByteWriter, { words }: RecordBatch, at: number): void {
  for (let i = 0; i < 8; i++) {
    const [key, word] = CRED_IDS[i] as readonly [Uint8Array, number];
    out.bytes(key);
    out.uint32(words[at + word] as number);
  }
  const securebits = words[at + CRED_SECUREBITS] as number;
  if (securebits !== 0) out.bytes(securebitFragment(securebits));
  out.bytes(capabilityFragments.get(words, at + (CRED.cap_permitted >> 2)));
  out.bytes(COMMA);
  out.bytes(USER_NS_LEVEL);
  userNamespaceRest(out, words, at + CRED_USER_NS, USER_NS);
  out.bytes(END_OBJECT);
}

function securebitFragment(securebits: number): Uint8Array {
  let fragment = securebitFragments.get(securebits);
  if (fragment === undefined) {
    fragment = utf8(`,"securebits":${JSON.stringify(securebitList(securebits))}`);
    if (securebitFragments.size < 1024) securebitFragments.set(securebits, fragment);
  }
  return fragment;
}
