/** Calls that entered and will not return: their threads are gone, and their room is given back. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { BpfMap } from "../bpf/binding.ts";
import { HEADER } from "../events/record-layout.ts";
import { CALL_HEAD_BYTES } from "./config-layout.ts";

/** Younger calls are left alone: a thread may be about to take another id. */
const MIN_AGE_NS = 5_000_000_000n;

/** Removes from hook_calls what threads left that are no more; returns how many. */
export function sweepCalls(calls: BpfMap, procfs: string, nowNs: bigint): number {
  let removed = 0;
  for (const key of calls.keys()) {
    const value = calls.lookup(key);
    if (!value) continue;
    const record = new DataView(value.buffer, value.byteOffset + CALL_HEAD_BYTES);
    const tid = record.getUint32(HEADER.tid, true);
    const age = nowNs - record.getBigUint64(HEADER.ktime_ns, true);
    if (age > MIN_AGE_NS && !existsSync(join(procfs, String(tid))) && calls.delete(key)) removed++;
  }
  return removed;
}
