/**
 * Runs in a guest whose clock counts instructions: `node image-load.ts IMAGE VARIABLE…` measures the agent of an image's root
 * directory under load: what an event of two hooks costs at several rates, and the largest rate without loss. Prints one
 * JSON object per line, {measure, value, unit}.
 */
import { stat, truncate } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { type ImageAgent, imageOfArguments, report, runProgram, startImageAgent } from "./image-agent.ts";

const SERVER = "127.0.0.1:2112";
const RATES = [500, 2_000, 5_500, 10_000];
const EVENTS = 20_000;
/** Calls come in bursts, as from programs that start and end. */
const BURSTS_PER_SECOND = 10;
/** Calls between two pauses of 10 ms, in the search for the largest rate. */
const STEPS = [100, 200, 400, 800];
const STEP_PAUSE_US = 10_000;
const HOOKS: Record<string, string> = {
  setuid: "{ call: sys_setuid, syscall: true, args: [{ index: 0, type: int }] }",
  commit_creds: "{ call: commit_creds, syscall: false, args: [{ index: 0, type: cred }] }",
};

const image = imageOfArguments();
// One agent for each hook: what is compiled for one must not serve the other.
for (const [name, hook] of Object.entries(HOOKS)) {
  const agent = await startImageAgent(image, ["--metrics-server", SERVER]);
  await agent.logged(/ ready /g, 1);
  await agent.putPolicy("load", makePolicy(hook), 1);
  await callAndWait(agent, 20, 1_000, 100_000); // warm
  for (const rate of RATES) await measureRate(agent, name, rate);
  await findLargestRate(agent, name);
  await agent.stop();
}

function makePolicy(hook: string): string {
  return `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: load }
spec:
  kprobes:
    - ${hook}
`;
}

async function measureRate(agent: ImageAgent, name: string, rate: number): Promise<void> {
  const at = `${name} at ${rate} a second`;
  await truncate(agent.file); // it is in memory
  const calls = rate / BURSTS_PER_SECOND;
  const counts = await readCounts();
  const before = { cpu: await agent.cpuMs(), bytes: (await stat(agent.file)).size };
  await runProgram("call-setuid", EVENTS / calls, calls, 1e6 / BURSTS_PER_SECOND);
  await delay(2_000); // for the last ones to be written
  const cpuMs = (await agent.cpuMs()) - before.cpu;
  const bytes = (await stat(agent.file)).size - before.bytes;
  const after = await readCounts();
  const events = after.events - counts.events;
  report(`CPU of 100,000 events, ${at}`, (cpuMs / events) * 1e5, "ms");
  report(
    `collecting garbage on the main thread, ${at}`,
    ((after.gcMs - counts.gcMs) / cpuMs) * 100,
    "% of it",
  );
  report(`bytes of an event in the file, ${at}`, bytes / events, "bytes");
  report(`lost, ${at}`, after.lost - counts.lost, "events");
}

async function findLargestRate(agent: ImageAgent, name: string): Promise<void> {
  let largest = 0;
  for (const calls of STEPS) {
    await truncate(agent.file);
    const before = await readCounts();
    const from = performance.now();
    const after = await callAndWait(agent, EVENTS / calls, calls, STEP_PAUSE_US);
    const rate = (EVENTS * 1000) / (performance.now() - from);
    const lost = after.lost - before.lost;
    report(`lost at ${calls} calls per burst, ${name}`, lost, "events");
    if (lost === 0) largest = Math.max(largest, rate);
  }
  report(`largest rate without loss, ${name}`, largest, "events/s");
  await truncate(agent.file);
}

/** Events in memory count only once they are written: a rate that only fills a backlog is not sustained. */
async function callAndWait(
  agent: ImageAgent,
  rounds: number,
  calls: number,
  pauseUs: number,
): Promise<Counts> {
  const { events, lost } = await readCounts();
  await runProgram("call-setuid", rounds, calls, pauseUs);
  for (;;) {
    const { size } = await stat(agent.file);
    await delay(20);
    const now = await readCounts();
    const isWritten = (await stat(agent.file)).size === size;
    if (isWritten && now.events + now.lost - events - lost >= rounds * calls) return now;
  }
}

interface Counts {
  events: number;
  /** In the ring, and by the export. */
  lost: number;
  gcMs: number;
}

async function readCounts(): Promise<Counts> {
  const metrics = await (await fetch(`http://${SERVER}/metrics`)).text();
  const sum = (name: string) =>
    [...metrics.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))].reduce(
      (total, match) => total + Number(match[1]),
      0,
    );
  return {
    events: sum("trigon_policy_events_total"),
    lost: sum("trigon_hook_lost_total") + sum("trigon_export_lost_events_total"),
    gcMs: sum("nodejs_gc_duration_seconds_sum") * 1000,
  };
}
