/** Values of hook records as the oneof of KprobeArgument, written straight from the record's words. */
import { arch } from "node:os";
import type { ArgType } from "../../../crds/argument-types.ts";
import type { RecordBatch } from "../../records/decode.ts";
import {
  BUFFER,
  BUFFER_SIZE,
  CRED_SIZE,
  MODULE,
  MODULE_SIZE,
  PATH,
  PATH_SIZE,
  USER_NS_SIZE,
  WALK_FAILED,
  WALK_TRUNCATED,
} from "../../records/layout.ts";
import { utf8 } from "../byte-writer.ts";
import { CAPABILITY_NAMES } from "../json/capabilities.ts";
import { permissionText } from "../json/files.ts";
import { writeCredentials, writeUserNamespace } from "./credentials.ts";
import { bytesKey, type ProtoWriter, varintKey } from "./writer.ts";

/** Writes the payload at a word index as the one field of the oneof that its type has. */
export type ArgumentWriter = (out: ProtoWriter, batch: RecordBatch, at: number, sizeBytes: number) => void;

/** How a type is written, and how many bytes of payload that takes at least. */
export interface ArgumentFormat {
  write: ArgumentWriter;
  minBytes: number;
}

/** Numbers in KprobeArgument. */
const ARG = {
  string: 1,
  int: 2,
  size: 4,
  bytes: 5,
  path: 6,
  file: 7,
  truncatedBytes: 8,
  long: 11,
  uint: 15,
  capability: 17,
  credentials: 19,
  userNamespace: 20,
  module: 21,
  kernelCap: 22,
  capInheritable: 23,
  capPermitted: 24,
  capEffective: 25,
  linuxBinprm: 26,
  syscallId: 29,
} as const;

const signed = word((out, { words }, at) => {
  out.varint(varintKey(ARG.int));
  out.int32((words[at] as number) | 0);
});
const unsigned = word((out, { words }, at) => {
  out.varint(varintKey(ARG.uint));
  out.varint(words[at] as number);
});
const long = word(int64(ARG.long));
const size = word(int64(ARG.size));
const text: ArgumentFormat = { write: writeText, minBytes: 0 };
const file: ArgumentFormat = { write: fileWriter(ARG.file, 2), minBytes: PATH_SIZE };
const path: ArgumentFormat = { write: fileWriter(ARG.path, 2), minBytes: PATH_SIZE };
const module: ArgumentFormat = { write: writeModule, minBytes: MODULE_SIZE };

/** How each type is written; types that show nothing have no format. */
export const ARGUMENT_FORMATS: Record<ArgType, ArgumentFormat | undefined> = {
  int: signed,
  int32: signed,
  sint32: signed,
  int16: signed,
  sint16: signed,
  int8: signed,
  sint8: signed,
  uint32: unsigned,
  uint16: unsigned,
  uint8: unsigned,
  long,
  int64: long,
  sint64: long,
  ulong: size,
  uint64: size,
  size_t: size,
  string: text,
  filename: text,
  cred: {
    write: (out, { words }, at) => writeCredentials(out, bytesKey(ARG.credentials), words, at),
    minBytes: CRED_SIZE,
  },
  user_namespace: {
    write: (out, { words }, at) => writeUserNamespace(out, bytesKey(ARG.userNamespace), words, at),
    minBytes: USER_NS_SIZE,
  },
  capability: word(writeCapability),
  kernel_cap_t: word(hex64(ARG.kernelCap)),
  cap_inheritable: word(hex64(ARG.capInheritable)),
  cap_permitted: word(hex64(ARG.capPermitted)),
  cap_effective: word(hex64(ARG.capEffective)),
  char_buf: { write: writeDataBuffer, minBytes: BUFFER_SIZE },
  const_buf: { write: writeConstBuffer, minBytes: BUFFER_SIZE },
  file,
  fd: file,
  path,
  dentry: path,
  linux_binprm: { write: fileWriter(ARG.linuxBinprm, 1), minBytes: PATH_SIZE },
  module,
  load_info: module,
  syscall64: word(writeSyscallId),
  /** The type of the prototype takes its place when the hook is attached. */
  auto: undefined,
  nop: undefined,
};

/** Types whose payload is one __u64. */
function word(write: ArgumentWriter): ArgumentFormat {
  return { write, minBytes: 8 };
}

function int64(field: number): ArgumentWriter {
  const key = varintKey(field);
  return (out, { words }, at) => {
    out.varint(key);
    out.varint64(words[at] as number, words[at + 1] as number);
  };
}

function hex64(field: number): ArgumentWriter {
  const key = bytesKey(field);
  return (out, { words }, at) => out.hex64Field(key, words[at] as number, words[at + 1] as number);
}

function writeText(out: ProtoWriter, { bytes }: RecordBatch, at: number, sizeBytes: number): void {
  out.textField(bytesKey(ARG.string), untilNul(bytes.subarray(at * 4, at * 4 + sizeBytes)));
}

function untilNul(text: Uint8Array): Uint8Array {
  const nul = text.indexOf(0);
  return nul < 0 ? text : text.subarray(0, nul);
}

const CAPABILITY_BYTES = CAPABILITY_NAMES.map((name) => utf8(name));

/** A number without a name has none. */
function writeCapability(out: ProtoWriter, { words }: RecordBatch, at: number): void {
  const value = (words[at] as number) | 0;
  const start = out.begin(bytesKey(ARG.capability));
  out.wrappedInt32(bytesKey(1), value);
  const name = CAPABILITY_BYTES[value];
  if (name !== undefined) out.bytesField(bytesKey(2), name);
  out.end(start);
}

/** char_buf: a buffer that is larger than what was read of it has its size beside the bytes. */
function writeDataBuffer(out: ProtoWriter, batch: RecordBatch, at: number, sizeBytes: number): void {
  const { words } = batch;
  const sizeAt = at + (BUFFER.size >> 2);
  const low = words[sizeAt] as number;
  const high = words[sizeAt + 1] as number;
  const content = bufferContent(batch, at, sizeBytes);
  if (high === 0 && low <= content.length) {
    out.bytesField(bytesKey(ARG.bytes), content);
    return;
  }
  const start = out.begin(bytesKey(ARG.truncatedBytes));
  if (content.length > 0) out.bytesField(bytesKey(1), content);
  out.varint(varintKey(2));
  out.varint64(low, high);
  out.end(start);
}

/** const_buf: a string without the zeros at its end. */
function writeConstBuffer(out: ProtoWriter, batch: RecordBatch, at: number, sizeBytes: number): void {
  const content = bufferContent(batch, at, sizeBytes);
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end--;
  out.textField(bytesKey(ARG.string), content.subarray(0, end));
}

function bufferContent({ bytes }: RecordBatch, at: number, sizeBytes: number): Uint8Array {
  return bytes.subarray(at * 4 + BUFFER_SIZE, at * 4 + sizeBytes);
}

const INCOMPLETE = utf8("unresolvedPathComponents");
const permissions = new Map<number, Uint8Array>();

/** Path, flags and permission stand in this order from the field `first` on. */
function fileWriter(field: number, first: number): ArgumentWriter {
  const key = bytesKey(field);
  const [pathKey, flagsKey, permissionKey] = [bytesKey(first), bytesKey(first + 1), bytesKey(first + 2)];
  return (out, { words, bytes }, at, sizeBytes) => {
    const start = out.begin(key);
    if (sizeBytes > PATH_SIZE) out.textField(pathKey, bytes.subarray(at * 4 + PATH_SIZE, at * 4 + sizeBytes));
    const flags = words[at + (PATH.flags >> 2)] as number;
    if ((flags & (WALK_TRUNCATED | WALK_FAILED)) !== 0) out.bytesField(flagsKey, INCOMPLETE);
    out.bytesField(permissionKey, permission(words[at + (PATH.mode >> 2)] as number));
    out.end(start);
  };
}

function permission(mode: number): Uint8Array {
  const key = mode & 0xffff;
  let known = permissions.get(key);
  if (known === undefined) {
    known = utf8(permissionText(key));
    permissions.set(key, known);
  }
  return known;
}

/** Where the kernel does not say whether the signature is right, neither does the event. */
function writeModule(out: ProtoWriter, { words, bytes }: RecordBatch, at: number, sizeBytes: number): void {
  const start = out.begin(bytesKey(ARG.module));
  out.textField(bytesKey(1), untilNul(bytes.subarray(at * 4 + MODULE_SIZE, at * 4 + sizeBytes)));
  const signature = words[at + (MODULE.signature_ok >> 2)] as number;
  if (signature === 0 || signature === 1) out.wrappedUint32(bytesKey(2), signature);
  writeTaints(out, words[at + (MODULE.taints >> 2)] as number);
  out.end(start);
}

/** One value per bit; enums have 32 bits, and the kernel uses 20. */
function writeTaints(out: ProtoWriter, taints: number): void {
  if (taints === 0) return;
  const start = out.begin(bytesKey(3));
  for (let bit = 0; bit < 31; bit++) if ((taints & (1 << bit)) !== 0) out.varint(1 << bit);
  out.end(start);
}

/** Set in the number of a call that a 32-bit program makes. */
const IS_32_BIT = 0x8000_0000;
/** Names of the 64-bit and the 32-bit calls. */
const [ABI, ABI_32] = (arch() === "arm64" ? ["arm64", "arm32"] : ["x64", "i386"]).map(utf8) as [
  Uint8Array,
  Uint8Array,
];

function writeSyscallId(out: ProtoWriter, { words }: RecordBatch, at: number): void {
  const value = words[at] as number;
  const id = value & ~IS_32_BIT;
  const start = out.begin(bytesKey(ARG.syscallId));
  if (id !== 0) {
    out.varint(varintKey(1));
    out.varint(id);
  }
  out.bytesField(bytesKey(2), (value & IS_32_BIT) === 0 ? ABI : ABI_32);
  out.end(start);
}
