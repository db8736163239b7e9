/** Decodes records into plain objects for tests: written to be clear, while agent/records/decode.ts is fast. */

import { STRUCTS } from "../../agent/records/layout.gen.ts";
import {
  BUFFER_SIZE,
  CGROUP,
  CRED,
  CRED_CHANGE,
  CRED_CHANGE_SIZE,
  CRED_REST,
  EXEC,
  EXEC_SIZE,
  EXIT,
  FORK,
  HEADER,
  HOOK,
  HOOK_SIZE,
  MAX_GROUPS,
  MODULE,
  MODULE_SIZE,
  NS,
  PATH_SIZE,
  RECORD_CGROUP,
  RECORD_CRED_CHANGE,
  RECORD_EXEC,
  RECORD_EXIT,
  RECORD_FORK,
  RECORD_HASH,
  RECORD_KERNEL_STACK,
  RECORD_RETURN,
  RECORD_USER_STACK,
  SLOT_SIZE,
  USER_NS,
} from "../../agent/records/layout.ts";
import { type ArgType, type ArgumentFamily, traitsOf } from "../../crds/argument-types.ts";
import type { CredChangeField } from "../../crds/hook-spec.ts";
import { CRED_CHANGE_FIELDS } from "../../crds/schema/words.ts";

const SLOT = STRUCTS.arg_slot.members;

/** The header of every record. */
export interface Header {
  kind: "exec" | "fork" | "exit" | "hook" | "cgroup";
  flags: number;
  ktimeNs: bigint;
  pid: number;
  tid: number;
  leaderStartNs: bigint;
  execSeq: number;
  uid: number;
}

/** Ids, securebits and user namespace as numbers, capability sets as bits. */
export type CredFields = Record<string, number | bigint>;

/** Old and new credentials; `changed` by the names of CRED_CHANGE_FIELDS. */
export interface CredChangeFields {
  changed: CredChangeField[];
  old: CredFields;
  new: CredFields;
  /** The first of the supplementary groups. */
  groups: { old: number[]; new: number[] };
}

/** The value of an argument: undefined when it could not be read. */
export type Value = bigint | string | CredFields | undefined;

/** One record; `fields` by the names of event.h. */
export interface TestRecord extends Header {
  fields: Record<string, number | bigint | string | CredFields>;
  /** In a hook record: the arguments' values, read by their types. */
  slots: Slot[];
  /** In a hook record: the parts after the arguments. */
  extras: { returned?: Slot; change?: CredChangeFields; kernelStack?: Slot; userStack?: Slot; hash?: Slot };
}

/** A slot's status and value. */
export interface Slot {
  status: number;
  bytes: Uint8Array;
}

/** All records of a batch. */
export function decodeBatch(batch: ArrayBuffer): TestRecord[] {
  const records: TestRecord[] = [];
  const view = new DataView(batch);
  for (let at = 0; at < batch.byteLength; ) {
    const size = view.getUint32(at + HEADER.size, true);
    records.push(decodeRecord(new DataView(batch, at, size)));
    at += (size + 7) & ~7;
  }
  return records;
}

/** A slot's bytes as the value of a type. */
export function argumentValue(slot: { status: number; bytes: Uint8Array } | undefined, type: ArgType): Value {
  if (!slot || slot.status === 1) return undefined;
  return DECODERS[traitsOf(type).family](slot.bytes, type);
}

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new DataView(buffer, byteOffset, byteLength);

const unsigned = (bytes: Uint8Array) => viewOf(bytes).getBigUint64(0, true);

const DECODERS: Record<ArgumentFamily, (bytes: Uint8Array, type: ArgType) => Value> = {
  integer: (bytes, type) => (isSigned(type) ? viewOf(bytes).getBigInt64(0, true) : unsigned(bytes)),
  capability: (bytes) => viewOf(bytes).getBigInt64(0, true),
  capabilitySet: unsigned,
  string: latin1,
  buffer: (bytes) => latin1(bytes.subarray(BUFFER_SIZE)),
  path: (bytes) => latin1(bytes.subarray(PATH_SIZE)),
  credentials: (bytes) => decodeCred(viewOf(bytes)),
  userNamespace: (bytes) => readU32s(viewOf(bytes), USER_NS),
  module: decodeModule,
  nothing: () => undefined,
  placeholder: () => undefined,
};

function isSigned(type: ArgType): boolean {
  const traits = traitsOf(type);
  return "signed" in traits && traits.signed;
}

function decodeModule(bytes: Uint8Array): CredFields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = Buffer.from(bytes.subarray(MODULE_SIZE)).toString("latin1").replace(/\0.*$/s, "");
  return {
    [name]: view.getUint32(MODULE.signature_ok, true),
    taints: view.getBigUint64(MODULE.taints, true),
  };
}

const KINDS: Record<number, Header["kind"]> = {
  [RECORD_EXEC]: "exec",
  [RECORD_FORK]: "fork",
  [RECORD_EXIT]: "exit",
  [RECORD_CGROUP]: "cgroup",
};

function decodeRecord(view: DataView): TestRecord {
  const kind = KINDS[view.getUint16(HEADER.kind, true)] ?? "hook";
  const header: Header = {
    kind,
    flags: view.getUint16(HEADER.flags, true),
    ktimeNs: view.getBigUint64(HEADER.ktime_ns, true),
    pid: view.getUint32(HEADER.pid, true),
    tid: view.getUint32(HEADER.tid, true),
    leaderStartNs: view.getBigUint64(HEADER.leader_start_ns, true),
    execSeq: view.getUint32(HEADER.exec_seq, true),
    uid: view.getUint32(HEADER.uid, true),
  };
  if (kind === "hook") return { ...header, fields: decodeHook(view), ...decodeSlots(view, header.flags) };
  return { ...header, fields: FIELDS[kind](view), slots: [], extras: {} };
}

const FIELDS = {
  exec: decodeExec,
  fork: (view: DataView) => ({
    parent_pid: view.getUint32(FORK.parent_pid, true),
    nspid: view.getUint32(FORK.nspid, true),
    parent_start_ns: view.getBigUint64(FORK.parent_start_ns, true),
    cgroup_id: view.getBigUint64(FORK.cgroup_id, true),
  }),
  exit: (view: DataView) => ({ code: view.getUint32(EXIT.code, true) }),
  cgroup: (view: DataView) => ({
    cgroup_id: view.getBigUint64(CGROUP.cgroup_id, true),
    parent_id: view.getBigUint64(CGROUP.parent_id, true),
    removed: view.getUint32(CGROUP.removed, true),
    name: Buffer.from(
      view.buffer,
      view.byteOffset + CGROUP.name,
      view.getUint32(CGROUP.name_size, true),
    ).toString("latin1"),
  }),
};

function decodeExec(view: DataView): TestRecord["fields"] {
  const fields: TestRecord["fields"] = {
    cred: decodeCred(new DataView(view.buffer, view.byteOffset + EXEC.cred)),
    ns: readU32s(new DataView(view.buffer, view.byteOffset + EXEC.ns), NS),
    ...readU32s(view, {
      nspid: EXEC.nspid,
      auid: EXEC.auid,
      parent_pid: EXEC.parent_pid,
      exe_links: EXEC.exe_links,
    }),
    parent_start_ns: view.getBigUint64(EXEC.parent_start_ns, true),
    exe_inode: view.getBigUint64(EXEC.exe_inode, true),
    privileges: view.getUint16(EXEC.privileges, true),
    cgroup_id: view.getBigUint64(EXEC.cgroup_id, true),
  };
  let at = EXEC_SIZE;
  for (const name of ["filename", "args", "cwd", "cgroup", "exe"] as const) {
    const size = view.getUint16(EXEC[`${name}_size`], true);
    fields[name] = Buffer.from(view.buffer, view.byteOffset + at, size).toString("latin1");
    at += size;
  }
  return fields;
}

function decodeHook(view: DataView): TestRecord["fields"] {
  return {
    hook_id: view.getUint32(HOOK.hook_id, true),
    selector: view.getUint16(HOOK.selector, true),
    action: view.getUint8(HOOK.action),
    cgroup_id: view.getBigUint64(HOOK.cgroup_id, true),
    syscall: view.getUint32(HOOK.syscall, true),
    in_exec: view.getUint32(HOOK.in_exec, true),
  };
}

function decodeChange(view: DataView): CredChangeFields {
  const at = (offset: number) => new DataView(view.buffer, view.byteOffset + offset);
  const changed = view.getUint32(CRED_CHANGE.changed, true);
  return {
    changed: CRED_CHANGE_FIELDS.filter((_, bit) => changed & (1 << bit)),
    old: { ...decodeCred(at(CRED_CHANGE.old)), ...decodeRest(at(CRED_CHANGE.old_rest)) },
    new: { ...decodeCred(at(CRED_CHANGE.new)), ...decodeRest(at(CRED_CHANGE.new_rest)) },
    groups: { old: decodeGroups(at(CRED_CHANGE.old_rest)), new: decodeGroups(at(CRED_CHANGE.new_rest)) },
  };
}

function decodeRest(view: DataView): CredFields {
  const { cap_bounding, cap_ambient, groups: _, reserved: __, ...words } = CRED_REST;
  return {
    ...readU32s(view, words),
    cap_bounding: view.getBigUint64(cap_bounding, true),
    cap_ambient: view.getBigUint64(cap_ambient, true),
  };
}

function decodeGroups(view: DataView): number[] {
  const count = Math.min(view.getUint32(CRED_REST.groups_count, true), MAX_GROUPS);
  return Array.from({ length: count }, (_, index) => view.getUint32(CRED_REST.groups + 4 * index, true));
}

function decodeSlots(view: DataView, flags: number): Pick<TestRecord, "slots" | "extras"> {
  let at = HOOK_SIZE;
  const take = (): Slot => {
    const size = view.getUint16(at + SLOT.size, true);
    const bytes = new Uint8Array(view.buffer, view.byteOffset + at + SLOT_SIZE, size);
    const status = view.getUint16(at + SLOT.status, true);
    at += SLOT_SIZE + view.getUint16(at + SLOT.room, true);
    return { status, bytes };
  };
  const slots = Array.from({ length: view.getUint8(HOOK.args) }, take);
  const extras: TestRecord["extras"] = {};
  if (flags & RECORD_RETURN) extras.returned = take();
  if (flags & RECORD_CRED_CHANGE) {
    extras.change = decodeChange(new DataView(view.buffer, view.byteOffset + at));
    at += CRED_CHANGE_SIZE;
  }
  if (flags & RECORD_KERNEL_STACK) extras.kernelStack = take();
  if (flags & RECORD_USER_STACK) extras.userStack = take();
  if (flags & RECORD_HASH) extras.hash = take();
  return { slots, extras };
}

function decodeCred(view: DataView): CredFields {
  const { cap_permitted, cap_effective, cap_inheritable, reserved: _, ...words } = CRED;
  return {
    ...readU32s(view, words),
    cap_permitted: view.getBigUint64(cap_permitted, true),
    cap_effective: view.getBigUint64(cap_effective, true),
    cap_inheritable: view.getBigUint64(cap_inheritable, true),
  };
}

function readU32s(view: DataView, offsets: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(offsets).map(([name, at]) => [name, view.getUint32(at, true)]));
}
