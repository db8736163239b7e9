/**
 * What a scrape costs the event loop: 50 policies of 8 hooks with two selectors each, and 1,000 series of pods. The kernel's
 * counters come as bytes, as the addon has them from a map of two CPUs: the system calls that read maps come on top.
 */
import type { Registry } from "prom-client";
import { makeHit, makePipeline } from "../agent/events/testing/pipeline.ts";
import { NO_STATS, readCounters } from "../agent/hooks/attach/hook-stats.ts";
import { HOOK_COUNTERS } from "../agent/hooks/config/layout.ts";
import { registerAgentMetrics } from "../agent/metrics/agent-metrics.ts";
import { PodStore } from "../agent/pods/pod-store.ts";
import { makeAttachedHook, makeHookDef } from "../agent/policies/testing/policies.ts";
import { HookTotals } from "../agent/policies/totals.ts";
import { credSlot, makeBatch, makeExec } from "../agent/records/testing/records.ts";
import { createRegistry } from "../lib/metrics.ts";
import { renderMetrics } from "../lib/scraped-metrics.ts";
import { median } from "./report.ts";

const POLICIES = 50;
const HOOKS = 8;
const PODS = 1_000;
const SELECTORS = 2;
const CPUS = 2;
const SCRAPES = 50;

/** Prints one line. Turns are measured in CPU time: other load on the machine makes them no longer. */
export async function run(): Promise<void> {
  const node = makeRegistry();
  for (let i = 0; i < 10; i++) await renderMetrics(node.registry);
  console.log(
    "between two scrapes                 bytes    CPU ms   longest turn ms (median, longest of all)",
  );
  await report("nothing happens", node.registry, () => {});
  await report("a tenth of the pods is detected", node.registry, () => node.detect(PODS / 10));
  await report("every counter changes", node.registry, () => {
    node.detect(PODS);
    node.counters.forEach((byte, at, bytes) => {
      if (at % 8 === 0) bytes[at] = byte + 1;
    });
  });
}

async function report(name: string, registry: Registry, happens: () => void): Promise<void> {
  const scrapes: { bytes: number; cpuMs: number; longestMs: number }[] = [];
  for (let i = 0; i < SCRAPES; i++) {
    happens();
    scrapes.push(await measure(registry));
  }
  const middle = (figure: keyof (typeof scrapes)[0]) => median(scrapes.map((one) => one[figure]));
  const format = (value: number) => value.toFixed(1).padStart(10);
  console.log(
    name.padEnd(32) +
      `${middle("bytes")}`.padStart(9) +
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
  const bytes = (await renderMetrics(registry)).length;
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
  const registry = createRegistry({ component: "agent", version: "bench" });
  const { pipeline, processes, sink } = makePipeline({ store, outputs: [], registry });
  const policies = Array.from({ length: POLICIES }, (_, i) => ({
    kind: "TracingPolicy" as const,
    name: `policy-${i}`,
  }));
  pipeline.registerHook(7, {
    policy: policies[0] as (typeof policies)[0],
    def: makeHookDef("f", 0),
    functionName: "f",
  });
  const counters = new Uint8Array(CPUS * HOOK_COUNTERS.size);
  const detections: ArrayBuffer[] = [];
  for (let pod = 0; pod < PODS; pod++) {
    const id = pod.toString(16).padStart(64, "0");
    store.put({
      metadata: { name: `web-${pod}`, namespace: "shop", uid: `${pod}` },
      status: { containerStatuses: [{ name: "c", containerID: `containerd://${id}` }] },
    });
    const identity = { pid: 1_000 + pod, seq: 1 };
    const exec = { ...identity, ktimeNs: 1n, filename: "/usr/bin/app", parentPid: 0, cgroup: id };
    pipeline.handleBatch(makeBatch(makeExec(exec)));
    detections.push(makeBatch(makeHit([credSlot({})], identity)));
  }
  const detect = (pods: number) => {
    for (const batch of detections.slice(0, pods)) pipeline.handleBatch(batch);
  };
  detect(PODS);
  const live = policies.flatMap((policy) =>
    Array.from({ length: HOOKS }, (_, i) => ({
      policy,
      hook: { ...makeAttachedHook(`call_${i}`, { id: i }), counts: countsOf(counters) },
    })),
  );
  const totals = new HookTotals();
  registerAgentMetrics(registry, {
    processes,
    sink,
    scopes: { unwritten: 0 },
    policies: { attachedHooks: () => live, outcomes: () => [] },
    readCounts: (slices) => totals.readInTurns(live, slices),
  });
  return { registry, detect, counters };
}

/** Reads the counters of a hook from the bytes that the addon would have from the kernel. */
function countsOf(bytes: Uint8Array) {
  const map = { name: "hook_stats", lookup: () => bytes.slice() };
  return () => {
    const { hook, selectors } = readCounters(map, SELECTORS);
    return { stats: { ...NO_STATS, ...hook }, actions: selectors };
  };
}
