import { once } from "node:events";
import { statSync } from "node:fs";
import { connect } from "node:net";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { messageType, serviceType } from "../../proto/descriptors.ts";
import { makeHit } from "../events/testing/pipeline.ts";
import { credSlot, makeBatch } from "../records/testing/records.ts";
import { makeApi, type TestApi, TestClient } from "./testing/api.ts";
import { maximal } from "./testing/maximal.ts";

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

  test("garbage ends the connection that sends it, and no other", async () => {
    const garbage = connect(api.socket);
    garbage.on("error", () => {});
    garbage.write(Buffer.alloc(100_000, "no HTTP/2 at all\r\n\r\n"));
    await new Promise((resolve) => garbage.once("close", resolve));
    expect(await client.call("GetVersion")).toMatchObject({ version: "1.2.3" });
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

  test.each([
    [{ allow_list: [{ binary_regex: ["/bin/sh", "("] }] }, "allow_list[0].binary_regex[1]: "],
    [{ deny_list: [{}, { labels: ["a=b", "a=b=c"] }] }, "deny_list[1].labels[1]: "],
    [{ allow_list: [{ cel_expression: ["process_exec.("] }] }, "allow_list[0].cel_expression[0]: "],
    [
      { field_filters: [{ fields: "process.nothing" }] },
      'field_filters[0].fields: there is no field "process.nothing"',
    ],
  ])("an invalid filter is refused with its place: %j", async (request, details) => {
    const error = await client.failure(request);
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.details).toContain(details);
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
    await client.call("ConfigureTracingPolicy", { name: "creds", enable: true, mode: "TP_MODE_MONITOR" });
    expect(api.kernel.modes.get("TracingPolicy/creds")).toBe("monitor");
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

  const kept = { ref: { kind: "TracingPolicy" as const, name: "creds" }, hash: "h", origin: "ConfigMap a/b" };
  const k8s = {
    name: "ConfigMaps",
    desired: () => new Map([["TracingPolicy/creds", { ...kept, problem: "none" }]]),
    onChange: () => {},
    close: () => {},
  };

  test("of another domain are neither replaced nor deleted", async () => {
    const other = await makeApi({ others: [k8s] });
    const to = new TestClient(other.socket);
    const added = await to.call("AddTracingPolicy", { yaml: POLICY });
    expect(added).toMatchObject({ code: status.ALREADY_EXISTS });
    expect(added.details).toBe("TracingPolicy/creds is already given by ConfigMap a/b");
    expect(await to.call("DeleteTracingPolicy", { name: "creds" })).toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: "TracingPolicy/creds is of domain k8s: it goes when ConfigMap a/b does",
    });
    to.close();
    await other.close();
  });

  test("that do not attach are not kept, and the client learns why", async () => {
    api.kernel.fails = () => "spec.kprobes[0] commit_creds: not found";
    expect(await client.call("AddTracingPolicy", { yaml: POLICY })).toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: "TracingPolicy/creds: spec.kprobes[0] commit_creds: not found",
    });
    expect((await client.call("ListTracingPolicies")).policies).toEqual([]);
  });

  const refused: Record<string, { yaml: string; domain?: string; details: string }> = {
    "no YAML": { yaml: "a: [", details: "line 1" },
    "nothing at all": { yaml: "", details: "is empty" },
    "a wrong type": {
      yaml: POLICY.replace("type: cred", "type: credd"),
      details: "spec.kprobes[0].args[0].type: ",
    },
    "two policies": { yaml: `${POLICY}---\n${POLICY}`, details: "has 2 policies: expected one" },
    "900 KB of comments without a policy": { yaml: `# ${"x".repeat(900_000)}\n`, details: "is empty" },
    "more than a megabyte": { yaml: "x".repeat(1_100_000), details: "yaml: has 1100000 bytes" },
    "a reserved domain": { yaml: POLICY, domain: "k8s", details: "domain: k8s is reserved" },
  };
  test.each(Object.entries(refused))("%s is refused", async (_name, { details, ...request }) => {
    const error = await client.call("AddTracingPolicy", request);
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.details).toContain(details);
  });

  test("900 KB of a policy are taken", async () => {
    const yaml = `${POLICY}# ${"x".repeat(900_000)}\n`;
    expect(await client.call("AddTracingPolicy", { yaml })).not.toHaveProperty("code");
  });

  test("a request that is larger than any may be is refused", async () => {
    const error = await client.call("AddTracingPolicy", { yaml: "x".repeat(5 << 20) });
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
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
    api.health.ring = () => "stands still";
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
      rotationInterval: "90s",
      maxBackups: 5,
    });
    await log("SetEventLogParams", { rotation_interval: "1h30m", max_size: 20 });
    expect(rotation).toEqual({ maxBytes: 20 << 20, intervalMs: 5_400_000, maxBackups: 5, compress: true });
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

const UNARY = ["tetragon.FineGuidanceSensors", "tetragon.EventLogService"].flatMap((service) =>
  serviceType(service)
    .methods.filter(({ methodKind }) => methodKind === "unary")
    .map(({ name, input }) => ({ service, name, input })),
);

test.each(UNARY)(
  "$name with every field at its end is answered, and nothing else is affected",
  async (method) => {
    const answer = await client.call(method.name, maximal(method.input), method.service);
    expect(answer.code).not.toBe(status.INTERNAL);
    expect(answer.details ?? "").not.toMatch(/TypeError|RangeError|undefined/);
    expect(await client.call("GetVersion")).toMatchObject({ version: "1.2.3" });
  },
);

test("GetEvents with every field at its end is refused by the name of a field", async () => {
  const request = maximal(messageType("tetragon.GetEventsRequest"));
  const { code, details } = await client.failure(request);
  expect(code).toBe(status.INVALID_ARGUMENT);
  expect(details).toMatch(/^(allow_list|deny_list|field_filters)\[0\]/);
  expect(details.length).toBeLessThan(5_000);
});
