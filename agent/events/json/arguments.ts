/** Arguments of hook records as JSON, written straight from the record's words. */
import type { ArgType } from "../../../crds/argument-types.ts";
import type { RecordBatch } from "../../records/decode.ts";
import { BUFFER_SIZE, CRED_SIZE, MODULE_SIZE, PATH_SIZE, USER_NS_SIZE } from "../../records/layout.ts";
import { type ByteWriter, utf8 } from "../byte-writer.ts";
import { writeConstBuffer, writeDataBuffer } from "./buffers.ts";
import { CAPABILITY_NAMES } from "./capabilities.ts";
import { writeCredentials, writeUserNamespace } from "./credentials.ts";
import { writeBinprm, writeFile, writePath } from "./files.ts";
import { writeModule } from "./modules.ts";
import { writeSyscallId } from "./syscalls.ts";

/** Writes the payload at a word index as the argument's one field: `"int_arg":0`. */
export type ArgumentWriter = (out: ByteWriter, batch: RecordBatch, at: number, sizeBytes: number) => void;

const QUOTE = utf8('"');
const END_OBJECT = utf8("}");

/** How a type is written, and how many bytes of payload that takes at least. */
export interface ArgumentFormat {
  write: ArgumentWriter;
  minBytes: number;
}

/** How each type is written; types that are not shown have no format. */
export const ARGUMENT_FORMATS: Record<ArgType, ArgumentFormat | undefined> = {
  int: word(int32("int_arg")),
  int32: word(int32("int_arg")),
  sint32: word(int32("int_arg")),
  int16: word(int32("int_arg")),
  sint16: word(int32("int_arg")),
  int8: word(int32("int_arg")),
  sint8: word(int32("int_arg")),
  uint32: word(uint32("uint_arg")),
  uint16: word(uint32("uint_arg")),
  uint8: word(uint32("uint_arg")),
  long: word(int64("long_arg")),
  int64: word(int64("long_arg")),
  sint64: word(int64("long_arg")),
  ulong: word(uint64("size_arg")),
  uint64: word(uint64("size_arg")),
  size_t: word(uint64("size_arg")),
  string: { write: text("string_arg"), minBytes: 0 },
  filename: { write: text("string_arg"), minBytes: 0 },
  cred: { write: writeCredentials, minBytes: CRED_SIZE },
  user_namespace: { write: writeUserNamespace, minBytes: USER_NS_SIZE },
  capability: word(writeCapability),
  kernel_cap_t: word(hex64("kernel_cap_t_arg")),
  cap_inheritable: word(hex64("cap_inheritable_arg")),
  cap_permitted: word(hex64("cap_permitted_arg")),
  cap_effective: word(hex64("cap_effective_arg")),
  char_buf: { write: writeDataBuffer, minBytes: BUFFER_SIZE },
  const_buf: { write: writeConstBuffer, minBytes: BUFFER_SIZE },
  file: { write: writeFile, minBytes: PATH_SIZE },
  fd: { write: writeFile, minBytes: PATH_SIZE },
  path: { write: writePath, minBytes: PATH_SIZE },
  dentry: { write: writePath, minBytes: PATH_SIZE },
  linux_binprm: { write: writeBinprm, minBytes: PATH_SIZE },
  module: { write: writeModule, minBytes: MODULE_SIZE },
  load_info: { write: writeModule, minBytes: MODULE_SIZE },
  syscall64: word(writeSyscallId),
  /** The engine replaces it by the type of the function's prototype. */
  auto: undefined,
  nop: undefined,
};

/** Types whose payload is one __u64. */
function word(write: ArgumentWriter): ArgumentFormat {
  return { write, minBytes: 8 };
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
