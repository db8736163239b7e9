/**
 * What a scrape costs the event loop: 50 policies of 8 hooks with two selectors each, and 1,000 series of pods. The kernel's
 * counters are read from memory here: reading them from maps comes on top, in turns as the rest.
 */
import type { Registry } from "prom-client";
import { makeHit, makePipeline } from "../agent/events/testing/pipeline.ts";
import { registerExportMetrics, registerProcessMetrics } from "../agent/metrics/agent-metrics.ts";
import { registerHookMetrics } from "../agent/metrics/hook-metrics.ts";
import { registerKernelMetrics } from "../agent/metrics/kernel-metrics.ts";
import { PodStore } from "../agent/pods/pod-store.ts";
import { makeAttachedHook, makeHookDef, NO_ACTIONS } from "../agent/policies/testing/policies.ts";
import { HookTotals } from "../agent/policies/totals.ts";
import { credSlot, makeBatch, makeExec } from "../agent/records/testing/records.ts";
import { createRegistry } from "../lib/metrics.ts";
import { renderMetrics } from "../lib/scraped-metrics.ts";
import { median } from "./report.ts";

const POLICIES = 50;
const HOOKS = 8;
const PODS = 1_000;
const SCRAPES = 50;

/** Prints one line. Turns are measured in CPU time: other load on the machine makes them no longer. */
export async function run(): Promise<void> {
  const registry = makeRegistry();
  for (let i = 0; i < 10; i++) await renderMetrics(registry);
  const scrapes: { bytes: number; cpuMs: number; longestMs: number }[] = [];
  for (let i = 0; i < SCRAPES; i++) scrapes.push(await measure(registry));
  const middle = (figure: keyof (typeof scrapes)[0]) => median(scrapes.map((one) => one[figure]));
  const format = (value: number) => value.toFixed(1).padStart(10);
  console.log("bytes       CPU ms   longest turn ms (median, longest of all)");
  console.log(
    `${middle("bytes")}`.padEnd(8) +
      format(middle("cpuMs")) +
      format(middle("longestMs")) +
      format(Math.max(...scrapes.map(({ longestMs }) => longestMs))),
  );
}

async function measure(registry: Registry) {
  const start = cpuMs();
  let turn = start;
  let longestMs = 0;
  const count = () => {
    const now = cpuMs();
    longestMs = Math.max(longestMs, now - turn);
    turn = now;
  };
  const next = () => {
    count();
    timer = setImmediate(next);
  };
  let timer = setImmediate(next);
  const { length: bytes } = await renderMetrics(registry);
  count();
  clearImmediate(timer);
  return { bytes, cpuMs: cpuMs() - start, longestMs };
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function makeRegistry() {
  const store = new PodStore();
  const { pipeline, registry, processes, sink } = makePipeline({ store, outputs: [] });
  const policies = Array.from({ length: POLICIES }, (_, i) => ({
    kind: "TracingPolicy" as const,
    name: `policy-${i}`,
  }));
  pipeline.registerHook(7, {
    policy: policies[0] as (typeof policies)[0],
    def: makeHookDef("f", 0),
    functionName: "f",
  });
  for (let pod = 0; pod < PODS; pod++) {
    const id = pod.toString(16).padStart(64, "0");
    store.put({
      metadata: { name: `web-${pod}`, namespace: "shop", uid: `${pod}` },
      status: { containerStatuses: [{ name: "c", containerID: `containerd://${id}` }] },
    });
    const identity = { pid: 1_000 + pod, seq: 1 };
    pipeline.handleBatch(
      makeBatch(
        makeExec({ ...identity, ktimeNs: 1n, filename: "/usr/bin/app", parentPid: 0, cgroup: id }),
        makeHit([credSlot({})], identity),
      ),
    );
  }
  const all = createRegistry({ component: "agent", version: "bench" });
  for (const metric of registry.getMetricsAsArray()) all.registerMetric(metric as never);
  const actions = { ...NO_ACTIONS, post: 3, signal: 1 };
  const live = policies.flatMap((policy) =>
    Array.from({ length: HOOKS }, (_, i) => ({
      policy,
      hook: makeAttachedHook(`call_${i}`, { id: i, stats: { hits: 9 }, actions: [actions, actions] }),
    })),
  );
  const totals = new HookTotals();
  registerKernelMetrics(all, (slices) => totals.readInTurns(live, slices));
  registerHookMetrics(all, { attachedHooks: () => live, outcomes: () => [] });
  registerProcessMetrics(all, processes);
  registerExportMetrics(all, sink);
  return all;
}
