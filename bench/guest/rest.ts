/**
 * Runs in a guest whose clock counts instructions: `node rest.ts IMAGE` measures the agent of an image's root directory
 * where little happens. Prints one JSON object per line, {measure, value, unit}.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const REST_MS = 60_000;
/** After the last work, until the agent has given back what it does not need. */
const SETTLE_MS = 20_000;
const LATENCIES = 9;
const EDITS = 50;
const LOAD = { rounds: 200, calls: 1000, pauseUs: 100_000 };
const SETTERS = [
  "setuid",
  "setgid",
  "setreuid",
  "setregid",
  "setresuid",
  "setresgid",
  "setfsuid",
  "setfsgid",
];

const [image = ""] = process.argv.slice(2);
const directory = await mkdtemp(join(tmpdir(), "rest-"));
const policies = await mkdtemp(join(tmpdir(), "policies-"));
const file = join(directory, "events.jsonl");

const node = join(image, "usr/local/bin/node");
const main = join(image, "app/agent/main.js");
const { stdout: help } = await promisify(execFile)(node, [main, "--help"]);
// Older revisions do not rotate.
const unrotated = help.includes("--export-file-max-size-mb") ? ["--export-file-max-size-mb=0"] : [];

const started = performance.now();
const agent = spawn(node, [main, "--tracing-policy-dir", policies, "--export-filename", file, ...unrotated], {
  stdio: ["ignore", "ignore", "pipe"],
});
let log = "";
agent.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
const pid = agent.pid ?? 0;

await logged(/ ready /g, 1);
report("time to ready, without a policy", performance.now() - started, "ms");
report("CPU to ready, without a policy", await cpuMs(), "ms");
await measureRest("0 policies");
await addPolicy(0, ["setuid"]);
await measureRest("1 policy");
await measureLatency();
await measureProcesses();
for (let policy = 1; policy < 20; policy++) await addPolicy(policy, SETTERS);
await measureRest("20 policies");
for (let policy = 1; policy < 20; policy++) await rm(policyFile(policy));
await measureLoad();
await measureEdits();
agent.kill();
await once(agent, "exit");

function report(measure: string, value: number, unit: string): void {
  console.log(JSON.stringify({ measure, value, unit }));
}

async function logged(pattern: RegExp, times: number): Promise<void> {
  while ((log.match(pattern)?.length ?? 0) < times) {
    if (agent.exitCode !== null) throw new Error(`the agent ended:\n${log}`);
    await delay(20);
  }
}

/** Of all threads; the kernel counts nanoseconds. */
async function cpuMs(): Promise<number> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const times = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/schedstat`, "utf8")),
  );
  return times.reduce((sum, text) => sum + Number(text.split(" ")[0]), 0) / 1e6;
}

async function wakeUps(): Promise<number> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const texts = await Promise.all(tasks.map((task) => readFile(`/proc/${pid}/task/${task}/status`, "utf8")));
  return texts.reduce((sum, text) => sum + Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1]), 0);
}

async function residentMiB(): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

async function measureRest(what: string): Promise<void> {
  await delay(SETTLE_MS);
  const before = { cpu: await cpuMs(), wakeUps: await wakeUps() };
  await delay(REST_MS);
  report(`share of the processor at rest, ${what}`, ((await cpuMs()) - before.cpu) / (REST_MS / 100), "%");
  report(`wake-ups at rest, ${what}`, ((await wakeUps()) - before.wakeUps) / (REST_MS / 1000), "/s");
  report(`resident memory at rest, ${what}`, await residentMiB(), "MiB");
}

function policyFile(policy: number): string {
  return join(policies, `p${policy}.yaml`);
}

async function addPolicy(policy: number, setters: readonly string[]): Promise<void> {
  const hooks = setters.map(
    (name) => `    - { call: sys_${name}, syscall: true, args: [{ index: 0, type: int }] }`,
  );
  const text = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: p${policy} }
spec:
  kprobes:
${hooks.join("\n")}
`;
  const attached = log.match(/hook sys_/g)?.length ?? 0;
  const part = join(directory, "policy");
  await writeFile(part, text);
  await rename(part, policyFile(policy));
  await logged(/hook sys_/g, attached + setters.length);
}

/** From a call to its line in the file, where nothing happened before. */
async function measureLatency(): Promise<void> {
  for (let call = 0; call < LATENCIES; call++) {
    await delay(3_000);
    const before = (await stat(file)).size;
    const from = performance.now();
    await promisify(execFile)("build/bench/call-setuid", ["1", "1"]);
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
  await promisify(execFile)("build/bench/call-fork", ["600", "1", "100000", "exec"]);
  report("share of the processor, 10 processes a second", ((await cpuMs()) - before) / (REST_MS / 100), "%");
}

async function measureLoad(): Promise<void> {
  await delay(SETTLE_MS);
  const { rounds, calls, pauseUs } = LOAD;
  const before = await cpuMs();
  await promisify(execFile)("build/bench/call-setuid", [rounds, calls, pauseUs].map(String));
  await delay(2_000);
  const events = rounds * calls;
  report(
    "CPU of 100,000 setuid events at some 10,000 a second",
    (((await cpuMs()) - before) / events) * 1e5,
    "ms",
  );
  report("resident memory right after 200,000 events", await residentMiB(), "MiB");
  await delay(SETTLE_MS);
  report("resident memory 20 s after 200,000 events", await residentMiB(), "MiB");
}

async function measureEdits(): Promise<void> {
  const before = { cpu: await cpuMs(), at: performance.now() };
  // Each edit, the first too, changes what runs.
  for (let edit = 0; edit < EDITS; edit++) await addPolicy(0, [SETTERS[(edit + 1) % 2] ?? ""]);
  report("CPU of an edit", ((await cpuMs()) - before.cpu) / EDITS, "ms");
  await delay(SETTLE_MS);
  report(`resident memory 20 s after ${EDITS} edits`, await residentMiB(), "MiB");
}
