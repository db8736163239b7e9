import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { BpfMap } from "../../bpf/binding.ts";
import { HEADER } from "../../records/layout.ts";
import { CALL_HEAD_BYTES } from "../config/layout.ts";
import { countCallsInFlight, removeEndedCalls } from "./calls-in-flight.ts";

const NOW = 100_000_000_000n;
const OLD = NOW - 60_000_000_000n;

/** A value of hook_calls with the fields that the code reads. */
function makeCall(tid: number, ktimeNs: bigint): Uint8Array {
  const value = new Uint8Array(CALL_HEAD_BYTES + 64);
  const view = new DataView(value.buffer, CALL_HEAD_BYTES);
  view.setUint32(HEADER.tid, tid, true);
  view.setBigUint64(HEADER.ktime_ns, ktimeNs, true);
  return value;
}

function makeMap(calls: Uint8Array[]): { map: BpfMap; left: () => number[] } {
  const entries = new Map(calls.map((call, index) => [index, call]));
  const map = {
    keys: () => [...entries.keys()].map((key) => Uint8Array.of(key)),
    lookup: (key: Uint8Array) => entries.get(key[0] ?? -1),
    delete: (key: Uint8Array) => entries.delete(key[0] ?? -1),
  } as unknown as BpfMap;
  return { map, left: () => [...entries.keys()] };
}

test("calls of living threads are in flight", () => {
  const procfs = mkdtempSync(join(tmpdir(), "procfs-"));
  mkdirSync(join(procfs, "7"));
  const { map } = makeMap([makeCall(7, NOW), makeCall(8, NOW)]);
  expect(countCallsInFlight(map, procfs)).toBe(1);
});

test("what a thread left that is gone is removed, and nothing else", () => {
  const procfs = mkdtempSync(join(tmpdir(), "procfs-"));
  mkdirSync(join(procfs, "7"));
  const { map, left } = makeMap([makeCall(7, OLD), makeCall(8, OLD), makeCall(9, NOW - 1n)]);
  expect(removeEndedCalls(map, procfs, NOW)).toBe(1);
  expect(left()).toEqual([0, 2]);
});
