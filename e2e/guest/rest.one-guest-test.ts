/**
 * What the agent does and takes where nothing happens: next to nothing. Asserts counts of the kernel, not times.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/rest.one-guest-test.ts
 */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { residentMiB, startAgent } from "./agent-process.ts";
import { PROGRAMS_VARIABLE } from "./project-program.ts";
import { act, NR } from "./test-engine.ts";

const POLICY = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: rest }
spec:
  kprobes:
    - { call: sys_setgid, syscall: true, args: [{ index: 0, type: int }] }
    - { call: commit_creds, syscall: false, args: [{ index: 0, type: cred }] }
`;
const SECONDS = 60;
const WAKE_UPS_PER_SECOND = 2;
/**
 * Longer than what may still come of the start: the agent gives memory back 5 to 10 seconds after the last that happened,
 * and V8 collects once more 8 seconds after a collection (`MemoryReducer::kLongDelayMs`), with 50 to 120 wake-ups.
 */
const QUIET_SECONDS = 12;
/** In the form that the image has; from its sources it is some 40 MB more. */
const RESIDENT_MIB = 80;

/** How often each thread of a process has gone to sleep, by the thread's name. */
async function sleeps(pid: number): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const status = await readFile(`/proc/${pid}/task/${task}/status`, "utf8");
    const name = /^Name:\s+(.*)$/m.exec(status)?.[1] ?? "";
    const count = Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1]);
    counts.set(name, (counts.get(name) ?? 0) + count);
  }
  return counts;
}

function describeGrowth(before: Map<string, number>, after: Map<string, number>): string {
  return [...after].map(([name, count]) => `${name}: ${count - (before.get(name) ?? 0)}`).join(", ");
}

test("wakes at most twice a second, takes 80 MiB at most, and still reports the first call after the silence", async () => {
  const directory = await mkdtemp(join(tmpdir(), "trigon-rest-"));
  const [file, policy] = [join(directory, "events.jsonl"), join(directory, "policy.yaml")];
  await writeFile(policy, POLICY);
  const agent = await startAgent(file, ["--tracing-policy", policy]);
  try {
    await untilQuiet(agent.pid);
    const before = await sleeps(agent.pid);
    await delay(SECONDS * 1000);
    const after = await sleeps(agent.pid);
    const woken = total(after) - total(before);
    assert.ok(
      woken <= SECONDS * WAKE_UPS_PER_SECOND,
      `${woken} in ${SECONDS} s: ${describeGrowth(before, after)}`,
    );
    if (process.env[PROGRAMS_VARIABLE]) {
      const resident = await residentMiB(agent.pid);
      assert.ok(resident <= RESIDENT_MIB, `${resident} MiB are resident`);
    }

    act(`call ${NR.setgid}:7`);
    while (!(await agent.events()).some((event) => event.process_kprobe)) await delay(50);
  } finally {
    assert.equal(await agent.stop(), 0);
  }
});

function total(counts: Map<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** The agent still sees the end of what started it, forgets it after its grace time, and then gives memory back. */
async function untilQuiet(pid: number): Promise<void> {
  for (let quiet = 0; quiet < QUIET_SECONDS; ) {
    const before = await sleeps(pid);
    await delay(1000);
    const after = await sleeps(pid);
    quiet = [...after].every(([name, count]) => count - (before.get(name) ?? 0) <= 1) ? quiet + 1 : 0;
  }
}
