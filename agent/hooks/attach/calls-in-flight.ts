/** Calls in flight: entries of hook_calls, from the entry of a function to its return. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { BpfMap } from "../../bpf/binding.ts";
import { HEADER } from "../../records/layout.ts";
import { CALL_HEAD_BYTES } from "../config/layout.ts";

/** Younger calls are left alone: at exec a thread may be about to change its id. */
const MIN_AGE_NS = 5_000_000_000n;

/** Removes the entries of calls that cannot return because their threads have ended; returns how many. */
export function removeEndedCalls(calls: BpfMap, procfs: string, nowNs: bigint): number {
  let removed = 0;
  for (const { key, tid, ktimeNs } of readCalls(calls)) {
    if (nowNs - ktimeNs > MIN_AGE_NS && !isThere(procfs, tid) && calls.delete(key)) removed++;
  }
  return removed;
}

/** Counts the calls that can still return. Their records are lost when the hook is detached now. */
export function countCallsInFlight(calls: BpfMap, procfs: string): number {
  return readCalls(calls).filter(({ tid }) => isThere(procfs, tid)).length;
}

interface Call {
  key: Uint8Array;
  tid: number;
  ktimeNs: bigint;
}

function readCalls(calls: BpfMap): Call[] {
  return calls.keys().flatMap((key) => {
    const value = calls.lookup(key);
    if (!value) return [];
    const record = new DataView(value.buffer, value.byteOffset + CALL_HEAD_BYTES);
    const tid = record.getUint32(HEADER.tid, true);
    return [{ key, tid, ktimeNs: record.getBigUint64(HEADER.ktime_ns, true) }];
  });
}

function isThere(procfs: string, tid: number): boolean {
  return existsSync(join(procfs, String(tid)));
}
