/**
 * Clients that are not ours read a live stream of the agent as it runs, while policies come and go over gRPC.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/clients.one-guest-test.ts
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  checkHealth,
  type EventStream,
  GeneratedClient,
  Grpcurl,
  type Json,
} from "../clients/grpc-clients.ts";
import { cachedGrpcClients } from "../clients/programs.ts";
import { checkMetrics } from "../clients/prometheus.ts";
import { findCached } from "../control-plane/binaries.ts";
import { startAgent } from "./agent-process.ts";
import { ContractClient } from "./clients/contract-client.ts";
import { act, NR } from "./test-engine.ts";

const policy = (name: string, call: string) => `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: ${name} }
spec:
  kprobes:
    - { call: sys_${call}, syscall: true, args: [{ index: 0, type: int }] }
`;

const clients = await cachedGrpcClients(process.env);
const promtool = await findCached("promtool", process.env);

type Stream = Pick<EventStream, "events">;

/** Policy and argument of each hit so far. */
const hits = ({ events }: Stream) =>
  events.flatMap(({ process_kprobe: hit }) => (hit ? [`${hit.policy_name} ${hit.args[0].int_arg}`] : []));

async function expectHits(streams: readonly Stream[], want: string[]): Promise<void> {
  for (let i = 0; i < 200 && streams.some((stream) => hits(stream).length < want.length); i++)
    await delay(50);
  for (const stream of streams) assert.deepEqual(hits(stream), want);
}

test("a Go client, grpcurl and grpc-js with a .proto of its own see every hit while policies are added, disabled, enabled and deleted", {
  skip: clients ? false : "no Go clients in the cache: the machine that started the guest has no go",
}, async (t) => {
  assert.ok(clients);
  const directory = await mkdtemp(join(tmpdir(), "trigon-clients-"));
  const socket = join(directory, "run", "tetragon.sock");
  const agent = await startAgent(join(directory, "events.jsonl"), [
    "--server-address",
    `unix://${socket}`,
    "--policy-state-dir",
    join(directory, "state"),
    "--username-metadata=unix",
    "--enable-ancestors=base",
  ]);
  t.after(() => agent.stop());
  const info = JSON.parse(await readFile(join(directory, "run", "tetragon-info.json"), "utf8"));
  assert.equal(info.server_address, `unix://${socket}`);

  const generated = new GeneratedClient(clients, socket);
  const grpcurl = new Grpcurl(clients, socket);
  const contract = new ContractClient(socket);
  t.after(() => contract.close());
  const processes = [await generated.events(), await grpcurl.events()];
  const { seen, cancel } = await contract.events();
  const streams: Stream[] = [...processes, { events: seen }];
  const file = join(directory, "setfsuid.yaml");
  await writeFile(file, policy("by-go", "setfsuid"));
  // The name of a user is only certain while its process lives.
  const alive = spawn("sleep", ["600"]);
  t.after(() => alive.kill());
  act(`call ${NR.setfsuid}:1`);
  await generated.call("tp-add", file);
  act(`call ${NR.setfsuid}:2`);
  await grpcurl.call("AddTracingPolicy", { yaml: policy("by-grpcurl", "setfsgid") });
  act(`call ${NR.setfsgid}:3`);
  await expectHits(streams, ["by-go 2", "by-grpcurl 3"]);

  const exec = streams[0]?.events.find(({ process_exec: event }) => event?.process.pid === alive.pid);
  assert.deepEqual(exec?.process_exec.process.user, { name: "root" });
  assert.equal(exec.process_exec.ancestors.at(-1).pid, 1);

  const { policies } = await generated.call("tp-list");
  for (const { state, kernel_memory_bytes: bytes } of policies) {
    assert.equal(state, "TP_STATE_ENABLED");
    assert.ok(Number(bytes) > 0);
  }
  const post = policies.map(({ stats }: Json) => stats.action_counters.post);
  assert.deepEqual(post, ["1", "1"]);

  await generated.call("tp-disable", "by-go");
  act(`call ${NR.setfsuid}:4`);
  await generated.call("tp-enable", "by-go");
  act(`call ${NR.setfsuid}:5`);
  await expectHits(streams, ["by-go 2", "by-grpcurl 3", "by-go 5"]);

  await generated.call("tp-delete", "by-go");
  await grpcurl.call("DeleteTracingPolicy", { name: "by-grpcurl" });
  act(`call ${NR.setfsuid}:6 call ${NR.setfsgid}:7`);
  await contract.call("AddTracingPolicy", { yaml: policy("by-grpc-js", "setfsuid") });
  act(`call ${NR.setfsuid}:8`);
  await expectHits(streams, ["by-go 2", "by-grpcurl 3", "by-go 5", "by-grpc-js 8"]);
  assert.equal((await generated.call("status")).health_status[0].details, "running");
  for (const service of ["", "liveness"])
    assert.equal(await checkHealth(clients, "127.0.0.1:6789", service), "SERVING");
  await Promise.all(processes.map((stream) => stream.close()));
  cancel();

  const metrics = await agent.get("/metrics");
  assert.match(metrics, /^trigon_hook_attach_seconds\{policy="by-grpc-js",.*\} \d+\.\d+$/m);
  assert.match(metrics, /^trigon_hook_kernel_memory_bytes\{policy="by-grpc-js",.*\} [1-9]\d+$/m);
  assert.match(metrics, /^trigon_tracingpolicy_selector_actions_total\{.*action="post"\} 1$/m);
  assert.match(metrics, /^trigon_tracingpolicy_loaded\{state="enabled"\} 1$/m);
  if (promtool) assert.equal(checkMetrics(promtool, metrics), "");
});
