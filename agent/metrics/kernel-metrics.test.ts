import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { metricsText } from "../../lib/testing/metrics.ts";
import { NO_STATS } from "../hooks/attach/hook-stats.ts";
import { NO_ACTIONS } from "../policies/testing/policies.ts";
import { type HookCounts, registerKernelMetrics } from "./kernel-metrics.ts";

const policy = { kind: "TracingPolicyNamespaced", namespace: "shop", name: "creds" } as const;
const hook = (changes: Partial<HookCounts> = {}): HookCounts => ({
  policy,
  hook: "kprobe:f",
  section: "kprobes",
  index: 0,
  ...NO_STATS,
  ...changes,
});

/** The lines of a metric without its name, those that are zero left out. */
async function samples(counts: HookCounts[], name: string): Promise<string[]> {
  const registry = new Registry();
  registerKernelMetrics(registry, async () => counts);
  const lines = (await metricsText(registry)).split("\n");
  const own = lines.filter((line) => line.startsWith(`trigon_${name}`) && !line.endsWith(" 0"));
  return own.map((line) => line.slice(`trigon_${name}`.length));
}

test("hooks with equal labels are summed", async () => {
  const counts = [hook({ lost: 2 }), hook({ lost: 5 })];
  expect(await samples(counts, "hook_lost_total")).toEqual([
    '{policy="creds",policy_namespace="shop",hook="kprobe:f"} 7',
  ]);
});

test("counts are read once per scrape, and again at the next", async () => {
  const registry = new Registry();
  let reads = 0;
  registerKernelMetrics(registry, async () => [hook({ posted: ++reads })]);
  const posted = async () => /^trigon_hook_posted_total.* (\d+)$/m.exec(await metricsText(registry))?.[1];
  expect(await posted()).toBe("1");
  expect(await posted()).toBe("2");
});

test("losses are also those of the whole ring, and by type of message", async () => {
  const counts = [
    hook({ posted: 3, lost: 1, errors: 4 }),
    hook({ section: "tracepoints", lost: 2 }),
    hook({ section: "lsmhooks", lost: 3 }),
    { hook: "process", ...NO_STATS, posted: 10, lost: 5 },
  ];
  expect(await samples(counts, "observer_ringbuf_events_received_total")).toEqual([" 13"]);
  expect(await samples(counts, "observer_ringbuf_events_lost_total")).toEqual([" 11"]);
  expect(await samples(counts, "bpf_missed_events_total")).toEqual([
    '{msg_op="13",error="ENOSPC"} 1',
    '{msg_op="13",error="unknown"} 4',
    '{msg_op="14",error="ENOSPC"} 2',
    '{msg_op="16",error="ENOSPC"} 3',
    '{msg_op="5",error="ENOSPC"} 5',
  ]);
});

test("missed runs stand under the function", async () => {
  expect(await samples([hook({ missed: 6 })], "missed_prog_probes_total")).toEqual([
    '{policy="creds",policy_namespace="shop",attach="f"} 6',
  ]);
});

test("the time of programs stands under sensor and function, where the kernel has measured it", async () => {
  const counts = [
    hook({ timedRuns: 4, runNs: 2_500_000_000 }),
    hook({ hook: "kprobe:g" }),
    { hook: "process", ...NO_STATS, timedRuns: 3, runNs: 9_000 },
  ];
  const ofHook =
    '{policy="creds",policy_namespace="shop",sensor="generic_kprobe",attach="f",section="kprobes"}';
  const ofProcesses = '{policy="",policy_namespace="",sensor="base",attach="process",section=""}';
  expect(await samples(counts, "overhead_program_runs_total")).toEqual([`${ofHook} 4`, `${ofProcesses} 3`]);
  expect(await samples(counts, "overhead_program_seconds_total")).toEqual([
    `${ofHook} 2.5`,
    `${ofProcesses} 0.000009`,
  ]);
});

test("actions are counted for each selector, with its place and label", async () => {
  const selectors = [
    { selector: "root", index: 0, label: "root", ...NO_ACTIONS, post: 2 },
    { selector: "1", index: 1, ...NO_ACTIONS, override: 3 },
  ];
  const where = 'policy="creds",policy_namespace="shop",hook="kprobe:f",hook_index="4"';
  expect(
    await samples([hook({ index: 4, actions: selectors })], "tracingpolicy_selector_actions_total"),
  ).toEqual([
    `{${where},selector_index="0",selector_label="root",action="post"} 2`,
    `{${where},selector_index="1",selector_label="",action="override"} 3`,
  ]);
});
