/** Records as the kernel would write them, for tests and benchmarks. */

import { NO_SYSCALL } from "../hook-record.ts";
import {
  BUFFER,
  BUFFER_SIZE,
  CRED,
  CRED_CHANGE,
  CRED_CHANGE_SIZE,
  CRED_FIELD_NAMES,
  CRED_REST,
  CRED_SIZE,
  EXEC,
  EXEC_SIZE,
  EXIT,
  EXIT_SIZE,
  FORK,
  FORK_SIZE,
  HASH,
  HASH_SIZE,
  HEADER,
  HOOK,
  HOOK_SIZE,
  MAX_GROUPS,
  MODULE,
  MODULE_SIZE,
  NO_SELECTOR,
  NS,
  PATH,
  PATH_SIZE,
  RECORD_CRED_CHANGE,
  RECORD_CWD_ROOT,
  RECORD_EXEC,
  RECORD_EXIT,
  RECORD_FORK,
  RECORD_HASH,
  RECORD_HOOK,
  RECORD_KERNEL_STACK,
  RECORD_RETURN,
  RECORD_USER_STACK,
  SLOT_SIZE,
  USER_NS,
  USER_NS_SIZE,
} from "../layout.ts";

/** Fields of a record header that tests set; times in nanoseconds since boot. */
export interface HeaderFields {
  pid: number;
  tid?: number;
  ktimeNs: bigint;
  /** Default: the pid in milliseconds, so that each pid has its own. */
  startNs?: bigint;
  seq?: number;
  uid?: number;
  flags?: number;
}

/** A struct cred; what is left out is 0. */
export type CredFields = Partial<Record<keyof typeof CRED, number | bigint>>;

/** An exec record. */
export interface ExecFields extends HeaderFields {
  filename: string;
  argv?: string[];
  /** argv as raw bytes, in place of `argv`. */
  rawArguments?: Uint8Array;
  cwd?: string;
  cgroup?: string;
  exe?: string;
  parentPid: number;
  parentStartNs?: bigint;
  nspid?: number;
  auid?: number;
  cred?: CredFields;
  namespaces?: Partial<Record<keyof typeof NS, number>>;
  exeLinks?: number;
  exeInode?: bigint;
  /** Bits EXEC_* of layout.ts. */
  privileges?: number;
}

/** A fork record; the header is the child's. */
export interface ForkFields extends HeaderFields {
  creatorPid?: number;
  parentPid: number;
  parentStartNs?: bigint;
  nspid?: number;
}

/** One argument slot. */
export interface SlotFields {
  status?: number;
  /** How far a failed read came in its field path. */
  depth?: number;
  payload: Uint8Array;
}

/** The addresses of a stack, or the number of the error for which it could not be read. */
export type StackFields = bigint[] | { error: number };

/** A hook record. */
export interface HookFields extends HeaderFields {
  hookId: number;
  action?: number;
  slots?: SlotFields[];
  returned?: SlotFields;
  credChange?: CredChangeFields;
  kernelStack?: StackFields;
  userStack?: StackFields;
  hash?: SlotFields;
  /** Absent: none. */
  syscall?: number;
  inExec?: boolean;
}

/** What a struct cred leaves out of credentials; what is left out here is 0. */
export type CredRestFields = Partial<Record<Exclude<keyof typeof CRED_REST, "groups">, number | bigint>> & {
  groups?: number[];
};

/** Old and new credentials. */
export interface CredChangeFields {
  changed?: (typeof CRED_FIELD_NAMES)[number][];
  old?: CredFields;
  new?: CredFields;
  oldRest?: CredRestFields;
  newRest?: CredRestFields;
}

const AUID_UNSET = 4_294_967_295;

/** Start of the process with this pid, unless a test sets another. */
export function defaultStartNs(pid: number): bigint {
  return BigInt(pid) * 1_000_000n;
}

/** Several records in one batch. */
export function makeBatch(...records: Uint8Array[]): ArrayBuffer {
  const batch = new Uint8Array(records.reduce((sum, record) => sum + record.length, 0));
  let at = 0;
  for (const record of records) {
    batch.set(record, at);
    at += record.length;
  }
  return batch.buffer;
}

export function makeExec(fields: ExecFields): Uint8Array {
  const text = (value: string | undefined) => Buffer.from(value ?? "", "utf8");
  const argv = fields.argv ?? [fields.filename];
  const args = fields.rawArguments ?? text(argv.map((argument) => `${argument}\0`).join(""));
  const texts = [text(fields.filename), args, text(fields.cwd ?? "/"), text(fields.cgroup), text(fields.exe)];
  const flags = (fields.flags ?? 0) | ((fields.cwd ?? "/") === "/" ? RECORD_CWD_ROOT : 0);
  const record = makeRecord(RECORD_EXEC, EXEC_SIZE, { ...fields, flags }, Buffer.concat(texts));
  const view = new DataView(record.buffer);
  writeCred(view, EXEC.cred, fields.cred ?? {});
  for (const [name, offset] of Object.entries(NS)) {
    view.setUint32(EXEC.ns + offset, fields.namespaces?.[name as keyof typeof NS] ?? 0, true);
  }
  view.setUint32(EXEC.nspid, fields.nspid ?? fields.pid, true);
  view.setUint32(EXEC.auid, fields.auid ?? AUID_UNSET, true);
  view.setUint32(EXEC.parent_pid, fields.parentPid, true);
  view.setBigUint64(EXEC.parent_start_ns, fields.parentStartNs ?? defaultStartNs(fields.parentPid), true);
  view.setUint32(EXEC.exe_links, fields.exeLinks ?? 1, true);
  view.setBigUint64(EXEC.exe_inode, fields.exeInode ?? 4711n, true);
  view.setUint16(EXEC.privileges, fields.privileges ?? 0, true);
  const sizes = [EXEC.filename_size, EXEC.args_size, EXEC.cwd_size, EXEC.cgroup_size, EXEC.exe_size];
  for (const [i, offset] of sizes.entries()) view.setUint16(offset, texts[i]?.length ?? 0, true);
  return record;
}

export function makeFork(fields: ForkFields): Uint8Array {
  const record = makeRecord(RECORD_FORK, FORK_SIZE, fields);
  const view = new DataView(record.buffer);
  view.setUint32(FORK.parent_pid, fields.parentPid, true);
  view.setUint32(FORK.nspid, fields.nspid ?? fields.pid, true);
  view.setUint32(FORK.creator_pid, fields.creatorPid ?? fields.parentPid, true);
  view.setBigUint64(FORK.parent_start_ns, fields.parentStartNs ?? defaultStartNs(fields.parentPid), true);
  return record;
}

export function makeExit(fields: HeaderFields & { code?: number }): Uint8Array {
  const record = makeRecord(RECORD_EXIT, EXIT_SIZE, fields);
  new DataView(record.buffer).setUint32(EXIT.code, fields.code ?? 0, true);
  return record;
}

export function makeHook(fields: HookFields): Uint8Array {
  const slots = fields.slots ?? [];
  const { returned, credChange, kernelStack, userStack, hash } = fields;
  const extras: [flag: number, part: Uint8Array | undefined][] = [
    [RECORD_RETURN, returned && makeSlot(returned)],
    [RECORD_CRED_CHANGE, credChange && makeCredChange(credChange)],
    [RECORD_KERNEL_STACK, kernelStack && makeSlot(stackSlot(kernelStack))],
    [RECORD_USER_STACK, userStack && makeSlot(stackSlot(userStack))],
    [RECORD_HASH, hash && makeSlot(hash)],
  ];
  const present = extras.filter(([, part]) => part !== undefined);
  const flags = present.reduce((all, [flag]) => all | flag, fields.flags ?? 0);
  const rest = Buffer.concat([...slots.map(makeSlot), ...present.map(([, part]) => part as Uint8Array)]);
  const record = makeRecord(RECORD_HOOK, HOOK_SIZE, { ...fields, flags }, rest);
  const view = new DataView(record.buffer);
  view.setUint32(HOOK.hook_id, fields.hookId, true);
  view.setUint16(HOOK.selector, NO_SELECTOR, true);
  view.setUint8(HOOK.action, fields.action ?? 1);
  view.setUint8(HOOK.args, slots.length);
  view.setUint32(HOOK.syscall, fields.syscall ?? NO_SYSCALL, true);
  view.setUint32(HOOK.in_exec, fields.inExec ? 1 : 0, true);
  return record;
}

/** Payload of integers, capabilities and capability sets. */
export function integerSlot(value: number | bigint): SlotFields {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setBigInt64(0, BigInt.asIntN(64, BigInt(value)), true);
  return { payload };
}

export function credSlot(fields: CredFields): SlotFields {
  const payload = new Uint8Array(CRED_SIZE);
  writeCred(new DataView(payload.buffer), 0, fields);
  return { payload };
}

export function userNamespaceSlot(fields: Record<keyof typeof USER_NS, number>): SlotFields {
  const payload = new Uint8Array(USER_NS_SIZE);
  const view = new DataView(payload.buffer);
  for (const [name, offset] of Object.entries(USER_NS)) {
    view.setUint32(offset, fields[name as keyof typeof USER_NS], true);
  }
  return { payload };
}

/** Payload of file, path, dentry, fd and linux_binprm; `flags` are those of the walk. */
export function pathSlot(path: string, mode: number, flags = 0): SlotFields {
  const head = new Uint8Array(PATH_SIZE);
  const view = new DataView(head.buffer);
  view.setUint32(PATH.flags, flags, true);
  view.setUint32(PATH.mode, mode, true);
  return { payload: Buffer.concat([head, Buffer.from(path)]) };
}

/** Payload of char_buf and const_buf; `size` is that of the whole buffer. */
export function bufferSlot(content: Uint8Array, size: number | bigint = content.length): SlotFields {
  const head = new Uint8Array(BUFFER_SIZE);
  new DataView(head.buffer).setBigUint64(BUFFER.size, BigInt(size), true);
  return { payload: Buffer.concat([head, content]) };
}

/** Payload of a file's hash; `algorithm` is of the kernel's enum hash_algo. */
export function hashSlot(algorithm: number, digest: Uint8Array): SlotFields {
  const payload = new Uint8Array(HASH_SIZE);
  new DataView(payload.buffer).setUint32(HASH.algorithm, algorithm, true);
  payload.set(digest, HASH.digest);
  return { payload };
}

/** Payload of module and load_info. */
export function moduleSlot(name: string, fields: { taints?: bigint; signatureOk?: number } = {}): SlotFields {
  const head = new Uint8Array(MODULE_SIZE);
  const view = new DataView(head.buffer);
  view.setBigUint64(MODULE.taints, fields.taints ?? 0n, true);
  view.setUint32(MODULE.signature_ok, fields.signatureOk ?? 2, true);
  return { payload: Buffer.concat([head, Buffer.from(name)]) };
}

function stackSlot(addresses: StackFields): SlotFields {
  if (!Array.isArray(addresses)) return { status: 1, depth: addresses.error, payload: new Uint8Array(0) };
  return { payload: new Uint8Array(BigUint64Array.from(addresses).buffer) };
}

function makeCredChange(fields: CredChangeFields): Uint8Array {
  const change = new Uint8Array(CRED_CHANGE_SIZE);
  const view = new DataView(change.buffer);
  const changed = (fields.changed ?? []).reduce(
    (mask, name) => mask | (1 << CRED_FIELD_NAMES.indexOf(name)),
    0,
  );
  view.setUint32(CRED_CHANGE.changed, changed, true);
  writeCred(view, CRED_CHANGE.old, fields.old ?? {});
  writeCred(view, CRED_CHANGE.new, fields.new ?? {});
  writeCredRest(view, CRED_CHANGE.old_rest, fields.oldRest ?? {});
  writeCredRest(view, CRED_CHANGE.new_rest, fields.newRest ?? {});
  return change;
}

function writeCredRest(view: DataView, at: number, { groups = [], ...fields }: CredRestFields): void {
  view.setUint32(at + CRED_REST.groups_count, groups.length, true);
  for (const [i, group] of groups.slice(0, MAX_GROUPS).entries()) {
    view.setUint32(at + CRED_REST.groups + 4 * i, group, true);
  }
  for (const [name, value] of Object.entries(fields)) {
    const offset = at + CRED_REST[name as keyof typeof CRED_REST];
    if (name.startsWith("cap_")) view.setBigUint64(offset, BigInt(value), true);
    else view.setUint32(offset, Number(value), true);
  }
}

function makeSlot({ status, depth, payload }: SlotFields): Uint8Array {
  const room = (payload.length + 7) & ~7;
  const slot = new Uint8Array(SLOT_SIZE + room);
  const view = new DataView(slot.buffer);
  view.setUint16(0, status ?? 0, true);
  view.setUint16(2, depth ?? 0, true);
  view.setUint16(4, room, true);
  view.setUint16(6, payload.length, true);
  slot.set(payload, SLOT_SIZE);
  return slot;
}

function makeRecord(
  kind: number,
  structSize: number,
  fields: HeaderFields,
  rest = new Uint8Array(0),
): Uint8Array<ArrayBuffer> {
  const size = (structSize + rest.length + 7) & ~7;
  const record = new Uint8Array(size);
  const view = new DataView(record.buffer);
  view.setUint16(HEADER.kind, kind, true);
  view.setUint16(HEADER.flags, fields.flags ?? 0, true);
  view.setUint32(HEADER.size, size, true);
  view.setBigUint64(HEADER.ktime_ns, fields.ktimeNs, true);
  view.setUint32(HEADER.pid, fields.pid, true);
  view.setUint32(HEADER.tid, fields.tid ?? fields.pid, true);
  view.setBigUint64(HEADER.leader_start_ns, fields.startNs ?? defaultStartNs(fields.pid), true);
  view.setUint32(HEADER.exec_seq, fields.seq ?? 1, true);
  view.setUint32(HEADER.uid, fields.uid ?? 0, true);
  record.set(rest, structSize);
  return record;
}

function writeCred(view: DataView, at: number, fields: CredFields): void {
  for (const [name, offset] of Object.entries(CRED)) {
    const value = fields[name as keyof typeof CRED] ?? 0;
    if (name.startsWith("cap_")) view.setBigUint64(at + offset, BigInt(value), true);
    else view.setUint32(at + offset, Number(value), true);
  }
}
