/**
 * An export whose disk is full, whose file or directory is gone, or whose directory is read-only: events are lost and
 * counted, more are exported as soon as they can be, and policies do not notice.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/export.one-guest-test.ts
 *
 * It needs no hook but a tracepoint, so `unshare --mount node --test ...` runs it without a guest as well.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type AgentProcess, runAgent, startAgent } from "./agent-process.ts";
import { ContractClient } from "./clients/contract-client.ts";
import { act, NR } from "./test-engine.ts";

const POLICY = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: setfsuid }
spec:
  tracepoints:
    - { subsystem: syscalls, event: sys_enter_setfsuid, args: [{ index: 5, type: uint32 }] }
`;
const ENABLED = 1;

let base: string;
let disk: string;
let directory: string;
let file: string;
let agent: AgentProcess;
let client: ContractClient;
let next = 100;

before(async () => {
  base = mkdtempSync(join(tmpdir(), "trigon-export-"));
  disk = join(base, "disk");
  mkdirSync(disk);
  mount("-t", "tmpfs", "-o", "size=256k", "none", disk);
  directory = join(disk, "log");
  mkdirSync(directory);
  file = join(directory, "events.jsonl");
  const socket = join(base, "tetragon.sock");
  agent = await startAgent(file, [
    ...["--server-address", `unix://${socket}`, "--policy-state-dir", join(base, "state")],
    ...["--export-allowlist", '{"event_set":["PROCESS_TRACEPOINT"]}', "--export-file-rotation-interval=1s"],
  ]);
  client = new ContractClient(socket);
  await client.call("AddTracingPolicy", { yaml: POLICY });
});
after(async () => {
  client?.close();
  await agent?.stop();
  execFileSync("umount", [disk]);
});

function mount(...args: string[]): void {
  execFileSync("mount", args);
}

/** Makes a detection with an argument of its own. */
function detect(): number {
  act(`call ${NR.setfsuid}:${++next}`);
  return next;
}

/** Arguments of all detections in the directory, backups first; each line must be whole. */
function exported(): number[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.startsWith("events"))
    .sort()
    .flatMap((name) => readOrNothing(join(directory, name)).trimEnd().split("\n"))
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line).process_tracepoint.args[0].uint_arg);
}

/** A file that is renamed by a rotation at this moment is read next time. */
function readOrNothing(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Lost events of the policy, lost events of the export, and failed writes: from one answer. */
async function losses(): Promise<number[]> {
  const metrics = await agent.get("/metrics");
  return LOSSES.map((pattern) => Number(pattern.exec(metrics)?.[1] ?? 0));
}

const LOSSES = [
  /^trigon_policy_lost_events_total\{policy="setfsuid",.*place="export"\} (\d+)$/m,
  /^trigon_export_lost_events_total\{reason="write_failed"\} (\d+)$/m,
  /^trigon_export_errors_total (\d+)$/m,
];

/** Makes a detection and waits for what becomes of it. */
async function fate(): Promise<"exported" | "lost"> {
  const [lost] = await losses();
  const argument = detect();
  for (let i = 0; i < 200; i++) {
    if (exported().includes(argument)) return "exported";
    if ((await losses())[0] !== lost) return "lost";
    await delay(50);
  }
  throw new Error(`${argument} is neither exported nor counted as lost`);
}

/** A detection is lost and counted; after `mend` the next one is exported, and no more are lost. */
async function losesUntil(mend: () => void): Promise<void> {
  const counted = (await losses()).map((count) => count + 1);
  assert.equal(await fate(), "lost");
  assert.deepEqual(await losses(), counted);
  await policyIsWell();
  mend();
  assert.equal(await fate(), "exported");
  assert.deepEqual(await losses(), counted);
}

async function policyIsWell(): Promise<void> {
  const { policies } = await client.call<{ policies: { state: number; error: string }[] }>(
    "ListTracingPolicies",
  );
  assert.deepEqual(
    policies.map(({ state, error }) => [state, error]),
    [[ENABLED, ""]],
  );
  const { health_status: health } = await client.call<{ health_status: { details: string }[] }>("GetHealth");
  assert.deepEqual(
    health.map(({ details }) => details),
    ["running"],
  );
}

test("a disk that is full costs events until there is room", async () => {
  assert.equal(await fate(), "exported");
  const rest = join(disk, "rest");
  assert.throws(() => writeFileSync(rest, Buffer.alloc(1 << 20)), { code: "ENOSPC" });
  // the last page of the file may have room for some more lines
  for (let i = 0; i < 20 && (await fate()) === "exported"; i++);
  await losesUntil(() => rmSync(rest));
});

test("a file that is removed comes back with the next event", async () => {
  for (const name of readdirSync(directory)) rmSync(join(directory, name));
  assert.equal(await fate(), "exported");
  assert.deepEqual(exported(), [next]);
  await policyIsWell();
});

test("in a directory that is read-only the file grows on, and rotations fail and are counted", async () => {
  assert.equal(await fate(), "exported");
  mount("--bind", directory, directory);
  mount("-o", "remount,bind,ro", directory);
  const files = readdirSync(directory);
  await rotationFails();
  assert.equal(await fate(), "exported");
  assert.deepEqual(readdirSync(directory), files);
  assert.match(agent.log(), /rotation of .*events\.jsonl failed: .*EROFS/);
  await policyIsWell();
  execFileSync("umount", [directory]);
});

/** Detections are exported until the file is old enough that one of them would rotate it. */
async function rotationFails(): Promise<void> {
  const failed = async () => Number(ROTATION_ERRORS.exec(await agent.get("/metrics"))?.[1]);
  const before = await failed();
  for (let i = 0; i < 100 && (await failed()) === before; i++) {
    assert.equal(await fate(), "exported");
    await delay(100);
  }
  assert.equal(await failed(), before + 1);
}

const ROTATION_ERRORS = /^trigon_export_rotation_errors_total (\d+)$/m;

test("a directory that is gone costs events until it is there again", async () => {
  rmSync(directory, { recursive: true });
  await losesUntil(() => mkdirSync(directory));
});

test("an agent that cannot open its export ends and says why", async () => {
  mount("--bind", directory, directory);
  mount("-o", "remount,bind,ro", directory);
  const { status, stderr } = await runAgent(["--export-filename", join(directory, "other.jsonl")]);
  execFileSync("umount", [directory]);
  assert.equal(status, 1);
  assert.match(stderr, /EROFS.*other\.jsonl/);
});
