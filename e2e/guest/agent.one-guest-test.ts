/**
 * The agent as a command: its output and its exit status, which are the same on every kernel.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/agent.one-guest-test.ts
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runAgent, startBareAgent } from "./agent-process.ts";
import { act, NR } from "./test-engine.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const EXAMPLES = join(ROOT, "crds/examples");
const POLICY = join(EXAMPLES, "valid/process.credentials.changes.at.syscalls.yaml");

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "trigon-agent-"));
});

test("with a function that the kernel does not have it ends with status 1 and names hook and function", async () => {
  const { status, stderr } = await runAgent([
    "--tracing-policy",
    join(EXAMPLES, "invalid/function-not-in-kernel.yaml"),
  ]);
  assert.equal(status, 1);
  assert.match(stderr, /TracingPolicy\/\S+: spec\.kprobes\[\d\] \w+: /);
});

test("without privileges it ends with status 3 and names the missing capabilities", async () => {
  const command = ["setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin", "--inh-caps=-all"];
  const { status, stderr } = await runAgent(["--tracing-policy", POLICY], command);
  assert.equal(status, 3, stderr);
  assert.match(stderr, /this node cannot trace: .*EPERM.*missing capabilities: PERFMON, BPF/);
});

test("on a kernel without BTF it ends with status 3 and names the kernel option", async () => {
  const script = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"';
  const { status, stderr } = await runAgent(
    ["--tracing-policy", POLICY],
    ["unshare", "--mount", "sh", "-c", script, "sh"],
  );
  assert.equal(status, 3, stderr);
  assert.match(stderr, /this node cannot trace: .*CONFIG_DEBUG_INFO_BTF=y/);
});

test("with flags for neither files nor servers it runs until a signal stops it, and writes events to stdout", async () => {
  const agent = await startBareAgent([]);
  await once(spawn("true"), "exit");
  await delay(1000);
  assert.ok(agent.isRunning());
  const { status, stdout, stderr } = await agent.end("SIGINT");
  assert.equal(status, 0, stderr);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.ok(lines.some((event) => event.process_exec?.process.flags.includes("procFS")));
  assert.ok(lines.some((event) => event.process_exec?.process.binary === "/usr/bin/true"));
});

test("a log without a reader does not end it", async () => {
  const agent = await startBareAgent(["--export-filename", "/dev/null"]);
  agent.closeLog();
  const { status } = await agent.end("SIGTERM"); // it logs a line about the signal
  assert.equal(status, 0);
});

test("on SIGHUP it goes on, with its export file opened again", async () => {
  const file = join(directory, "events.jsonl");
  const agent = await startBareAgent(["--export-filename", file]);
  await rename(file, `${file}.1`);
  agent.signal("SIGHUP");
  await once(spawn("true"), "exit");
  const { status, stderr } = await agent.end("SIGTERM");
  assert.equal(status, 0, stderr);
  assert.match(await readFile(file, "utf8"), /"binary":"\/usr\/bin\/true"/);
});

test("on SIGHUP it reads its settings again and exports what the new filter allows", async () => {
  const settings = await mkdtemp(join(directory, "settings-"));
  const file = join(directory, "filtered.jsonl");
  await writeFile(join(settings, "export-filename"), file);
  const agent = await startBareAgent(["--config-dir", settings]);
  await writeFile(join(settings, "export-denylist"), '{"binary_regex":["/true$"]}');
  agent.signal("SIGHUP");
  await agent.logs(/settings are read again/);
  await once(spawn("true"), "exit");
  await once(spawn("false"), "exit");
  await writeFile(join(settings, "export-denylist"), "{");
  agent.signal("SIGHUP");
  await agent.logs(/settings stay as they are: \S+export-denylist: line 1: /);
  const { status, stderr } = await agent.end("SIGTERM");
  assert.equal(status, 0, stderr);
  const events = await readFile(file, "utf8");
  assert.match(events, /"binary":"\/usr\/bin\/false"/);
  assert.doesNotMatch(events, /"binary":"\/usr\/bin\/true"/);
});

test("files of a watched directory are attached, edited and detached while it runs", async () => {
  const watched = await mkdtemp(join(directory, "watched-"));
  const policy = (call: string) => `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: edited }
spec: { kprobes: [{ call: ${call}, syscall: true }] }
`;
  const file = join(directory, "edited.jsonl");
  const agent = await startBareAgent(["--tracing-policy-dir", watched, "--export-filename", file]);
  await writeFile(join(watched, "a.yaml"), policy("sys_setuid"));
  await agent.logs(/TracingPolicy\/edited: Attached/);
  await writeFile(join(watched, "a.yaml"), policy("setuid"));
  await agent.logs(/TracingPolicy\/edited: Failed .*SpecUnusable/);
  act(`call ${NR.setuid}:0`);
  await rm(join(watched, "a.yaml"));
  await agent.logs(/TracingPolicy\/edited: removed/);
  const { status, stderr } = await agent.end("SIGTERM");
  assert.equal(status, 0, stderr);
  assert.match(await readFile(file, "utf8"), /"policy_name":"edited"/);
});

test("a removed policy with many hooks reports nothing any more, and the agent can end while they are detached", async () => {
  const watched = await mkdtemp(join(directory, "watched-"));
  // Hooks are detached in their order: the last one is attached for longest.
  const calls = ["gid", "reuid", "regid", "resuid", "resgid", "fsuid", "fsgid", "groups", "ns", "uid"];
  const hooks = calls.map((name) => `    - { call: sys_set${name}, syscall: true }`);
  const policy = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: many }
spec:
  kprobes:
${hooks.join("\n")}
`;
  const file = join(directory, "removed.jsonl");
  const agent = await startBareAgent(["--tracing-policy-dir", watched, "--export-filename", file]);
  await writeFile(join(watched, "a.yaml"), policy);
  await agent.logs(/TracingPolicy\/many: Attached/);
  act(`call ${NR.setuid}:0`);
  await rm(join(watched, "a.yaml"));
  await agent.logs(/TracingPolicy\/many: removed/);
  act(`call ${NR.setuid}:0`);
  const { status, stderr } = await agent.end("SIGTERM");
  assert.equal(status, 0, stderr);
  const events = await readFile(file, "utf8");
  assert.equal(events.match(/"policy_name":"many"/g)?.length, 1);
});

test("policies of a directory are attached in the order of their names", async () => {
  const policy = (name: string) => `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: ${name} }
spec: { kprobes: [{ call: commit_creds, syscall: false, args: [{ index: 0, type: cred }] }] }
`;
  await writeFile(join(directory, "20.yaml"), policy("second"));
  await writeFile(join(directory, "10.yml"), policy("first"));
  await writeFile(join(directory, "notes.txt"), "not a policy");
  const agent = await startBareAgent(["--tracing-policy-dir", directory, "--export-filename", "/dev/null"]);
  const { status, stderr } = await agent.end("SIGTERM");
  assert.equal(status, 0, stderr);
  assert.match(stderr, /TracingPolicy\/first: Attached[\s\S]*TracingPolicy\/second: Attached/);
});

test("events of before the end are exported, even if they exceed the export's queue", async () => {
  const policy = join(directory, "setfsuid.yaml");
  await writeFile(
    policy,
    `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: setfsuid }
spec:
  kprobes:
    - { call: sys_setfsuid, syscall: true, args: [{ index: 0, type: uint32 }] }
`,
  );
  const exportFile = join(directory, "many.jsonl");
  const flags = [
    "--tracing-policy",
    policy,
    "--export-filename",
    exportFile,
    "--rb-size=64m",
    "--export-file-max-size-mb=0",
  ];
  const agent = await startBareAgent(flags);
  const calls = 40_000;
  act(`repeat ${calls} ${NR.setfsuid}:7`);
  const { status } = await agent.end("SIGTERM");
  assert.equal(status, 0);
  const lines = (await readFile(exportFile, "utf8")).split("\n");
  assert.equal(lines.filter((line) => line.startsWith('{"process_kprobe"')).length, calls);
});
