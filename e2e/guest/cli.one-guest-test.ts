/**
 * `trigon` beside a running agent, as `kubectl exec` runs it.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/cli.one-guest-test.ts
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { exitOf } from "../../lib/testing/child-process.ts";
import { type AgentProcess, startAgent } from "./agent-process.ts";
import { projectProgram } from "./project-program.ts";
import { act, NR } from "./test-engine.ts";

const CLI = projectProgram("cli/main");

const POLICY = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: setfsuid }
spec:
  kprobes:
    - { call: sys_setfsuid, syscall: true, args: [{ index: 0, type: int }] }
`;

let directory: string;
let address: string[];
let agent: AgentProcess;
let exported: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "trigon-cli-"));
  const server = `unix://${join(directory, "tetragon.sock")}`;
  address = ["--server-address", server];
  exported = join(directory, "events.jsonl");
  agent = await startAgent(exported, [...address, "--policy-state-dir", join(directory, "state")]);
});
after(() => agent.stop());

function trigon(args: string[], input = "") {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    encoding: "utf8",
    input,
  });
  return { status, stdout, stderr };
}

/** A `trigon events` that runs; its lines so far. */
function watch(args: string[]): { lines: string[]; command: ChildProcess } {
  const command = spawn(process.execPath, [CLI, "events", ...address, ...args]);
  const lines: string[] = [];
  createInterface({ input: command.stdout as NodeJS.ReadableStream }).on("line", (line) => lines.push(line));
  return { lines, command };
}

/** Acts again and again, because a client does not say when its stream has begun. */
async function actUntilSeen(lines: readonly string[], argument: number): Promise<string> {
  for (let attempt = 0; attempt < 60; attempt++) {
    act(`call ${NR.setfsuid}:${argument}`);
    await delay(500);
    const found = lines.find((line) => line.includes(`setfsuid(${argument})`));
    if (found !== undefined) return found;
  }
  throw new Error(`no event of setfsuid(${argument}) in:\n${lines.join("\n")}`);
}

test("a policy is added, its events are shown, and it is switched off and deleted", async () => {
  const policies = (...args: string[]) => trigon(["policies", ...args, ...address]);
  assert.deepEqual(trigon(["policies", "add", "-", ...address], POLICY), {
    status: 0,
    stdout: "-: added\n",
    stderr: "",
  });
  const { lines, command } = watch(["--policy", "setfsuid"]);
  const line = await actUntilSeen(lines, 103);
  assert.match(line, /^\d\d:\d\d:\d\d\.\d{3} {2}\S+ {2}host {2}\S*act .* {2}setfsuid\(103\)$/);
  assert.ok(lines.every((one) => one.includes("setfsuid(")));
  command.kill("SIGINT");
  assert.deepEqual(await exitOf(command), [0, null]);

  assert.match(
    policies("list").stdout,
    /^1 +setfsuid +grpc +enabled .* \d+\.\d\d [kM]B +monitor_only +[1-9]/m,
  );
  assert.equal(policies("disable", "setfsuid").stdout, "setfsuid: disabled\n");
  assert.match(policies("list").stdout, /setfsuid +grpc +disabled/);
  assert.equal(policies("enable", "setfsuid").status, 0);
  assert.equal(policies("delete", "setfsuid").stdout, "setfsuid: deleted\n");
  assert.doesNotMatch(policies("list").stdout, /setfsuid/);
});

test("a policy that does not attach is refused with the reason", () => {
  const { status, stderr } = trigon(
    ["policies", "add", "-", ...address],
    POLICY.replace("call: sys_setfsuid, syscall: true", "call: trigon_nothing, syscall: false"),
  );
  assert.match(stderr, /^trigon: TracingPolicy\/setfsuid: .*trigon_nothing/);
  assert.equal(status, 1);
});

test("the export is read as well", async () => {
  const { stdout, status } = trigon(["events", exported, "--policy", "setfsuid", "--since", "10m"]);
  assert.match(stdout, / {2}setfsuid\(103\)$/m);
  assert.equal(status, 0);
});
