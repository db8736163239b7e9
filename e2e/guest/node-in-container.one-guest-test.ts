/**
 * A node inside a container (kind, k3d, Docker Desktop): /proc shows other pids than records have.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/node-in-container.one-guest-test.ts
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runAgent, startBareAgent } from "./agent-process.ts";
import { ACT, NR } from "./test-engine.ts";

/** Process 1 of a pid namespace with a procfs of its own, as a container has it. */
const CONTAINER = ["unshare", "--pid", "--fork", "--kill-child=SIGTERM", "--mount-proc"];
const MOUNT = "mkdir -p /run/trigon/proc && mount --bind /proc /run/trigon/proc";
const POLICY = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: setfsuid }
spec: { kprobes: [{ call: sys_setfsuid, syscall: true, args: [{ index: 0, type: uint32 }] }] }
`;

interface Hit {
  process_kprobe?: { process: { pid: number; binary: string; flags: string } };
}

let directory: string;
let policy: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "trigon-in-container-"));
  policy = join(directory, "policy.yaml");
  await writeFile(policy, POLICY);
});

test("without the machine's /proc the agent ends with status 3 and explains how to mount it", async () => {
  const { status, stderr } = await runAgent(["--tracing-policy", policy], CONTAINER);
  assert.equal(status, 3, stderr);
  assert.match(
    stderr,
    /this node cannot trace: \/proc is not the machine's procfs.*mount the machine's \/proc into it at \/run\/trigon\/proc/,
  );
});

test("with the machine's /proc events name processes that ran before the agent, by the kernel's first pids", async () => {
  const exportFile = join(directory, "events.jsonl");
  const caller = spawn(ACT, ["count-up", String(NR.setfsuid)], { stdio: ["pipe", "pipe", "inherit"] });
  const command = ["unshare", "--mount", "sh", "-c", `${MOUNT} && exec "$@"`, "sh", ...CONTAINER];
  const flags = ["--tracing-policy", policy, "--export-filename", exportFile, "--export-file-max-size-mb=0"];
  const agent = await startBareAgent(flags, command);
  caller.stdin.write("start\n");
  while (!(await readFile(exportFile, "utf8")).includes("process_kprobe")) await delay(100);
  caller.stdin.end("stop\n");
  await once(caller.stdout, "data");
  await agent.end("SIGKILL"); // of unshare, which sends the agent SIGTERM
  const events = (await readFile(exportFile, "utf8")).trim().split("\n");
  const hits = events.flatMap((line) => (JSON.parse(line) as Hit).process_kprobe?.process ?? []);
  const callers = hits.filter(({ pid }) => pid === caller.pid);
  assert.ok(callers.length > 0, `hits of ${hits.map(({ pid }) => pid)}`);
  assert.deepEqual(new Set(callers.map(({ binary }) => binary)), new Set([ACT]));
  assert.match(callers[0]?.flags ?? "", /procFS/);
});
