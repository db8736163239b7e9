import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import type { BpfMap, BpfObject } from "./binding.ts";
import { bpf, describeBpf, testObject, u32 } from "./testing/programs.ts";

const callers: ChildProcess[] = [];

afterEach(async () => {
  for (const caller of callers) caller.kill("SIGKILL");
  await Promise.all(callers.splice(0).map((caller) => once(caller, "exit")));
});

/** Calls kill() again and again on one CPU, with pauses in which a grace period can end. */
function startCaller(cpu: string): void {
  const loop = "exec 3<> <(:); while kill -0 $$; do read -t 0.01 -u 3; done";
  callers.push(spawn("taskset", ["-c", cpu, "bash", "-c", loop]));
}

/** The first and the last CPU that this process may use. */
function ownCpus(): string[] {
  const [, list = "0"] = /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return [...new Set([list.match(/^\d+/)?.[0] ?? "0", list.match(/\d+$/)?.[0] ?? "0"])];
}

/** linger.bpf.o, whose program takes milliseconds whenever a child of this process calls kill(). */
function loadLingering(): BpfObject {
  const object = bpf.openObject(testObject("linger"));
  object.setInitialValue(".rodata", u32(process.pid));
  object.load();
  return object;
}

/** How many of its runs have begun and ended. */
function readRuns(progress: BpfMap): { begun: number; ended: number } {
  const [begun = 0, ended = 0] = new Uint32Array((progress.lookup(u32(0)) ?? u32()).slice().buffer);
  return { begun, ended };
}

describeBpf("waitForPrograms()", () => {
  // A run is seen in the middle only from another CPU.
  test.skipIf(ownCpus().length < 2)("returns when what ran has ended", () => {
    const object = loadLingering();
    const progress = object.map("progress");
    const program = object.program("linger");
    const link = program.attachRawTracepoint("sys_enter");
    for (const cpu of ownCpus()) startCaller(cpu);
    for (let waits = 0; waits < 5; ) {
      const { begun, ended } = readRuns(progress);
      if (begun === ended) continue;
      bpf.waitForPrograms();
      expect(readRuns(progress).ended).toBeGreaterThanOrEqual(begun);
      waits++;
    }
    for (const handle of [link, program, progress, object]) handle.close();
  });
});
