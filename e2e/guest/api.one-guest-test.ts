/**
 * Tetragon's gRPC API, as a client that has nothing of ours sees it.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/api.one-guest-test.ts
 */
import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type AgentProcess, startAgent } from "./agent-process.ts";
import { type CallFailure, ContractClient, type StreamedEvent } from "./clients/contract-client.ts";
import { act, NR } from "./test-engine.ts";

const POLICY = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: setfsuid }
spec:
  kprobes:
    - { call: sys_setfsuid, syscall: true, args: [{ index: 0, type: int }] }
`;
const ENABLED = 1;
const DISABLED = 2;
const INVALID_ARGUMENT = 3;

interface Policies {
  policies: { name: string; state: number; error: string; domain: string; kernel_memory_bytes: number }[];
}

let directory: string;
let socket: string;
let agent: AgentProcess;
let client: ContractClient;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "trigon-api-"));
  socket = join(directory, "run", "tetragon.sock");
  agent = await start();
  client = new ContractClient(socket);
});
after(async () => {
  client.close();
  await agent.stop();
});

function start(): Promise<AgentProcess> {
  const flags = ["--server-address", `unix://${socket}`, "--policy-state-dir", join(directory, "state")];
  return startAgent(join(directory, "events.jsonl"), flags);
}

/** Waits for the hits of setfsuid with this argument; fails after a while. */
async function hits(seen: readonly StreamedEvent[], argument: number, count: number) {
  const found = () =>
    seen.flatMap(({ process_kprobe: event }) => (event?.args[0]?.int_arg === argument ? [event] : []));
  for (let i = 0; i < 100 && found().length < count; i++) await delay(50);
  return found();
}

async function policies(): Promise<Policies["policies"]> {
  return (await client.call<Policies>("ListTracingPolicies")).policies;
}

test("it has a version", async () => {
  const { version } = await client.call<{ version: string }>("GetVersion");
  assert.match(version, /^\d+\.\d+\.\d+/);
});

test("a stream goes on while policies are added, disabled, enabled and deleted", async () => {
  const { seen, cancel } = await client.events({ deny_list: [{ event_set: [5] }] });
  act(`call ${NR.setfsuid}:101`);
  await client.call("AddTracingPolicy", { yaml: POLICY });
  act(`call ${NR.setfsuid}:102`);
  const [hit, ...more] = await hits(seen, 102, 1);
  assert.deepEqual(more, []);
  assert.equal(hit?.function_name, "__x64_sys_setfsuid");
  assert.equal(hit?.policy_name, "setfsuid");
  assert.match(hit?.process.binary ?? "", /act$/);
  const [added] = await policies();
  assert.equal(added?.state, ENABLED);
  assert.equal(added?.domain, "grpc");
  assert.ok((added?.kernel_memory_bytes ?? 0) > 0);

  await client.call("ConfigureTracingPolicy", { name: "setfsuid", enable: false });
  assert.equal((await policies())[0]?.state, DISABLED);
  act(`call ${NR.setfsuid}:103`);
  await client.call("ConfigureTracingPolicy", { name: "setfsuid", enable: true });
  act(`call ${NR.setfsuid}:104`);
  assert.equal((await hits(seen, 104, 1)).length, 1);

  await client.call("DeleteTracingPolicy", { name: "setfsuid" });
  act(`call ${NR.setfsuid}:105`);
  await client.call("AddTracingPolicy", { yaml: POLICY });
  act(`call ${NR.setfsuid}:106`);
  assert.equal((await hits(seen, 106, 1)).length, 1);
  for (const unseen of [101, 103, 105]) assert.deepEqual(await hits(seen, unseen, 0), []);
  assert.ok(seen.some(({ process_exec }) => process_exec?.process.binary.endsWith("/act")));
  assert.ok(seen.every(({ event }) => event !== "process_exit"));
  cancel();
});

test("a policy that was added is there after a restart, and attached", async () => {
  await agent.stop();
  agent = await start();
  assert.equal((await policies()).find(({ name }) => name === "setfsuid")?.state, ENABLED);
  const { seen, cancel } = await client.events();
  act(`call ${NR.setfsuid}:107`);
  assert.equal((await hits(seen, 107, 1)).length, 1);
  cancel();
});

test("a policy that cannot be used is refused with the place of the mistake", async () => {
  const refused = (yaml: string) =>
    client.call("AddTracingPolicy", { yaml }).then(
      () => assert.fail("it was taken"),
      (error: CallFailure) => error,
    );
  const type = await refused(POLICY.replace("setfsuid }", "other }").replace("type: int", "type: inte"));
  assert.equal(type.code, INVALID_ARGUMENT);
  assert.match(type.details, /^spec\.kprobes\[0\]\.args\[0\]\.type: /);
  const call = await refused(
    POLICY.replace("setfsuid }", "other }").replace(
      "sys_setfsuid, syscall: true",
      "no_such_call, syscall: false",
    ),
  );
  assert.match(call.details, /^TracingPolicy\/other: spec\.kprobes\[0\] no_such_call: /);
  assert.deepEqual(
    (await policies()).map(({ name }) => name),
    ["setfsuid"],
  );
});
