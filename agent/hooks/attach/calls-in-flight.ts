/** Calls that entered and will not return: their threads are gone, and their room is given back. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { BpfMap } from "../../bpf/binding.ts";
import { HEADER } from "../../records/layout.ts";
import { CALL_HEAD_BYTES } from "../config/layout.ts";

/** Younger calls are left alone: a thread may be about to take another id. */
const MIN_AGE_NS = 5_000_000_000n;

/** Removes from hook_calls what threads left that are no more; returns how many. */
export function sweepCalls(calls: BpfMap, procfs: string, nowNs: bigint): number {
  let removed = 0;
  for (const { key, tid, ktimeNs } of readCalls(calls)) {
    if (nowNs - ktimeNs > MIN_AGE_NS && !isThere(procfs, tid) && calls.delete(key)) removed++;
  }
  return removed;
}

/** Calls that have not returned: their records are lost where nobody waits for them any longer. */
export function callsUnderWay(calls: BpfMap, procfs: string): number {
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
