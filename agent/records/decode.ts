/**
 * Bytes of the ring buffer -> records. Hook records are read in place, word by word, by the encoders; exec
 * records become objects (see decode-exec.ts).
 */
import {
  CGROUP_SIZE,
  EXEC_SIZE,
  EXIT_SIZE,
  FORK_SIZE,
  HEADER,
  HEADER_SIZE,
  HOOK_SIZE,
  RECORD_CGROUP,
  RECORD_EXEC,
  RECORD_EXIT,
  RECORD_FORK,
  RECORD_HOOK,
} from "./layout.ts";

/** A batch of the ring reader, as 32-bit words and as bytes (little-endian, as every kernel we run on). */
export class RecordBatch {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;

  constructor(buffer: ArrayBuffer, size = buffer.byteLength) {
    this.words = new Uint32Array(buffer, 0, size >>> 2);
    this.bytes = new Uint8Array(buffer, 0, size);
  }
}

/** Word indexes, relative to the record, of the fields that the hot path reads. */
export const W_SIZE = HEADER.size >> 2;
export const W_KTIME = HEADER.ktime_ns >> 2;
export const W_PID = HEADER.pid >> 2;
export const W_TID = HEADER.tid >> 2;
export const W_START = HEADER.leader_start_ns >> 2;
export const W_SEQ = HEADER.exec_seq >> 2;
export const W_UID = HEADER.uid >> 2;

const MIN_SIZE: Record<number, number> = {
  [RECORD_EXEC]: EXEC_SIZE,
  [RECORD_FORK]: FORK_SIZE,
  [RECORD_EXIT]: EXIT_SIZE,
  [RECORD_HOOK]: HOOK_SIZE,
  [RECORD_CGROUP]: CGROUP_SIZE,
};

/** What decodeBatch() passes records to; `at` is the word index of the record's first word. */
export interface RecordVisitor {
  exec(batch: RecordBatch, at: number): void;
  fork(batch: RecordBatch, at: number): void;
  exit(batch: RecordBatch, at: number): void;
  hook(batch: RecordBatch, at: number): void;
  cgroup(batch: RecordBatch, at: number): void;
  /** A record whose kind or size cannot be right; the rest of the batch is skipped when the size is unusable. */
  malformed(kind: number, size: number): void;
}

/** Visits every record of a batch in order. */
export function decodeBatch(batch: RecordBatch, visitor: RecordVisitor): void {
  const { words } = batch;
  const end = words.length;
  let at = 0;
  while (at < end) {
    const kind = (words[at] as number) & 0xffff;
    const size = at + W_SIZE < end ? (words[at + W_SIZE] as number) : 0;
    const next = at + (size >>> 2);
    if (size < HEADER_SIZE || (size & 7) !== 0 || next > end) {
      visitor.malformed(kind, size);
      return;
    }
    if (size < (MIN_SIZE[kind] ?? Number.POSITIVE_INFINITY)) visitor.malformed(kind, size);
    else if (kind === RECORD_HOOK) visitor.hook(batch, at);
    else if (kind === RECORD_EXEC) visitor.exec(batch, at);
    else if (kind === RECORD_FORK) visitor.fork(batch, at);
    else if (kind === RECORD_EXIT) visitor.exit(batch, at);
    else visitor.cgroup(batch, at);
    at = next;
  }
}

/** Two 32-bit words as one number. */
export function joinWords(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
