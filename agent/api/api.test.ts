import { once } from "node:events";
import { statSync } from "node:fs";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { makeHit } from "../events/testing/pipeline.ts";
import { credSlot, makeBatch, makeExec, makeExit } from "../records/testing/records.ts";
import { makeApi, type TestApi, TestClient } from "./testing/api.ts";

let api: TestApi;
let client: TestClient;

beforeEach(async () => {
  api = await makeApi();
  client = new TestClient(api.socket);
});
afterEach(async () => {
  client.close();
  await api.close();
});

function hit(): void {
  api.pipeline.handleBatch(makeBatch(makeHit([credSlot({ uid: 7 })])));
}

async function nextEvent(stream: Awaited<ReturnType<TestClient["events"]>>) {
  const [event] = await once(stream, "data");
  return event.event;
}

const POLICY = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: creds}
spec:
  kprobes:
  - {call: commit_creds, syscall: false, args: [{index: 0, type: cred}]}
`;

describe("the socket", () => {
  test("is for root and its group", () => {
    expect(statSync(api.socket).mode & 0o777).toBe(0o660);
  });
});

describe("events", () => {
  test("reach a client from its subscription on", async () => {
    hit();
    const stream = await client.events();
    const event = nextEvent(stream);
    hit();
    expect(await event).toMatchObject({
      case: "processKprobe",
      value: { functionName: "commit_creds", policyName: "creds", process: { binary: "/bin/sh", pid: 10 } },
    });
    expect(api.counts).toMatchObject({ sent: 1, open: 1 });
  });

  test("cost nothing after the client has gone", async () => {
    const stream = await client.events();
    stream.cancel();
    await vi.waitFor(() => expect(api.counts.open).toBe(0));
    hit();
    expect(api.counts.sent).toBe(0);
  });

  test("have only the fields that the client asks for", async () => {
    const field_filters = [{ fields: "process.binary,functionName", action: "INCLUDE" }];
    const stream = await client.events({ field_filters });
    const event = nextEvent(stream);
    hit();
    const { value } = await event;
    expect(value).toMatchObject({ functionName: "commit_creds", process: { binary: "/bin/sh", execId: "" } });
    expect(value).toMatchObject({ policyName: "", args: [] });
    expect(value.parent).toBeUndefined();
  });

  test("the end of the agent ends the stream, with the reason", async () => {
    const stream = await client.events();
    const error = once(stream, "error");
    const closed = api.close();
    expect((await error)[0]).toMatchObject({ code: status.UNAVAILABLE, details: "the agent stops" });
    await closed;
    api = await makeApi();
  });
});

describe("the health check of gRPC", () => {
  test("follows the checks of the agent", async () => {
    const health = (service: string) => client.call("Check", { service }, "grpc.health.v1.Health");
    expect(await health("liveness")).toMatchObject({ status: 1 });
    expect(await health("nobody")).toMatchObject({ code: status.NOT_FOUND });
  });
});

describe("policies", () => {
  test("are added, listed, configured and deleted", async () => {
    expect(await client.call("AddTracingPolicy", { yaml: POLICY })).not.toHaveProperty("code");
    const { policies } = await client.call("ListTracingPolicies");
    expect(policies).toMatchObject([
      { name: "creds", domain: "grpc", state: 1, mode: 3, info: "gRPC, domain grpc" },
    ]);
    await client.call("ConfigureTracingPolicy", { name: "creds", enable: false });
    expect((await client.call("ListTracingPolicies")).policies).toMatchObject([{ state: 2, error: "" }]);
    await client.call("ConfigureTracingPolicy", { name: "creds", enable: true });
    const mode = "TP_MODE_MONITOR";
    await client.call("ConfigureTracingPolicy", { name: "creds", mode, count_only: true });
    expect(api.kernel.modes.get("TracingPolicy/creds")).toBe("count");
    expect((await client.call("ListTracingPolicies")).policies).toMatchObject([{ mode: 3, countOnly: true }]);
    await client.call("ConfigureTracingPolicy", { name: "creds", mode });
    expect((await client.call("ListTracingPolicies")).policies).toMatchObject([{ countOnly: false }]);
    expect(await client.call("ListDomains")).toMatchObject({ domains: ["grpc"] });
    expect(await client.call("DeleteTracingPolicy", { name: "creds" })).not.toHaveProperty("code");
    expect((await client.call("ListTracingPolicies")).policies).toEqual([]);
  });

  test("that enforce are monitored, and enforced again", async () => {
    const yaml = POLICY.replace("]}", "], selectors: [{matchActions: [{action: Sigkill}]}]}");
    await client.call("AddTracingPolicy", { yaml });
    for (const [name, mode, number] of [
      ["TP_MODE_MONITOR", "monitor", 2],
      ["TP_MODE_ENFORCE", "enforce", 1],
    ]) {
      expect(await client.call("ConfigureTracingPolicy", { name: "creds", mode: name })).not.toHaveProperty(
        "code",
      );
      expect(api.kernel.modes.get("TracingPolicy/creds")).toBe(mode);
      expect((await client.call("ListTracingPolicies")).policies).toMatchObject([{ mode: number }]);
    }
    await client.call("DeleteTracingPolicy", { name: "creds" });
  });

  test.each(["TP_MODE_MONITOR", "TP_MODE_ENFORCE"])("that enforce nothing have no mode %s", async (mode) => {
    await client.call("AddTracingPolicy", { yaml: POLICY });
    expect(await client.call("ConfigureTracingPolicy", { name: "creds", mode })).toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: expect.stringMatching(/^cannot set policy mode on a policy that is monitor only/),
    });
    await client.call("DeleteTracingPolicy", { name: "creds" });
  });

  test.each([{}, { mode: "TP_MODE_ENFORCE" }])("cannot count and be in another mode: %j", async (mode) => {
    await client.call("AddTracingPolicy", { yaml: POLICY });
    expect(
      await client.call("ConfigureTracingPolicy", { name: "creds", ...mode, count_only: true }),
    ).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: "count_only: expected together with mode TP_MODE_MONITOR",
    });
    await client.call("DeleteTracingPolicy", { name: "creds" });
  });

  test("survive a restart", async () => {
    const first = await makeApi({ keepsDirectory: true });
    const before = new TestClient(first.socket);
    await before.call("AddTracingPolicy", { yaml: POLICY, domain: "mine" });
    before.close();
    await first.close();
    const second = await makeApi({ directory: first.directory });
    const after = new TestClient(second.socket);
    const { policies } = await after.call("ListTracingPolicies");
    expect(policies).toMatchObject([{ name: "creds", domain: "mine", state: 1 }]);
    after.close();
    await second.close();
  });

  test("that do not attach are not kept, and the client learns why", async () => {
    api.kernel.fails = () => "spec.kprobes[0] commit_creds: not found";
    expect(await client.call("AddTracingPolicy", { yaml: POLICY })).toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: "TracingPolicy/creds: spec.kprobes[0] commit_creds: not found",
    });
    expect((await client.call("ListTracingPolicies")).policies).toEqual([]);
  });

  test("that are unknown are not found", async () => {
    const error = await client.call("DeleteTracingPolicy", { name: "a", namespace: "b" });
    expect(error).toMatchObject({ code: status.NOT_FOUND });
    expect(error.details).toBe("there is no TracingPolicyNamespaced/b/a on this node");
  });
});

describe("the agent", () => {
  test("is healthy until something is wrong", async () => {
    expect(await client.call("GetHealth")).toMatchObject({
      healthStatus: [{ event: 1, status: 1, details: "running" }],
    });
    api.checks.live.ring = () => "stands still";
    expect(await client.call("GetHealth")).toMatchObject({
      healthStatus: [{ status: 3, details: "ring: stands still" }],
    });
  });

  test("shows and changes its log level", async () => {
    expect(await client.call("GetDebug")).toMatchObject({ arg: { case: "level", value: 2 } });
    await client.call("SetDebug", { level: "LOG_LEVEL_DEBUG" });
    expect(api.logger.level).toBe("debug");
  });

  test("shows its process cache", async () => {
    const { arg } = await client.call("GetDebug", { flag: "CONFIG_FLAG_DUMP_PROCESS_CACHE" });
    expect(arg.value.processes).toMatchObject([
      { process: { binary: "/bin/sh", pid: 10 }, color: "inUse", refcnt: 1 },
    ]);
  });

  test("shows of its process cache what is asked for", async () => {
    const ended = { pid: 11, seq: 1, ktimeNs: 40_000_000n };
    api.pipeline.handleBatch(
      makeBatch(makeExec({ ...ended, filename: "/bin/id", parentPid: 10 }), makeExit({ ...ended, code: 0 })),
    );
    const binaries = async (dump: object) => {
      const { arg } = await client.call("GetDebug", { flag: "CONFIG_FLAG_DUMP_PROCESS_CACHE", dump });
      return arg.value.processes.map(({ process }: { process: { binary: string } }) => process.binary);
    };
    expect(await binaries({})).toEqual(["/bin/sh", "/bin/id"]);
    expect(await binaries({ skip_zero_refcnt: true })).toEqual(["/bin/sh"]);
    expect(await binaries({ exclude_execve_map_processes: true })).toEqual(["/bin/id"]);
  });

  test("shows features and settings", async () => {
    const info = await client.call("GetInfo");
    expect(info.probes).toMatchObject([
      { Name: "btf", Enabled: true },
      { Name: "bpfLsm", Enabled: false },
    ]);
    expect(info.conf).toMatchObject([
      { key: "node-name", value: { typeUrl: "type.googleapis.com/google.protobuf.StringValue" } },
    ]);
  });

  test.each(["ListSensors", "EnableSensor", "RemoveSensor", "EnableTracingPolicy"])(
    "%s is deprecated",
    async (method) => {
      expect(await client.call(method)).toMatchObject({
        code: status.UNKNOWN,
        details: `${method} is deprecated`,
      });
    },
  );

  test("shows and changes the rotation of its event log", async () => {
    const rotation = { maxBytes: 10 << 20, intervalMs: 90_000, maxBackups: 5, compress: true };
    const eventLog = { rotation, changeRotation: (change: object) => void Object.assign(rotation, change) };
    const other = await makeApi({ eventLog });
    const to = new TestClient(other.socket);
    const log = (method: string, request = {}) => to.call(method, request, "tetragon.EventLogService");
    expect(await log("GetEventLogParams")).toMatchObject({
      maxSize: 10,
      rotationInterval: "1m30s",
      maxBackups: 5,
    });
    await log("SetEventLogParams", { rotation_interval: "1h30m", max_size: 20 });
    expect(rotation).toEqual({ maxBytes: 20 << 20, intervalMs: 5_400_000, maxBackups: 5, compress: true });
    expect(await log("GetEventLogParams")).toMatchObject({ rotationInterval: "1h30m0s" });
    await log("SetEventLogParams", { rotation_interval: "0" });
    expect(await log("GetEventLogParams")).toMatchObject({ rotationInterval: "0s" });
    const refused = await log("SetEventLogParams", { rotation_interval: "soon" });
    expect(refused).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(refused.details).toBe('rotation_interval: "soon" is no duration, for example 1h30m');
    to.close();
    await other.close();
  });

  test("has no event log to rotate", async () => {
    const error = await client.call("GetEventLogParams", {}, "tetragon.EventLogService");
    expect(error).toMatchObject({ code: status.FAILED_PRECONDITION });
  });
});
