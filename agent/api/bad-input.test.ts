/** What clients send that is wrong: each gets a clear answer, and a client that does everything right notices nothing. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { messageType, serviceType } from "../../proto/descriptors.ts";
import { makeHit } from "../events/testing/pipeline.ts";
import { credSlot, makeBatch } from "../records/testing/records.ts";
import { makeApi, type TestApi, TestClient } from "./testing/api.ts";
import { maximal } from "./testing/maximal.ts";
import { frame, rawCall } from "./testing/raw-call.ts";

const SENSORS = "/tetragon.FineGuidanceSensors";
const HTTP2_PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const policy = (name: string, more = "") => `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: ${name}}
spec:
  kprobes:
  - {call: commit_creds, syscall: false, args: [{index: 0, type: cred}]}
${more}`;

const hooks = (count: number) =>
  Array.from({ length: count }, (_, i) => `  - {call: function_${i}, syscall: false}\n`).join("");

/** Of a policy that another source gives. */
const kept = { ref: { kind: "TracingPolicy" as const, name: "kept" }, hash: "h", origin: "ConfigMap a/b" };
const others = [
  {
    name: "ConfigMaps",
    desired: () => new Map([["TracingPolicy/kept", { ...kept, problem: "none" }]]),
    onChange: () => {},
    close: () => {},
  },
];

let api: TestApi;
let client: TestClient;
let bystander: TestClient;
let uids: number[];
let before: object[];

beforeAll(async () => {
  api = await makeApi({ others });
  client = new TestClient(api.socket);
  bystander = new TestClient(api.socket);
  uids = [];
  const stream = await bystander.events();
  stream.on("data", ({ event }) => uids.push(event.value.args[0].arg.value.uid));
  await bystander.call("AddTracingPolicy", { yaml: policy("good"), domain: "mine" });
  before = (await bystander.call("ListTracingPolicies")).policies;
  expect(before).toMatchObject([{ name: "good", state: 1 }, { name: "kept" }]);
});
afterAll(async () => {
  client.close();
  bystander.close();
  await api.close();
});

/** The bystander reads each event, its calls are answered, and its policy runs on. */
afterEach(async () => {
  const uid = uids.length;
  api.pipeline.handleBatch(makeBatch(makeHit([credSlot({ uid })])));
  await expect.poll(() => uids.at(-1)).toBe(uid);
  expect(uids).toHaveLength(uid + 1);
  expect((await bystander.call("ListTracingPolicies")).policies).toEqual(before);
  expect(api.counts).toMatchObject({ open: 1, lost: 0 });
});

describe("garbage on the socket", () => {
  const garbage: Record<string, string | Buffer> = {
    "text that is no HTTP/2": Buffer.alloc(100_000, "no HTTP/2 at all\r\n\r\n"),
    "a request of HTTP/1.1": "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n",
    "a greeting of TLS": Buffer.concat([Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]), randomBytes(517)]),
    "frames of random bytes": Buffer.concat([Buffer.from(HTTP2_PREFACE), Buffer.alloc(10_000, 0xff)]),
  };
  test.each(Object.entries(garbage))("%s ends its own connection", async (_name, bytes) => {
    const socket = connect(api.socket);
    socket.on("error", () => {}).resume();
    socket.write(bytes);
    await once(socket, "close");
  });

  test("a connection that never says anything is left alone", async () => {
    const socket = connect(api.socket);
    await once(socket, "connect");
    expect(await client.call("GetVersion")).toMatchObject({ version: "1.2.3" });
    socket.destroy();
  });

  test("a call that the API does not have is not implemented", async () => {
    for (const path of [`${SENSORS}/GetStackTraceTree`, "/tetragon.Nothing/GetEvents", "/"])
      expect(await rawCall(api.socket, path, frame(Buffer.alloc(0)))).toMatchObject({
        code: status.UNIMPLEMENTED,
        details: expect.stringContaining(path),
      });
  });

  const messages: Record<string, { body: Buffer; code: status; details: string }> = {
    "bytes that are no protobuf": {
      body: frame(Buffer.alloc(100, 0xff)),
      code: status.INVALID_ARGUMENT,
      details: "the request cannot be read: ",
    },
    "text that is no UTF-8": {
      body: frame(Buffer.from([0x0a, 2, 0xff, 0xff])),
      code: status.INVALID_ARGUMENT,
      details: "the request cannot be read: ",
    },
    "a message shorter than it says": {
      body: frame(Buffer.alloc(3), { length: 1_000 }),
      code: status.UNIMPLEMENTED,
      details: "no request message",
    },
    "a message that says it is compressed": {
      body: frame(Buffer.alloc(3), { flag: 1 }),
      code: status.INVALID_ARGUMENT,
      details: "the request cannot be read: ",
    },
    "a message that says it has 4 GiB": {
      body: frame(Buffer.alloc(3), { length: 0xffff_ffff }),
      code: status.RESOURCE_EXHAUSTED,
      details: "4294967295",
    },
  };
  test.each(Object.entries(messages))("%s is refused", async (_name, { body, code, details }) => {
    const answer = await rawCall(api.socket, `${SENSORS}/AddTracingPolicy`, body);
    expect(answer).toMatchObject({ code, details: expect.stringContaining(details) });
  });
});

const UNARY = ["tetragon.FineGuidanceSensors", "tetragon.EventLogService"].flatMap((service) =>
  serviceType(service)
    .methods.filter(({ methodKind }) => methodKind === "unary")
    .map(({ name, input }) => ({ service, name, input })),
);

describe("every field at its end", () => {
  test.each(UNARY)("$name is answered", async ({ name, input, service }) => {
    const answer = await client.call(name, maximal(input), service);
    expect(answer.code).not.toBe(status.INTERNAL);
    expect(answer.details ?? "").not.toMatch(/TypeError|RangeError|undefined/);
  });

  test("GetEvents is refused by the name of a field", async () => {
    const { code, details } = await client.failure(maximal(messageType("tetragon.GetEventsRequest")));
    expect(code).toBe(status.INVALID_ARGUMENT);
    expect(details).toMatch(/^(allow_list|deny_list|field_filters)\[0\]/);
    expect(details.length).toBeLessThan(5_000);
  });
});

describe("AddTracingPolicy", () => {
  const refused: Record<string, { yaml: string; domain?: string; details: string; code?: status }> = {
    "no YAML": { yaml: "a: [", details: "line 1" },
    "nothing at all": { yaml: "", details: "is empty" },
    "bytes of no text": { yaml: "\0\x01\u{fffd}", details: "line 1" },
    "a wrong type": {
      yaml: policy("a").replace("type: cred", "type: credd"),
      details: "spec.kprobes[0].args[0].type: ",
    },
    "two policies": { yaml: `${policy("a")}---\n${policy("b")}`, details: "has 2 policies: expected one" },
    "900 KB of comments without a policy": { yaml: `# ${"x".repeat(900_000)}\n`, details: "is empty" },
    "900 KB of hooks": { yaml: policy("a", hooks(22_000)), details: "spec.kprobes" },
    "aliases that stand for more than memory holds": {
      yaml: `a: &a [1,1,1,1,1,1,1,1,1]\n${"bcdefghijk"
        .split("")
        .map((name, i) => `${name}: &${name} [${`*${"abcdefghij"[i]},`.repeat(9)}]\n`)
        .join("")}`,
      details: "",
    },
    "more than a megabyte": { yaml: "x".repeat(1_100_000), details: "yaml: has 1100000 bytes" },
    "a reserved domain": { yaml: policy("a"), domain: "k8s", details: "domain: k8s is reserved" },
    "a name that the cluster uses": {
      yaml: policy("kept"),
      details: "TracingPolicy/kept is already given by ConfigMap a/b",
      code: status.ALREADY_EXISTS,
    },
    "a name that another domain uses": {
      yaml: policy("good"),
      domain: "other",
      details: "TracingPolicy/good is already given by gRPC, domain mine",
      code: status.ALREADY_EXISTS,
    },
  };
  test.each(Object.entries(refused))("%s is refused", async (_name, row) => {
    const { details, code = status.INVALID_ARGUMENT, ...request } = row;
    const error = await client.call("AddTracingPolicy", request);
    expect(error.code).toBe(code);
    expect(error.details).toContain(details);
    expect(error.details.length).toBeLessThan(5_000);
  });

  test("900 KB with one policy in it is taken", async () => {
    const yaml = `${policy("large")}# ${"x".repeat(900_000)}\n`;
    expect(await client.call("AddTracingPolicy", { yaml })).not.toHaveProperty("code");
    await client.call("DeleteTracingPolicy", { name: "large" });
  });

  test("a request that is larger than any may be is refused", async () => {
    const error = await client.call("AddTracingPolicy", { yaml: "x".repeat(5 << 20) });
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
  });
});

describe("another domain's policy", () => {
  test("is not deleted", async () => {
    expect(await client.call("DeleteTracingPolicy", { name: "kept" })).toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: "TracingPolicy/kept is of domain k8s: it goes when ConfigMap a/b does",
    });
  });

  test.each([
    ["DeleteTracingPolicy", {}],
    ["ConfigureTracingPolicy", { enable: false }],
  ])("is not found by %s under a domain of the client", async (method, change) => {
    expect(await client.call(method, { name: "good", domain: "other", ...change })).toMatchObject({
      code: status.NOT_FOUND,
      details: "there is no TracingPolicy/good in the domain other: it is in mine",
    });
  });
});

describe("a filter", () => {
  test.each(["process.execId", "process..pid", "process.pid "])(
    "with the field %j is refused by its name",
    async (path) => {
      const mask = Buffer.concat([Buffer.from([0x0a, path.length]), Buffer.from(path)]);
      const filter = Buffer.concat([Buffer.from([0x12, mask.length]), mask]);
      const request = Buffer.concat([Buffer.from([0x22, filter.length]), filter]);
      const answer = await rawCall(api.socket, `${SENSORS}/GetEvents`, frame(request));
      expect(answer).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining(path) });
    },
  );

  const refused: [request: object, details: string][] = [
    [{ allow_list: [{ binary_regex: ["/bin/sh", "("] }] }, "allow_list[0].binary_regex[1]: "],
    [{ deny_list: [{ namespace_regex: ["[b-a]"] }] }, "deny_list[0].namespace_regex[0]: "],
    [{ deny_list: [{}, { labels: ["a=b", "a=b=c"] }] }, "deny_list[1].labels[1]: "],
    [{ allow_list: [{ cel_expression: ["process_exec.("] }] }, "allow_list[0].cel_expression[0]: "],
    [{ allow_list: [{ cel_expression: ["1 + 1"] }] }, "allow_list[0].cel_expression[0]: "],
    [{ allow_list: [{ cel_expression: ["nothing.there == 1"] }] }, "allow_list[0].cel_expression[0]: "],
    [
      { field_filters: [{ fields: "process.nothing" }] },
      'field_filters[0].fields: there is no field "process.nothing"',
    ],
  ];
  test.each(refused)("that is invalid is refused by its name: %j", async (request, details) => {
    const error = await client.failure(request);
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.details).toContain(details);
  });
});
