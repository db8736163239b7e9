import { Registry } from "prom-client";
import { beforeEach, expect, test } from "vitest";
import type { PolicyRef } from "../crds/names.ts";
import { HookMetrics } from "./hook-metrics.ts";
import type { AttachedHook, HookStats } from "./hooks/engine.ts";
import type { PolicyOutcome } from "./state/outcome.ts";
import { makeHookDef } from "./test-data.ts";

const policy: PolicyRef = { kind: "TracingPolicy", name: "p" };
let hooks: AttachedHook[];
let outcomes: PolicyOutcome[];
let registry: Registry;
let metrics: HookMetrics;

beforeEach(() => {
  hooks = [];
  outcomes = [{ ref: policy, specHash: "h", state: "Attached", hooks: [] }];
  registry = new Registry();
  metrics = new HookMetrics(registry, {
    attachedHooks: () => hooks.map((hook) => ({ policy, hook })),
    outcomes: () => outcomes,
  });
});

function makeHook(id: number, stats: Partial<HookStats>): AttachedHook {
  const zero: HookStats = { hits: 0, posted: 0, lost: 0, rateLimited: 0, errors: 0, missed: 0 };
  return {
    id,
    def: makeHookDef("sys_setuid", 0),
    status: { path: "spec.kprobes[0]", call: "sys_setuid", state: "Attached", attach: "fentry" },
    functionName: "__x64_sys_setuid",
    stats: () => ({ ...zero, ...stats }),
    memoryBytes: () => 4096,
    detach: () => {},
  };
}

/** Value of a series, after the scrape before has been forgotten. */
async function scrape(series: string): Promise<string | undefined> {
  await new Promise((resolve) => setImmediate(resolve));
  const line = (await registry.metrics()).split("\n").find((text) => text.startsWith(series));
  return line?.slice(line.lastIndexOf(" ") + 1);
}

const LABELS = `{policy="p",policy_namespace="",hook="kprobe:__x64_sys_setuid"}`;

test("counts are read from the kernel at each scrape", async () => {
  hooks = [makeHook(1, { hits: 5, lost: 2 })];
  expect(await scrape(`trigon_hook_hits_total${LABELS}`)).toBe("5");
  expect(await scrape(`trigon_hook_records_lost_total${LABELS}`)).toBe("2");
  hooks = [makeHook(1, { hits: 7 })];
  expect(await scrape(`trigon_hook_hits_total${LABELS}`)).toBe("7");
});

test("counts go on when a hook is replaced by its next version", async () => {
  const old = makeHook(1, { hits: 5 });
  metrics.settle(policy, old);
  hooks = [makeHook(2, { hits: 1 })];
  expect(await scrape(`trigon_hook_hits_total${LABELS}`)).toBe("6");
});

test("counts end with their policy", async () => {
  hooks = [makeHook(1, { hits: 5 })];
  await scrape("trigon");
  hooks = [];
  outcomes = [];
  expect(await scrape(`trigon_hook_hits_total${LABELS}`)).toBeUndefined();
});

test("hooks are shown with how they are attached, policies with state and memory", async () => {
  hooks = [makeHook(1, {}), makeHook(2, {})];
  expect(await scrape(`trigon_hook_attached${LABELS.slice(0, -1)},attach="fentry"}`)).toBe("2");
  expect(await scrape(`trigon_tracingpolicy_kernel_memory_bytes{policy="p",policy_namespace=""}`)).toBe(
    "8192",
  );
  expect(await scrape(`trigon_tracingpolicy_loaded{state="Attached"}`)).toBe("1");
});
