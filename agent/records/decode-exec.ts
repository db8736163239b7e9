/** Exec records, the only ones with strings of their own, as objects. */
import { joinWords, type RecordBatch, W_SIZE } from "./decode.ts";
import { CRED, EXEC, EXEC_SIZE, HEADER, NS } from "./layout.ts";

/** The ids, securebits and capability sets of a struct cred; capability masks as [low, high] 32-bit words. */
export interface Credentials {
  uid: number;
  gid: number;
  suid: number;
  sgid: number;
  euid: number;
  egid: number;
  fsuid: number;
  fsgid: number;
  securebits: number;
  permitted: Mask;
  effective: Mask;
  inheritable: Mask;
}

/** A 64-bit set as two 32-bit halves, low half first. */
export type Mask = readonly [low: number, high: number];

/** Namespace inode numbers by kind, named as the events name them; 0 where the kernel has no such namespace. */
export type Namespaces = Record<keyof typeof NS, number>;

/** An exec record with its strings. */
export interface ExecRecord {
  flags: number;
  ktimeNs: bigint;
  pid: number;
  tid: number;
  startLow: number;
  startHigh: number;
  execSeq: number;
  uid: number;
  credentials: Credentials;
  namespaces: Namespaces;
  nspid: number;
  auid: number;
  parentPid: number;
  parentStartLow: number;
  parentStartHigh: number;
  exeLinks: number;
  exeInode: bigint;
  cgroupId: bigint;
  /** Bits EXEC_* of layout.ts. */
  privileges: number;
  filename: string;
  /** argv, argv[0] included. */
  argv: string[];
  cwd: string;
  cgroup: string;
  exe: string;
}

// a byte order mark is a character like any other
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The string in a byte range; invalid UTF-8 becomes U+FFFD, a NUL ends it. */
function decodeText(bytes: Uint8Array, start: number, end: number): string {
  const nul = bytes.indexOf(0, start);
  return decoder.decode(bytes.subarray(start, nul >= 0 && nul < end ? nul : end));
}

/** Reads the exec record at a word index. */
export function decodeExec(batch: RecordBatch, at: number): ExecRecord {
  const { words } = batch;
  const word = (offset: number) => words[at + (offset >> 2)] as number;
  return {
    flags: (words[at] as number) >>> 16,
    ktimeNs: joinWords(word(HEADER.ktime_ns), word(HEADER.ktime_ns + 4)),
    pid: word(HEADER.pid),
    tid: word(HEADER.tid),
    startLow: word(HEADER.leader_start_ns),
    startHigh: word(HEADER.leader_start_ns + 4),
    execSeq: word(HEADER.exec_seq),
    uid: word(HEADER.uid),
    credentials: decodeCredentials(words, at + (EXEC.cred >> 2)),
    namespaces: decodeNamespaces(words, at + (EXEC.ns >> 2)),
    nspid: word(EXEC.nspid),
    auid: word(EXEC.auid),
    parentPid: word(EXEC.parent_pid),
    parentStartLow: word(EXEC.parent_start_ns),
    parentStartHigh: word(EXEC.parent_start_ns + 4),
    exeLinks: word(EXEC.exe_links),
    exeInode: joinWords(word(EXEC.exe_inode), word(EXEC.exe_inode + 4)),
    cgroupId: joinWords(word(EXEC.cgroup_id), word(EXEC.cgroup_id + 4)),
    privileges: half(words, at, EXEC.privileges),
    ...decodeExecTexts(batch, at),
  };
}

type ExecTexts = Pick<ExecRecord, "filename" | "argv" | "cwd" | "cgroup" | "exe">;

function decodeExecTexts(batch: RecordBatch, at: number): ExecTexts {
  const { words, bytes } = batch;
  const size = (offset: number) => half(words, at, offset);
  const end = at * 4 + (words[at + W_SIZE] as number);
  let start = at * 4 + EXEC_SIZE;
  const take = (length: number): [number, number] => {
    const from = start;
    start = Math.min(from + length, end);
    return [from, start];
  };
  const filename = decodeText(bytes, ...take(size(EXEC.filename_size)));
  const argv = splitArguments(bytes, ...take(size(EXEC.args_size)));
  const cwd = decodeText(bytes, ...take(size(EXEC.cwd_size)));
  const cgroup = decodeText(bytes, ...take(size(EXEC.cgroup_size)));
  const exe = decodeText(bytes, ...take(size(EXEC.exe_size)));
  return { filename, argv, cwd, cgroup, exe };
}

/** A 16-bit field of the record at a word index. */
function half(words: Uint32Array, at: number, offset: number): number {
  const word = words[at + (offset >> 2)] as number;
  return (offset & 2) === 0 ? word & 0xffff : word >>> 16;
}

/** argv from its NUL-separated bytes; the NUL of the last argument may be there or not. */
export function splitArguments(bytes: Uint8Array, start: number, end: number): string[] {
  if (start >= end) return [];
  const stop = bytes[end - 1] === 0 ? end - 1 : end;
  return decoder.decode(bytes.subarray(start, stop)).split("\0");
}

/** Reads the struct cred_value at a word index. */
export function decodeCredentials(words: Uint32Array, at: number): Credentials {
  const word = (offset: number) => words[at + (offset >> 2)] as number;
  const mask = (offset: number): Mask => [word(offset), word(offset + 4)];
  return {
    uid: word(CRED.uid),
    gid: word(CRED.gid),
    suid: word(CRED.suid),
    sgid: word(CRED.sgid),
    euid: word(CRED.euid),
    egid: word(CRED.egid),
    fsuid: word(CRED.fsuid),
    fsgid: word(CRED.fsgid),
    securebits: word(CRED.securebits),
    permitted: mask(CRED.cap_permitted),
    effective: mask(CRED.cap_effective),
    inheritable: mask(CRED.cap_inheritable),
  };
}

function decodeNamespaces(words: Uint32Array, at: number): Namespaces {
  const word = (offset: number) => words[at + (offset >> 2)] as number;
  return {
    uts: word(NS.uts),
    ipc: word(NS.ipc),
    mnt: word(NS.mnt),
    pid: word(NS.pid),
    pid_for_children: word(NS.pid_for_children),
    net: word(NS.net),
    time: word(NS.time),
    time_for_children: word(NS.time_for_children),
    cgroup: word(NS.cgroup),
    user: word(NS.user),
  };
}
