import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AGENT_COMPONENT, LABELS } from "../crds/names.ts";
import { decodeSpec } from "../crds/spec-config-map.ts";
import type { Stored } from "../lib/testing/memory-api.ts";
import { conditionOf, type PolicyStatus } from "./status/policy-status.ts";
import { makePolicyObject, NAMESPACE, pass, startWorld, type World } from "./testing/world.ts";

let world: World;
beforeEach(() => {
  world = startWorld();
});
afterEach(() => world.end());

/** Selectors on 64 paths of 204 bytes, on every system call. */
function makeLargePolicy(selectors: number): Stored {
  const path = (n: number) => `/${String(n).padStart(3, "0")}`.padEnd(204, "x");
  const select = (s: number) => ({
    matchBinaries: [{ operator: "In", values: Array.from({ length: 64 }, (_, i) => path(64 * s + i)) }],
  });
  const kprobe = {
    call: "list:all",
    syscall: true,
    selectors: Array.from({ length: selectors }, (_, s) => select(s)),
  };
  const spec = { lists: [{ name: "all", type: "generated_syscalls" }], kprobes: [kprobe] };
  return { ...makePolicyObject("sys_setuid"), spec };
}

function ready() {
  const { status } = world.api.list("tracingpolicies")[0] ?? {};
  return conditionOf((status as PolicyStatus | undefined)?.conditions, "Ready");
}

describe("a policy of 13.5 KB that makes 381 hooks of 5.1 MB", () => {
  test("is distributed once, in a ConfigMap that agents can read", async () => {
    world.api.put("tracingpolicies", makeLargePolicy(1));
    await pass(60_000);
    const [object, ...others] = world.api.list("configmaps");
    expect(others).toEqual([]);
    expect(object && decodeSpec(object.metadata.name, object)).toMatchObject({ ok: true });
    expect(world.api.writes.filter(({ path }) => path.includes("configmaps"))).toHaveLength(1);
    expect(ready()?.reason).toBe("NoNodes");
  });
});

test("a policy that is too large is refused in its status, and not distributed", async () => {
  world.api.put("tracingpolicies", makeLargePolicy(5));
  await pass(5_000);
  expect(world.api.list("configmaps")).toEqual([]);
  expect(ready()).toMatchObject({
    status: "False",
    reason: "InvalidSpec",
    message: expect.stringMatching(
      /^spec: compiles to too much.*at most 16384 KiB are allowed; shorten/,
    ) as string,
  });
});

test("a policy whose ConfigMap does not stay as written says so, until it does", async () => {
  const { api } = world;
  api.react = ({ after }, location) => {
    if (after && location.startsWith("configmaps")) api.remove("configmaps", after.metadata.name);
  };
  api.put("tracingpolicies", makePolicyObject("sys_setuid"));
  await pass(20_000);
  expect(ready()).toMatchObject({
    status: "False",
    reason: "DistributionFailed",
    message: expect.stringContaining("does not stay as the operator writes it") as string,
  });
  api.react = () => {};
  await pass(60_000);
  expect(ready()?.reason).toBe("NoNodes");
  expect(api.list("configmaps")).toHaveLength(1);
});

describe("a ConfigMap that another operator creates at the same moment", () => {
  /** Its creation arrives just before ours. */
  function startRival(change: (object: Stored) => void = () => {}): void {
    world.api.refuse = (request) => {
      if (request.method !== "POST" || !request.path.endsWith("/configmaps")) return undefined;
      const object = structuredClone(request.body) as Stored;
      change(object);
      world.api.refuse = () => undefined;
      world.api.put("configmaps", object);
      return 409;
    };
  }

  test("is success when it has the same content", async () => {
    startRival();
    world.api.put("tracingpolicies", makePolicyObject("sys_setuid"));
    await pass(5_000);
    expect(world.api.list("configmaps")).toHaveLength(1);
    expect(ready()?.reason).toBe("NoNodes");
    const reasons = world.api.list("events").map((event) => (event as { reason?: string }).reason);
    expect(reasons).not.toContain("DistributionFailed");
  });

  test("is reported when it has another one, and replaced", async () => {
    startRival((object) => (object.data = { "hook-spec.json": "{}" }));
    world.api.put("tracingpolicies", makePolicyObject("sys_setuid"));
    await pass(30_000);
    const [object] = world.api.list("configmaps");
    expect(object && decodeSpec(object.metadata.name, object)).toMatchObject({ ok: true });
    expect(ready()?.reason).toBe("NoNodes");
  });
});

test("the time from the last report to Ready is measured", async () => {
  const { api, registry } = world;
  const labels = { [LABELS.name]: "trigon", [LABELS.component]: AGENT_COMPONENT };
  const pod = { metadata: { name: "agent", namespace: NAMESPACE, labels }, spec: { nodeName: "a" } };
  api.put("pods", { ...pod, status: { conditions: [{ type: "Ready", status: "True" }] } });
  api.put("tracingpolicies", makePolicyObject("sys_setuid"));
  await pass(5_000);
  expect(ready()?.reason).toBe("RollingOut");
  const [spec] = api.list("configmaps");
  const hash = spec?.metadata.labels?.[LABELS.specHash]?.slice(0, 12);
  api.put("tracingnodes", {
    metadata: { name: "a" },
    status: { attached: { p: `${hash} kprobe×1` }, policies: [] },
  });
  await pass(2_000);
  expect(ready()?.reason).toBe("Attached");
  const lines = (await registry.metrics()).match(/^trigon_operator_ready_delay_seconds_(?:count|sum) .*$/gm);
  expect(lines).toEqual([
    expect.stringMatching(/_sum 0\.\d+$/) as string,
    "trigon_operator_ready_delay_seconds_count 1",
  ]);
});

test("a missing definition of TracingNodes is reported, and nothing that may run is removed", async () => {
  world.api.refuse = ({ path }) => (path.includes("tracingnodes") ? 404 : undefined);
  world.api.put("tracingpolicies", makePolicyObject("sys_setuid"));
  await pass(10_000);
  expect(ready()).toMatchObject({ status: "False", reason: "ReportsMissing" });
  expect(ready()?.message).toMatch(/^The CustomResourceDefinition tracingnodes.trigon.dev is not installed/);
  world.api.edit("tracingpolicies", "p", (policy) => (policy.spec = makePolicyObject("sys_setgid").spec));
  await pass(10_000);
  expect(world.api.list("configmaps")).toHaveLength(2);
  world.api.refuse = () => undefined;
  await pass(30_000);
  expect(ready()).toMatchObject({ status: "Unknown", reason: "NoNodes" });
});

test("statuses are written as soon as an API server is back, however long it was away", async () => {
  world.api.put("tracingpolicies", makePolicyObject("sys_setuid"));
  await pass(3_000);
  world.api.refuse = ({ path, method }) => (method !== "GET" && path.endsWith("/status") ? 503 : undefined);
  world.api.edit("tracingpolicies", "p", (policy) => (policy.spec = makePolicyObject("sys_setgid").spec));
  await pass(300_000);
  world.api.refuse = ({ path }) => (path.includes("pods") || path.endsWith("/status") ? 503 : undefined);
  world.api.breakWatches();
  await pass(20_000);
  world.api.refuse = () => undefined;
  await pass(17_000); // the longest pause of a watch, and the write
  expect(ready()?.observedGeneration).toBe(2);
});

test("a replica that may not write for a while waits in silence, and writes the status when it leads again", async () => {
  world.leads = false;
  world.api.put("tracingpolicies", makePolicyObject("sys_setuid"));
  await pass(3_000);
  world.leads = true;
  await pass(3_000);
  expect(ready()?.reason).toBe("NoNodes");

  world.leads = false;
  world.api.edit("tracingpolicies", "p", (policy) => (policy.spec = makePolicyObject("sys_setgid").spec));
  await pass(60_000);
  expect(world.warnings).toEqual([]);
  expect(ready()?.observedGeneration).toBe(1);
  world.leads = true;
  await pass(5_000);
  expect(ready()).toMatchObject({ reason: "NoNodes", observedGeneration: 2 });
});
