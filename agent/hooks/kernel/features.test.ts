import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { BpfMap } from "../../bpf/binding.ts";
import { addStats, NO_STATS, readKernelCounts, readStats } from "../attach/hook-stats.ts";
import { detectFeatures, featureFlags } from "./features.ts";

const directory = mkdtempSync(join(tmpdir(), "securityfs-"));
afterAll(() => rmSync(directory, { recursive: true }));

function detect(helpers: string[], structs: string[], lsm?: string) {
  if (lsm !== undefined) writeFileSync(join(directory, "lsm"), lsm);
  const btf = {
    enumValue: (_: string, name: string) => (helpers.includes(name) ? 1 : undefined),
    hasStruct: (name: string) => structs.includes(name),
  };
  const sources = {
    release: "5.10.0",
    architecture: "x86_64",
    btf,
    preemption: "none",
    securityfs: directory,
  } as const;
  return detectFeatures(sources, (kind) =>
    kind === "fentry" ? "attach fentry commit_creds: EPERM" : undefined,
  );
}

test("what is missing has a reason, and what is there has none", () => {
  const features = detect(["BPF_FUNC_ringbuf_output"], []);
  expect(features).toMatchObject({ ringBuffer: true, currentTaskBtf: false, kprobe: true, fentry: false });
  const missing = Object.entries(featureFlags(features)).filter(([, there]) => !there);
  expect(Object.keys(features.reasons).sort()).toEqual(missing.map(([name]) => name).sort());
  expect(features.reasons.currentTaskBtf).toBe("kernel 5.10.0 is older than 5.11");
  expect(features.reasons.fentry).toBe("attach fentry commit_creds: EPERM");
  expect(features.reasons.bpfLsm).toMatch(/ENOENT \(is securityfs mounted\?\)$/);
});

test("BPF is an LSM only where it is among the active ones", () => {
  expect(detect([], [], "lockdown,capability,bpf\n").bpfLsm).toBe(true);
  expect(detect([], [], "lockdown,capability\n").reasons.bpfLsm).toBe(
    "bpf is not among the active LSMs (lockdown,capability)",
  );
});

test("counters are summed over the CPUs and over hooks", () => {
  const values = new BigUint64Array([1n, 2n, 3n, 4n, 5n, 10n, 20n, 30n, 40n, 50n]);
  const map = { name: "hook_stats", lookup: () => new Uint8Array(values.buffer) } as unknown as BpfMap;
  const own = readStats(map, 0);
  expect(own).toEqual({ hits: 11, posted: 22, lost: 33, rateLimited: 44, errors: 55 });
  const stats = { ...own, missed: 6, timedRuns: 7, runNs: 8 };
  expect(addStats(stats, { ...NO_STATS, hits: 1 })).toEqual({ ...stats, hits: 12 });
});

test("runs that the kernel skipped or timed are those of all programs and probes", () => {
  const program = (recursionMisses: number) => ({ info: () => ({ recursionMisses, runs: 3, runNs: 500 }) });
  const link = (missed: number) => ({ missed: () => missed });
  const counted = readKernelCounts([program(2), program(0), program(40)], [link(0), link(8)]);
  expect(counted).toEqual({ missed: 50, timedRuns: 9, runNs: 1_500 });
});
