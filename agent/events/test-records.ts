/** Records as the kernel would write them, for tests and benchmarks. */
import {
  CRED,
  CRED_SIZE,
  EXEC,
  EXEC_SIZE,
  EXIT,
  EXIT_SIZE,
  FORK,
  FORK_SIZE,
  HEADER,
  HOOK,
  HOOK_SIZE,
  NO_SELECTOR,
  NS,
  RECORD_CWD_ROOT,
  RECORD_EXEC,
  RECORD_EXIT,
  RECORD_FORK,
  RECORD_HOOK,
  SLOT_SIZE,
  USER_NS,
  USER_NS_SIZE,
} from "./record-layout.ts";

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
  /** Bits EXEC_* of record-layout.ts. */
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
  payload: Uint8Array;
}

/** A hook record. */
export interface HookFields extends HeaderFields {
  hookId: number;
  action?: number;
  slots?: SlotFields[];
}

const AUID_UNSET = 4_294_967_295;

/** Start of the process with this pid, unless a test says otherwise. */
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
  const record = makeRecord(RECORD_HOOK, HOOK_SIZE, fields, Buffer.concat(slots.map(makeSlot)));
  const view = new DataView(record.buffer);
  view.setUint32(HOOK.hook_id, fields.hookId, true);
  view.setUint16(HOOK.selector, NO_SELECTOR, true);
  view.setUint8(HOOK.action, fields.action ?? 1);
  view.setUint8(HOOK.args, slots.length);
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

function makeSlot({ status, payload }: SlotFields): Uint8Array {
  const room = (payload.length + 7) & ~7;
  const slot = new Uint8Array(SLOT_SIZE + room);
  const view = new DataView(slot.buffer);
  view.setUint16(0, status ?? 0, true);
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
