/**
 * Clients of the gRPC API that are not ours: one that is generated from proto/ for Go, with the calls that the tetra command
 * makes, and grpcurl. The agent is the testing rig: its kernel takes every policy, its events come from records of the test.
 *
 *   node --test e2e/clients/grpc.client-test.ts
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { makeApi, type TestApi } from "../../agent/api/testing/api.ts";
import { makeHit } from "../../agent/events/testing/pipeline.ts";
import { credSlot, makeBatch, makeExec, makeExit } from "../../agent/records/testing/records.ts";
import { type EventStream, GeneratedClient, Grpcurl, type Json } from "./grpc-clients.ts";
import { findGrpcClients } from "./programs.ts";

const policy = (name: string) => `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: ${name} }
spec:
  kprobes:
    - call: sys_setuid
      syscall: true
      args: [{ index: 0, type: int }]
      selectors: [{ matchActions: [{ action: Sigkill }] }]
`;

let api: TestApi;
let generated: GeneratedClient;
let grpcurl: Grpcurl;
let directory: string;

before(async () => {
  const clients = await findGrpcClients(process.env, console.log);
  api = await makeApi();
  generated = new GeneratedClient(clients, api.socket);
  grpcurl = new Grpcurl(clients, api.socket);
  directory = await mkdtemp(join(tmpdir(), "trigon-clients-"));
});
after(async () => {
  await api.close();
  await rm(directory, { recursive: true });
});

async function fileOf(name: string): Promise<string> {
  const file = join(directory, `${name}.yaml`);
  await writeFile(file, policy(name));
  return file;
}

/** One event of each type: a hit with this uid, an exec, an exit. */
function happen(uid: number): void {
  const child = { pid: 1_000 + uid, seq: 1 + uid, ktimeNs: BigInt(50_000_000 + uid) };
  api.pipeline.handleBatch(
    makeBatch(
      makeHit([credSlot({ uid })]),
      makeExec({ ...child, filename: "/usr/bin/id", parentPid: 10 }),
      makeExit({ ...child, code: 9 }),
    ),
  );
}

async function arrived(stream: EventStream, count: number): Promise<readonly Json[]> {
  for (let i = 0; i < 200 && stream.events.length < count; i++) await delay(50);
  assert.equal(stream.events.length, count);
  return stream.events;
}

const uids = (events: readonly Json[]) =>
  events.flatMap(({ process_kprobe: event }) => (event ? [event.args[0].process_credentials_arg.uid] : []));

test("both read a live stream while policies are added, changed and deleted", async () => {
  const streams = [await generated.events(), await grpcurl.events()];
  happen(1);
  await generated.call("tp-add", await fileOf("by-go"));
  happen(2);
  await grpcurl.call("AddTracingPolicy", { yaml: policy("by-grpcurl") });
  happen(3);
  const { policies } = await generated.call("tp-list");
  assert.deepEqual(
    policies.map(({ name, state, mode, domain }: Json) => ({ name, state, mode, domain })),
    ["by-go", "by-grpcurl"].map((name) => ({
      name,
      state: "TP_STATE_ENABLED",
      mode: "TP_MODE_ENFORCE",
      domain: "grpc",
    })),
  );
  await generated.call("tp-set-mode", "by-grpcurl", "monitor");
  await generated.call("tp-disable", "by-go");
  happen(4);
  const changed = await grpcurl.call("ListTracingPolicies");
  assert.deepEqual(
    changed.policies.map(({ state, mode }: Json) => [state, mode]),
    [
      ["TP_STATE_DISABLED", "TP_MODE_ENFORCE"],
      ["TP_STATE_ENABLED", "TP_MODE_MONITOR"],
    ],
  );
  await generated.call("tp-enable", "by-go");
  for (const name of ["by-go", "by-grpcurl"]) await generated.call("tp-delete", name);
  assert.deepEqual(await grpcurl.call("ListTracingPolicies"), {});
  happen(5);
  for (const stream of streams) {
    const events = await arrived(stream, 15);
    assert.deepEqual(uids(events), [1, 2, 3, 4, 5]);
    assert.equal(events[2].process_exit.signal, "SIGKILL");
    await stream.close();
  }
});

describe("the calls of tetra", () => {
  test("version, status, info, domains", async () => {
    assert.deepEqual(await generated.call("version"), { version: "1.2.3" });
    const { health_status: health } = await generated.call("status");
    assert.deepEqual(health, [
      { event: "HEALTH_STATUS_TYPE_STATUS", status: "HEALTH_STATUS_RUNNING", details: "running" },
    ]);
    const { probes, conf } = await generated.call("info");
    assert.deepEqual(probes[0], { Name: "btf", Enabled: true });
    assert.equal(conf[0].key, "node-name");
    assert.deepEqual(await generated.call("tp-domains"), {});
  });

  test("loglevel", async () => {
    assert.equal((await generated.call("loglevel-get")).level, "LOG_LEVEL_ERROR");
    assert.equal((await generated.call("loglevel-set", "DEBUG")).level, "LOG_LEVEL_DEBUG");
    assert.equal((await generated.call("loglevel-get")).level, "LOG_LEVEL_DEBUG");
    assert.equal((await generated.call("loglevel-set", "ERROR")).level, "LOG_LEVEL_ERROR");
  });

  test("dump of the process cache", async () => {
    const { processes } = await generated.call("dump-processes");
    const shell = processes.processes.find(({ process }: Json) => process.pid === 10);
    assert.equal(shell.process.binary, "/bin/sh");
    assert.equal(shell.color, "inUse");
    assert.equal(shell.refcnt, 1);
  });

  const filters: Record<string, { request: object; want: string[] }> = {
    "an allow list with one empty filter": {
      request: { allow_list: [{}] },
      want: ["process_kprobe", "process_exec", "process_exit"],
    },
    "--event-types": { request: { allow_list: [{ event_set: ["PROCESS_EXEC"] }] }, want: ["process_exec"] },
    "--process": {
      request: { allow_list: [{ binary_regex: ["/id$"] }] },
      want: ["process_exec", "process_exit"],
    },
    "--policy-names": { request: { allow_list: [{ policy_names: ["creds"] }] }, want: ["process_kprobe"] },
    "--host": {
      request: { allow_list: [{ namespace: [""] }] },
      want: ["process_kprobe", "process_exec", "process_exit"],
    },
    "--namespace": { request: { allow_list: [{ namespace: ["shop"] }] }, want: [] },
    "--cel-expression": {
      request: { allow_list: [{ cel_expression: ["process_exit.signal == 'SIGKILL'"] }] },
      want: ["process_exit"],
    },
  };
  for (const [name, { request, want }] of Object.entries(filters)) {
    test(`getevents with ${name}`, async () => {
      const stream = await generated.events(request);
      const all = await generated.events();
      happen(7);
      await arrived(all, 3);
      const events = await arrived(stream, want.length);
      assert.deepEqual(events.map((event) => Object.keys(event)[0]).sort(), [...want].sort());
      await Promise.all([stream.close(), all.close()]);
    });
  }

  test("getevents with fields to include and to leave out", async () => {
    const included = await generated.events({
      allow_list: [{ event_set: ["PROCESS_EXEC"] }],
      field_filters: [{ fields: "process.binary,parent.pid", action: "INCLUDE" }],
    });
    const excluded = await generated.events({
      allow_list: [{ event_set: ["PROCESS_EXEC"] }],
      field_filters: [{ fields: "parent", action: "EXCLUDE" }],
    });
    happen(8);
    const [event] = await arrived(included, 1);
    assert.deepEqual(event.process_exec, { process: { binary: "/usr/bin/id" }, parent: { pid: 10 } });
    const [other] = await arrived(excluded, 1);
    assert.equal(other.process_exec.parent, undefined);
    assert.equal(other.process_exec.process.binary, "/usr/bin/id");
    await Promise.all([included.close(), excluded.close()]);
  });

  test("what is refused says why", async () => {
    const broken = join(directory, "broken.yaml");
    await writeFile(broken, policy("broken").replace("type: int", "type: inte"));
    await assert.rejects(
      generated.call("tp-add", broken),
      /^Error: InvalidArgument: spec\.kprobes\[0\]\.args\[0\]\.type: /,
    );
    await assert.rejects(
      generated.call("tp-delete", "missing"),
      /NotFound: there is no TracingPolicy\/missing/,
    );
    await assert.rejects(
      generated.events({ allow_list: [{ pod_regex: ["("] }] }),
      /InvalidArgument: .*pod_regex/,
    );
  });
});

test("server reflection shows the services and describes their messages", async () => {
  const services = (await grpcurl.show("list")).split("\n");
  for (const service of ["tetragon.FineGuidanceSensors", "tetragon.EventLogService", "grpc.health.v1.Health"])
    assert.ok(services.includes(service), service);
  assert.match(await grpcurl.show("describe", "tetragon.Process"), /string exec_id = 1;/);
  const health = await grpcurl.call("Check", { service: "liveness" }, "grpc.health.v1.Health");
  assert.deepEqual(health, { status: "SERVING" });
});
