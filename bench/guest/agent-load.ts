/**
 * Runs in a guest and measures the agent's costs. Prints one JSON object per line, {measure, value, unit}, and one per
 * round if a measure is repeated.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { loadBinding } from "../../agent/bpf/binding.ts";
import type { AttachedHook, HookEngine } from "../../agent/hooks/engine.ts";
import { makeArgs, makeHook } from "../../agent/hooks/testing/hooks.ts";
import { type AgentProcess, residentMiB, startAgent } from "../../e2e/guest/agent-process.ts";
import { SET_ID_CALLS } from "../../policy/testing/set-id-calls.ts";
import { startEngine } from "./engine.ts";

const ROUNDS = 5;
const POLICY = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: load }
spec:
  kprobes:
    - { call: sys_setuid, syscall: true, args: [{ index: 0, type: int }] }
`;
/** Steps of the search for the largest rate: system calls between two pauses of 10 ms. */
const BURSTS = [50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800];
const BURST_PAUSE_US = 10_000;

measureAttach();
await measureAgent();

function report(measure: string, value: number, unit: string): void {
  console.log(JSON.stringify({ measure, value, unit }));
}

/** In this process: the time from a definition to a hook that runs, and the memory of its maps and program. */
function measureAttach(): void {
  const bpf = loadBinding();
  const started = performance.now();
  const engine = startEngine(bpf);
  report("start of the engine", performance.now() - started, "ms");
  for (let round = 0; round < ROUNDS; round++) {
    attach(engine, 1).forEach((hook, index) => {
      if (round === 0 && index === 0) report("memory of a hook", hook.memoryBytes() / 1024, "KiB");
      hook.detach();
    });
    for (const hook of attach(engine, SET_ID_CALLS.length)) hook.detach();
  }
  engine.close();
}

function attach(engine: HookEngine, count: number): AttachedHook[] {
  const started = performance.now();
  const hooks = SET_ID_CALLS.slice(0, count).map((name) =>
    engine.attach(makeHook({ call: `sys_${name}`, syscall: true, args: makeArgs("int") })),
  );
  const failed = hooks.find((hook) => hook.status.state !== "Attached");
  if (failed) throw new Error(failed.status.message);
  report(`attach ${count} hook${count === 1 ? "" : "s"}`, performance.now() - started, "ms");
  return hooks;
}

/** The agent as a process that exports into a file in memory. */
async function measureAgent(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "bench-"));
  const file = join(directory, "events.jsonl");
  const policy = join(directory, "load.yaml");
  await writeFile(policy, POLICY);
  // The image contains stripped JavaScript. To compare with it, the second run uses what the first run compiled.
  process.env.NODE_COMPILE_CACHE = join(directory, "compiled");
  await (await startAgent(file, ["--tracing-policy", policy])).stop();
  const agent = await startAgent(file, ["--tracing-policy", policy]);
  await delay(3000);
  report("resident memory at rest", await residentMiB(agent.pid), "MiB");
  for (let round = 0; round < ROUNDS; round++) {
    const before = await look(agent);
    await callSetuid(80, 500, 100_000);
    await delay(1000);
    const after = await look(agent);
    const events = after.events - before.events;
    report("CPU of 100,000 events", ((after.cpuMs - before.cpuMs) / events) * 100_000, "ms");
    await truncate(file);
  }
  report("resident memory after 200,000 events", await residentMiB(agent.pid), "MiB");
  await findLargestRate(agent, file);
  await agent.stop();
  await rm(directory, { recursive: true });
}

async function findLargestRate(agent: AgentProcess, file: string): Promise<void> {
  let largest = 0;
  for (const burst of BURSTS) {
    const before = await look(agent);
    const started = performance.now();
    await callSetuid(200, burst, BURST_PAUSE_US);
    const perSecond = () => (200 * burst * 1000) / (performance.now() - started);
    report(`calls at ${burst} per burst`, perSecond(), "calls/s");
    const after = await lookWhenTold(agent, before, 200 * burst);
    const rate = perSecond();
    await truncate(file);
    const ring = after.ringLost - before.ringLost;
    const exported = after.exportLost - before.exportLost;
    report(`posted at ${burst} per burst`, rate, "calls/s");
    report(`lost in the ring at ${burst} per burst`, ring, "events");
    report(`lost by the export at ${burst} per burst`, exported, "events");
    if (ring + exported === 0) largest = Math.max(largest, rate);
  }
  report("largest rate without loss", largest, "events/s");
}

/** Events in memory count only once they are written: a rate that only fills a backlog is not sustained. */
async function lookWhenTold(agent: AgentProcess, before: Counts, calls: number): Promise<Counts> {
  const end = performance.now() + 60_000;
  for (;;) {
    const now = await look(agent);
    if (now.events + now.ringLost - before.events - before.ringLost >= calls) return now;
    if (performance.now() > end)
      throw new Error(`of ${calls} calls, some are neither exported nor counted as lost after a minute`);
    await delay(50);
  }
}

async function callSetuid(rounds: number, calls: number, pauseUs: number): Promise<void> {
  await promisify(execFile)("build/bench/call-setuid", [rounds, calls, pauseUs].map(String));
}

interface Counts {
  events: number;
  ringLost: number;
  exportLost: number;
  cpuMs: number;
}

async function look(agent: AgentProcess): Promise<Counts> {
  const metrics = await agent.get("/metrics");
  const sum = (name: string) =>
    [...metrics.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))].reduce(
      (total, match) => total + Number(match[1]),
      0,
    );
  const stat = await readFile(`/proc/${agent.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // utime and stime, in ticks of 10 ms.
  const cpuMs = (Number(fields[11]) + Number(fields[12])) * 10;
  return {
    events: sum("trigon_policy_events_total"),
    ringLost: sum("trigon_hook_lost_total"),
    exportLost: sum("trigon_export_lost_events_total"),
    cpuMs,
  };
}
