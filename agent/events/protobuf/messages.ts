/** Messages that are encoded once and kept, from the same objects that JSON is made of: tables of their field numbers. */
import { CAPABILITY_NAMES, SECUREBIT_NAMES } from "../json/capabilities.ts";
import { bytesKey, ProtoWriter, varintKey } from "./writer.ts";

type FieldType =
  | "string"
  | "uint32"
  | "bool"
  /** 64 bits, in objects a decimal string. */
  | "uint64"
  /** Wrapped values, which are sent also where they are zero. */
  | "UInt32Value"
  | "BoolValue"
  /** In objects an RFC 3339 string. */
  | "Timestamp"
  | "string map"
  | "strings"
  | readonly string[] // a list of enum values; in objects by name, without one by number
  | { readonly bits: readonly string[] } // the same where each name is one bit
  | MessageTable;

/** The fields of a message by their name in JSON. */
export interface MessageTable {
  readonly fields: Readonly<Record<string, readonly [number: number, type: FieldType]>>;
}

const PRIVILEGES = [
  "PRIVILEGES_CHANGED_UNSET",
  "PRIVILEGES_RAISED_EXEC_FILE_CAP",
  "PRIVILEGES_RAISED_EXEC_FILE_SETUID",
  "PRIVILEGES_RAISED_EXEC_FILE_SETGID",
];

const IMAGE: MessageTable = { fields: { id: [1, "string"], name: [2, "string"] } };
const SECURITY_CONTEXT: MessageTable = { fields: { privileged: [1, "bool"] } };
const CONTAINER: MessageTable = {
  fields: {
    id: [1, "string"],
    name: [2, "string"],
    image: [3, IMAGE],
    start_time: [4, "Timestamp"],
    pid: [5, "UInt32Value"],
    maybe_exec_probe: [13, "bool"],
    security_context: [14, SECURITY_CONTEXT],
  },
};
const POD: MessageTable = {
  fields: {
    namespace: [1, "string"],
    name: [2, "string"],
    uid: [3, "string"],
    container: [4, CONTAINER],
    pod_labels: [5, "string map"],
    workload: [6, "string"],
    workload_kind: [7, "string"],
    pod_annotations: [8, "string map"],
  },
};
const CAPABILITIES: MessageTable = {
  fields: {
    permitted: [1, CAPABILITY_NAMES],
    effective: [2, CAPABILITY_NAMES],
    inheritable: [3, CAPABILITY_NAMES],
  },
};
const NAMESPACE: MessageTable = { fields: { inum: [1, "uint32"], is_host: [2, "bool"] } };
const NAMESPACES: MessageTable = {
  fields: {
    uts: [1, NAMESPACE],
    ipc: [2, NAMESPACE],
    mnt: [3, NAMESPACE],
    pid: [4, NAMESPACE],
    pid_for_children: [5, NAMESPACE],
    net: [6, NAMESPACE],
    time: [7, NAMESPACE],
    time_for_children: [8, NAMESPACE],
    cgroup: [9, NAMESPACE],
    user: [10, NAMESPACE],
  },
};
const CREDENTIALS: MessageTable = {
  fields: {
    uid: [1, "UInt32Value"],
    gid: [2, "UInt32Value"],
    euid: [3, "UInt32Value"],
    egid: [4, "UInt32Value"],
    suid: [5, "UInt32Value"],
    sgid: [6, "UInt32Value"],
    fsuid: [7, "UInt32Value"],
    fsgid: [8, "UInt32Value"],
    securebits: [9, { bits: SECUREBIT_NAMES }],
  },
};
const INODE: MessageTable = { fields: { number: [1, "uint64"], links: [2, "UInt32Value"] } };
const FILE: MessageTable = { fields: { inode: [1, INODE], path: [2, "string"] } };
const BINARY: MessageTable = {
  fields: {
    setuid: [1, "UInt32Value"],
    setgid: [2, "UInt32Value"],
    privileges_changed: [3, PRIVILEGES],
    file: [4, FILE],
  },
};
const USER: MessageTable = { fields: { name: [1, "string"] } };

/** tetragon.Process with what we add to it; reference count and thread id, which differ by event, are written apart. */
export const PROCESS: MessageTable = {
  fields: {
    exec_id: [1, "string"],
    pid: [2, "UInt32Value"],
    uid: [3, "UInt32Value"],
    cwd: [4, "string"],
    binary: [5, "string"],
    arguments: [6, "string"],
    flags: [7, "string"],
    start_time: [8, "Timestamp"],
    auid: [9, "UInt32Value"],
    pod: [10, POD],
    docker: [11, "string"],
    parent_exec_id: [12, "string"],
    cap: [14, CAPABILITIES],
    ns: [15, NAMESPACES],
    process_credentials: [17, CREDENTIALS],
    binary_properties: [18, BINARY],
    user: [19, USER],
    in_init_tree: [20, "BoolValue"],
    security_label: [20000, "string"],
  },
};

/** What changed in a capability set. */
export const CAPABILITY_CHANGE: MessageTable = {
  fields: { added: [1, "strings"], removed: [2, "strings"], old: [3, "string"], new: [4, "string"] },
};

/** One frame of a stack. */
export const STACK_FRAME: MessageTable = {
  fields: { address: [1, "uint64"], offset: [2, "uint64"], symbol: [3, "string"], module: [4, "string"] },
};

/** The fields of an object in the order of the table; those that are undefined, and plain zeros, are left out. */
export function writeFields(out: ProtoWriter, table: MessageTable, object: object): void {
  for (const [name, number, type] of rowsOf(table)) {
    const value = (object as Record<string, unknown>)[name];
    if (value !== undefined) writeField(out, number, type, value);
  }
}

type Row = readonly [name: string, number: number, type: FieldType];

const rows = new Map<MessageTable, readonly Row[]>();

/** The table as a list, made once: a table is walked for every process. */
function rowsOf(table: MessageTable): readonly Row[] {
  const known = rows.get(table);
  if (known !== undefined) return known;
  const made = Object.entries(table.fields).map(([name, [number, type]]): Row => [name, number, type]);
  rows.set(table, made);
  return made;
}

const scratch = new ProtoWriter();
const NOTHING = new Uint8Array();

/** The bytes of writeFields(). */
export function encodeFields(table: MessageTable, object: object): Uint8Array {
  writeFields(scratch, table, object);
  return scratch.length === 0 ? NOTHING : scratch.take();
}

function writeField(out: ProtoWriter, number: number, type: FieldType, value: unknown): void {
  if (typeof type === "string") WRITERS[type](out, number, value);
  else if ("fields" in type) writeMessage(out, number, type, value as object);
  else
    writeEnums(out, number, value as (string | number)[], "bits" in type ? bitOf(type.bits) : indexOf(type));
}

function writeMessage(out: ProtoWriter, number: number, table: MessageTable, value: object): void {
  const start = out.begin(bytesKey(number));
  writeFields(out, table, value);
  out.end(start);
}

type ValueOfName = (name: string) => number;

function indexOf(names: readonly string[]): ValueOfName {
  return (name) => names.indexOf(name);
}

function bitOf(names: readonly string[]): ValueOfName {
  return (name) => 1 << names.indexOf(name);
}

function writeEnums(
  out: ProtoWriter,
  number: number,
  list: (string | number)[],
  toNumber: ValueOfName,
): void {
  if (list.length === 0) return;
  const start = out.begin(bytesKey(number));
  for (const item of list) out.int32(typeof item === "string" ? toNumber(item) : item | 0);
  out.end(start);
}

type FieldWriter = (out: ProtoWriter, number: number, value: unknown) => void;

const WRITERS: Record<Extract<FieldType, string>, FieldWriter> = {
  string: (out, number, value) => {
    if (value !== "") out.stringField(bytesKey(number), String(value));
  },
  uint32: (out, number, value) => {
    if (value === 0) return;
    out.varint(varintKey(number));
    out.varint(value as number);
  },
  bool: (out, number, value) => {
    if (!value) return;
    out.varint(varintKey(number));
    out.byte(1);
  },
  uint64: (out, number, value) => {
    const all = BigInt(value as string);
    if (all === 0n) return;
    out.varint(varintKey(number));
    out.varint64(Number(all & 0xffff_ffffn), Number(all >> 32n));
  },
  UInt32Value: (out, number, value) => out.wrappedUint32(bytesKey(number), value as number),
  BoolValue: (out, number, value) => out.wrappedUint32(bytesKey(number), value ? 1 : 0),
  Timestamp: (out, number, value) => writeTimestampText(out, number, value as string),
  strings: (out, number, value) => {
    for (const item of value as (string | number)[]) out.stringField(bytesKey(number), String(item));
  },
  "string map": (out, number, value) => {
    for (const [key, item] of Object.entries(value as Record<string, string>))
      writeEntry(out, number, key, item);
  },
};

function writeEntry(out: ProtoWriter, number: number, key: string, value: string): void {
  const start = out.begin(bytesKey(number));
  out.stringField(bytesKey(1), key);
  out.stringField(bytesKey(2), value);
  out.end(start);
}

/** RFC 3339 in UTC with up to nine fractional digits; a text that is no time is left out. */
function writeTimestampText(out: ProtoWriter, number: number, text: string): void {
  const [, whole, fraction = ""] = /^([^.]+?)(?:\.(\d{1,9}))?Z$/.exec(text) ?? [];
  const seconds = Date.parse(`${whole}Z`) / 1000;
  if (Number.isNaN(seconds)) return;
  const start = out.begin(bytesKey(number));
  writeTime(out, seconds, Number(fraction.padEnd(9, "0")));
  out.end(start);
}

/** The fields of a Timestamp. */
export function writeTime(out: ProtoWriter, seconds: number, nanos: number): void {
  if (seconds !== 0) {
    out.varint(varintKey(1));
    out.varint64(seconds >>> 0, Math.floor(seconds / 2 ** 32) >>> 0);
  }
  if (nanos === 0) return;
  out.varint(varintKey(2));
  out.varint(nanos);
}
