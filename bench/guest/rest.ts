/**
 * Runs in a guest whose clock counts instructions: `node rest.ts IMAGE VARIABLE…` measures the agent of an image's root directory
 * where little happens. Prints one JSON object per line, {measure, value, unit}.
 */
import { open, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { SYSCALL_NAMES } from "../../crds/syscall-table.ts";
import { residentMiB } from "../../e2e/guest/agent-process.ts";
import { SET_ID_CALLS } from "../../policy/testing/set-id-calls.ts";
import { imageOfArguments, putSetters, report, runProgram, startImageAgent } from "./image-agent.ts";

const REST_MS = 60_000;
/** After the last work, until the agent has given back what it does not need. */
const SETTLE_MS = 20_000;
const LATENCIES = 9;
/** After so many, memory is looked at. */
const EDITS = [50, 200, 1000];
const SYSCALLS = SYSCALL_NAMES.length;
const LOAD = { rounds: 200, calls: 1000, pauseUs: 100_000 };

const agent = await startImageAgent(imageOfArguments());
const { pid, file, cpuMs } = agent;
const addPolicy = (policy: number, setters: readonly string[]) => putSetters(agent, `p${policy}`, setters);

await agent.logged(/ ready /g, 1);
report("time to ready, without a policy", performance.now() - agent.startedMs, "ms");
report("CPU to ready, without a policy", await cpuMs(), "ms");
await measureRest("0 policies");
await timeAttach("1 hook", () => addPolicy(0, ["setuid"]));
await measureRest("1 policy");
await measureLatency();
await measureProcesses();
await timeAttach("8 hooks", () => addPolicy(1, SET_ID_CALLS));
for (let policy = 2; policy < 20; policy++) await addPolicy(policy, SET_ID_CALLS);
await measureRest("20 policies");
for (let policy = 1; policy < 20; policy++) await agent.removePolicy(`p${policy}`);
await measureAllCalls();
await measureLoad();
await measureEdits();
await agent.stop();

async function measureRest(what: string): Promise<void> {
  await delay(SETTLE_MS);
  const before = { cpu: await cpuMs(), sleeps: await agent.sleeps() };
  await delay(REST_MS);
  report(`share of the processor at rest, ${what}`, ((await cpuMs()) - before.cpu) / (REST_MS / 100), "%");
  report(`wake-ups at rest, ${what}`, ((await agent.sleeps()) - before.sleeps) / (REST_MS / 1000), "/s");
  report(`resident memory at rest, ${what}`, await residentMiB(pid), "MiB");
  report(`memory in the kernel at rest, ${what}`, await agent.kernelMiB(), "MiB");
}

async function timeAttach(what: string, attach: () => Promise<void>): Promise<void> {
  const from = performance.now();
  await attach();
  report(`from a policy's file to its last hook attached, ${what}`, performance.now() - from, "ms");
}

/** Every system call, without those that the kernel lacks. */
async function measureAllCalls(): Promise<void> {
  const text = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: p20 }
spec:
  lists: [{ name: all, type: generated_syscalls }]
  kprobes:
    - call: list:all
      syscall: true
      selectors: [{ matchPIDs: [{ operator: In, values: [1] }] }]
`;
  await timeAttach(`${SYSCALLS} hooks`, () => agent.putPolicy("p20", text, SYSCALLS));
  await agent.removePolicy("p20");
}

/** From a call to its line in the file, where nothing happened before. */
async function measureLatency(): Promise<void> {
  for (let call = 0; call < LATENCIES; call++) {
    await delay(3_000);
    const before = (await stat(file)).size;
    const from = performance.now();
    await runProgram("call-setuid", 1, 1);
    while (!(await newText(before)).includes("sys_setuid")) await delay(1);
    report("from a call to its line, at rest", performance.now() - from, "ms");
  }
}

async function newText(from: number): Promise<string> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const { buffer } = await handle.read(Buffer.alloc(size - from), 0, size - from, from);
    return buffer.toString();
  } finally {
    await handle.close();
  }
}

/** Ten processes a second start and end. */
async function measureProcesses(): Promise<void> {
  const before = await cpuMs();
  await runProgram("call-fork", 600, 1, 100_000, "exec");
  report("share of the processor, 10 processes a second", ((await cpuMs()) - before) / (REST_MS / 100), "%");
}

async function measureLoad(): Promise<void> {
  await delay(SETTLE_MS);
  const { rounds, calls, pauseUs } = LOAD;
  const before = await cpuMs();
  await runProgram("call-setuid", rounds, calls, pauseUs);
  await delay(2_000);
  const events = rounds * calls;
  report(
    "CPU of 100,000 setuid events at some 10,000 a second",
    (((await cpuMs()) - before) / events) * 1e5,
    "ms",
  );
  report("resident memory right after 200,000 events", await residentMiB(pid), "MiB");
  await delay(SETTLE_MS);
  report("resident memory 20 s after 200,000 events", await residentMiB(pid), "MiB");
}

async function measureEdits(): Promise<void> {
  let edit = 0;
  for (const edits of EDITS) {
    const before = { cpu: await cpuMs(), edit };
    // Each edit, the first too, changes what runs.
    while (edit < edits) await addPolicy(0, [SET_ID_CALLS[++edit % 2] ?? ""]);
    report(`CPU of an edit, up to ${edits}`, ((await cpuMs()) - before.cpu) / (edits - before.edit), "ms");
    report(`resident memory right after ${edits} edits`, await residentMiB(pid), "MiB");
    await delay(SETTLE_MS);
    report(`resident memory 20 s after ${edits} edits`, await residentMiB(pid), "MiB");
  }
}
