import { Registry } from "prom-client";
import { expect, test } from "vitest";
import type { PolicyRef } from "../../crds/names.ts";
import { metricsText } from "../../lib/testing/metrics.ts";
import { makeAttachedHook } from "../policies/testing/policies.ts";
import { registerHookMetrics } from "./hook-metrics.ts";

const policy: PolicyRef = { kind: "TracingPolicyNamespaced", namespace: "shop", name: "p" };

test("hooks are shown with how they are attached, policies with memory and state", async () => {
  const registry = new Registry();
  let hooks = [makeAttachedHook("sys_setuid"), makeAttachedHook("sys_setgid")];
  registerHookMetrics(registry, {
    attachedHooks: () => hooks.map((hook) => ({ policy, hook })),
    outcomes: () => [{ ref: policy, specHash: "h", state: "Attached", hooks: [] }],
  });
  const text = await registry.metrics();
  expect(text).toContain(
    'trigon_hook_attached{policy="p",policy_namespace="shop",hook="kprobe:__x64_sys_setgid",attach="fentry"} 1',
  );
  expect(text).toContain(
    'trigon_hook_attach_seconds{policy="p",policy_namespace="shop",hook="kprobe:__x64_sys_setuid"} 1.5',
  );
  expect(text).toContain('trigon_tracingpolicy_loaded{state="load_error"} 0');
  expect(text).toContain('trigon_tracingpolicy_kernel_memory_bytes{policy="p",policy_namespace="shop"} 8192');
  expect(text).toContain('trigon_tracingpolicy_loaded{state="enabled"} 1');

  hooks = [];
  expect(await registry.metrics()).not.toContain("trigon_hook_attached{");
});

test("hooks of a policy on the same function are one series of each gauge", async () => {
  const registry = new Registry();
  const hooks = ["sys_setuid", "sys_setuid"].map((call) => ({ policy, hook: makeAttachedHook(call) }));
  registerHookMetrics(registry, { attachedHooks: () => hooks, outcomes: () => [] });
  const series = (await metricsText(registry)).split("\n").filter((line) => line.startsWith("trigon_hook_"));
  const labels = 'policy="p",policy_namespace="shop",hook="kprobe:__x64_sys_setuid"';
  expect(series).toEqual([
    `trigon_hook_attached{${labels},attach="fentry"} 2`,
    `trigon_hook_attach_seconds{${labels}} 3`,
    `trigon_hook_kernel_memory_bytes{${labels}} 8192`,
  ]);
});

test.each([
  [{ state: "Attached" }, "enabled"],
  [{ state: "PartiallyAttached", reason: "HookNotFound" }, "partially_enabled"],
  [{ state: "Failed" }, "load_error"],
  [{ state: "Skipped", reason: "Disabled" }, "disabled"],
  [{ state: "Skipped", reason: "NodeNotSelected" }, "skipped"],
  [{ state: "Pending" }, "loading"],
] as const)("%o is counted as %s", async (outcome, state) => {
  const registry = new Registry();
  registerHookMetrics(registry, { attachedHooks: () => [], outcomes: () => [outcome] as never });
  const text = await registry.getSingleMetricAsString("trigon_tracingpolicy_loaded");
  const counted = text.split("\n").filter((line) => line.endsWith(" 1"));
  expect(counted).toEqual([`trigon_tracingpolicy_loaded{state="${state}"} 1`]);
});
