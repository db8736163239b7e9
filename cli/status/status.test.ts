import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FullPolicy, writeNodePolicies } from "../../crds/node-policies.ts";
import { runCommand } from "../program.ts";
import { TestStreams } from "../testing/streams.ts";

const TRACING = "/apis/cilium.io/v1alpha1";
const PODS = "/api/v1/namespaces/trigon-system/pods";

let server: Server;
let directory: string;
/** What the API server answers by path; a text is sent as it is. */
let answers: Record<string, object[] | string>;

beforeEach(async () => {
  answers = {
    [`${TRACING}/tracingpolicies`]: [],
    [`${TRACING}/tracingpoliciesnamespaced`]: [],
    "/apis/trigon.dev/v1alpha1/tracingnodes": [],
    [PODS]: [],
  };
  server = createServer((request, response) => {
    const answer = answers[(request.url ?? "").split("?")[0] as string];
    if (answer === undefined) response.writeHead(403).end(JSON.stringify({ kind: "Status", message: "no" }));
    else response.end(typeof answer === "string" ? answer : JSON.stringify({ metadata: {}, items: answer }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  directory = mkdtempSync(join(tmpdir(), "trigon-status-"));
  const { port } = server.address() as AddressInfo;
  const config = {
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    clusters: [
      { name: "c", cluster: { "insecure-skip-tls-verify": true, server: `http://127.0.0.1:${port}` } },
    ],
    users: [{ name: "u", user: {} }],
  };
  writeFileSync(join(directory, "config"), JSON.stringify(config));
});
afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

async function run(...args: string[]) {
  const streams = new TestStreams();
  const status = await runCommand(
    ["status", "--kubeconfig", join(directory, "config"), ...args],
    "1.2.3",
    streams,
  );
  return { status, lines: streams.lines, errors: streams.errors };
}

function makePolicy(name: string, ready: string, changes: { generation?: number; namespace?: string } = {}) {
  const { generation = 1, namespace } = changes;
  const condition = {
    type: "Ready",
    status: ready,
    reason: ready === "True" ? "Attached" : "AttachFailed",
    message: "1 of 2 nodes failed",
    observedGeneration: 1,
  };
  return {
    metadata: { name, generation, ...(namespace && { namespace }) },
    status: { conditions: [condition], nodesSummary: "1/2", hooksSummary: "1/1" },
  };
}

function makeNode(name: string, policies: object[] = []) {
  const full = policies.map((policy) => ({ hooks: [], specHash: "0", attachedHash: "0", ...policy }));
  return {
    metadata: { name },
    status: {
      agentVersion: "0.1.0",
      kernel: { release: "6.1.0" },
      ...writeNodePolicies(full as unknown as FullPolicy[]),
    },
  };
}

function makeAgent(node: string) {
  return { metadata: { name: `agent-${node}` }, spec: { nodeName: node } };
}

const METRICS = `# HELP trigon_hook_lost_total Records.
trigon_hook_lost_total{policy="p",hook="a} b"} 3
trigon_hook_lost_total{policy="q"} 4
trigon_hook_missed_runs_total{policy="p"} 1e3
trigon_export_lost_events_total 2
trigon_events_total 9
`;

describe("a cluster", () => {
  test("is shown at a glance, and ready when every policy is", async () => {
    answers[`${TRACING}/tracingpolicies`] = [makePolicy("a", "True")];
    answers[`${TRACING}/tracingpoliciesnamespaced`] = [makePolicy("b", "True", { namespace: "shop" })];
    answers["/apis/trigon.dev/v1alpha1/tracingnodes"] = [
      makeNode("n1", [
        { kind: "TracingPolicy", name: "a", state: "Attached" },
        { kind: "TracingPolicy", name: "c", state: "Skipped" },
      ]),
    ];
    answers[PODS] = [makeAgent("n1")];
    answers[`${PODS}/agent-n1:2112/proxy/metrics`] = METRICS;
    expect(await run()).toEqual({
      status: 0,
      errors: [],
      lines: [
        "POLICY   READY   NODES   HOOKS   REASON",
        "a        True    1/2     1/1     Attached",
        "shop/b   True    1/2     1/1     Attached",
        "",
        "NODE   AGENT   KERNEL   POLICIES   LOST   MISSED   NOT EXPORTED",
        "n1     0.1.0   6.1.0    1/1        7      1000     2",
      ],
    });
  });

  test("names hooks that fail with node and reason", async () => {
    answers[`${TRACING}/tracingpolicies`] = [makePolicy("a", "False")];
    const hooks = [
      { path: "spec.kprobes[0]", call: "commit_creds", state: "Attached" },
      {
        path: "spec.kprobes[1]",
        call: "nothing",
        state: "NotFound",
        reason: "FunctionNotFound",
        message: "no such function",
      },
    ];
    answers["/apis/trigon.dev/v1alpha1/tracingnodes"] = [
      makeNode("n1", [{ kind: "TracingPolicy", name: "a", state: "Failed", hooks }]),
      makeNode("n2", [
        { kind: "TracingPolicy", name: "a", state: "Failed", message: "no memory", reason: "AttachFailed" },
      ]),
    ];
    const { status, lines } = await run();
    expect(status).toBe(1);
    expect(lines.slice(1, 5)).toEqual([
      "a        False   1/2     1/1     AttachFailed",
      "  1 of 2 nodes failed",
      "  n1: spec.kprobes[1] nothing (FunctionNotFound) no such function",
      "  n2: (AttachFailed) no memory",
    ]);
  });

  test("says why losses are unknown", async () => {
    answers["/apis/trigon.dev/v1alpha1/tracingnodes"] = [makeNode("n1"), makeNode("n2")];
    answers[PODS] = [makeAgent("n1")];
    const { lines, status } = await run();
    expect(lines).toContain(`  n1: losses are unknown: GET ${PODS}/agent-n1:2112/proxy/metrics: HTTP 403`);
    expect(lines).toContain("  n2: losses are unknown: no agent runs there");
    expect(status).toBe(0);
  });

  test("is not ready without an agent", async () => {
    const { lines, status } = await run();
    expect(lines.at(-1)).toBe("  no agent has reported yet");
    expect(status).toBe(1);
  });

  test("is not ready while the operator has not seen the newest edit", async () => {
    answers[`${TRACING}/tracingpolicies`] = [makePolicy("a", "True", { generation: 2 })];
    answers["/apis/trigon.dev/v1alpha1/tracingnodes"] = [makeNode("n1")];
    const { lines, status } = await run("-o", "json");
    expect(status).toBe(1);
    expect(JSON.parse(lines.join(""))).toMatchObject({
      ready: false,
      policies: [
        { name: "a", ready: "Unknown", reason: "Waiting", message: expect.stringContaining("newest") },
      ],
      nodes: [{ name: "n1", kernel: "6.1.0" }],
    });
  });

  test("is waited for", async () => {
    answers["/apis/trigon.dev/v1alpha1/tracingnodes"] = [makeNode("n1")];
    answers[`${TRACING}/tracingpolicies`] = [makePolicy("a", "False")];
    const done = run("--wait", "1m");
    answers[`${TRACING}/tracingpolicies`] = [makePolicy("a", "True")];
    expect((await done).status).toBe(0);
  });

  test("that refuses is an error", async () => {
    delete answers[`${TRACING}/tracingpolicies`];
    const { status, errors } = await run();
    expect(errors[0]).toContain(`GET ${TRACING}/tracingpolicies`);
    expect(status).toBe(1);
  });

  test("without a kubeconfig is a usage error", async () => {
    const streams = new TestStreams();
    expect(await runCommand(["status", "--kubeconfig", "/nowhere"], "1", streams)).toBe(2);
    expect(streams.errors).toEqual(["trigon: --kubeconfig: there is no file /nowhere"]);
  });
});
