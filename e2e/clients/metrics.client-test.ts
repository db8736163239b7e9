/**
 * The metrics of agent and operator, as promtool and Prometheus read them. The figures come from the code that counts them in
 * a cluster; records, kernel counters and the API server are the test's.
 *
 *   node --test e2e/clients/metrics.client-test.ts
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { makeHit, makeHookDef, setupShell, TEST_POLICY } from "../../agent/events/testing/pipeline.ts";
import { registerAgentMetrics } from "../../agent/metrics/agent-metrics.ts";
import { ExportDrops } from "../../agent/metrics/export-drops.ts";
import { streamMetrics } from "../../agent/metrics/stream-metrics.ts";
import { makeAttachedHook, NO_ACTIONS } from "../../agent/policies/testing/policies.ts";
import { HookTotals } from "../../agent/policies/totals.ts";
import { credSlot, makeBatch, makeExec } from "../../agent/records/testing/records.ts";
import { startHealthServer } from "../../lib/health.ts";
import { createRegistry, createWatchMetrics } from "../../lib/metrics.ts";
import { metricsText } from "../../lib/testing/metrics.ts";
import { createOperatorMetrics, registerGauges } from "../../operator/metrics.ts";
import { type Binaries, findBinaries, METRICS_READERS } from "../control-plane/binaries.ts";
import { checkMetrics, type Prometheus, startPrometheus } from "./prometheus.ts";

let programs: Binaries<(typeof METRICS_READERS)[number]>;
before(async () => {
  programs = await findBinaries(METRICS_READERS, process.env, console.log);
});

/** The agent's registry with every metric, and the pipeline whose events it counts. */
function makeAgent() {
  const registry = createRegistry({ component: "agent", version: "1.2.3" });
  const shell = setupShell(makeHookDef(), { registry });
  const totals = new HookTotals();
  const actions = { ...NO_ACTIONS, post: 3, signal: 1 };
  const hook = makeAttachedHook("sys_setuid", {
    stats: { hits: 9, posted: 4, missed: 1 },
    actions: [actions],
  });
  const live = [{ policy: TEST_POLICY, hook }];
  registerAgentMetrics(registry, {
    ...shell,
    scopes: { unwritten: 0 },
    policies: { attachedHooks: () => live, outcomes: () => [{ state: "Attached" }] },
    readCounts: (slices) => totals.readInTurns(live, slices),
  });
  streamMetrics(registry).sent = 7;
  new ExportDrops(registry).count(TEST_POLICY);
  const watches = createWatchMetrics(registry);
  watches.open.set({ resource: "pods" }, 1);
  watches.restarts.inc({ resource: "pods", reason: "expired" });
  watches.lists.inc({ resource: "pods" });
  return shell;
}

function makeOperatorRegistry() {
  const registry = createRegistry({ component: "operator", version: "1.2.3" });
  createWatchMetrics(registry).open.set({ resource: "tracingpolicies" }, 1);
  const metrics = createOperatorMetrics(registry);
  metrics.reconciles.inc({ result: "ok" });
  metrics.reconcileSeconds.observe(0.01);
  metrics.compileErrors.inc({ field: "kprobes" });
  metrics.reviews.inc({ result: "refused" });
  registerGauges(registry, { queueDepth: () => ({ policies: 2 }), policies: () => 3, nodes: () => 4 });
  return registry;
}

test("promtool finds nothing in the agent's metrics", async () => {
  const agent = makeAgent();
  agent.pipeline.handleBatch(makeBatch(makeHit([credSlot({})])));
  const text = await metricsText(agent.registry);
  assert.match(text, /^trigon_policy_events_total\{policy="creds"/m);
  assert.equal(checkMetrics(programs.promtool, text), "");
});

test("promtool finds nothing in the operator's metrics", async () => {
  assert.equal(checkMetrics(programs.promtool, await metricsText(makeOperatorRegistry())), "");
});

test("promtool would find something", () => {
  assert.match(
    checkMetrics(programs.promtool, "# TYPE a counter\na 1\n"),
    /counter metrics should have "_total"/,
  );
});

test("Prometheus has exactly the detections of a script", async (t) => {
  const agent = makeAgent();
  const server = await startHealthServer({
    host: "127.0.0.1",
    port: 0,
    registry: agent.registry,
    live: {},
    ready: {},
  });
  const prometheus: Prometheus = await startPrometheus(programs.prometheus, `127.0.0.1:${server.port}`);
  t.after(async () => {
    await prometheus.close();
    await server.close();
  });
  const becomes = async (expression: string, value: number) => {
    let seen: number | undefined;
    for (let i = 0; i < 300; i++) {
      seen = await prometheus.query(expression);
      if (seen === value) return;
      await delay(100);
    }
    assert.equal(seen, value, expression);
  };
  await becomes("up", 1);
  const shell = (times: number) => {
    for (let i = 0; i < times; i++) agent.pipeline.handleBatch(makeBatch(makeHit([credSlot({ uid: i })])));
  };
  shell(17);
  await becomes('sum(trigon_policy_events_total{policy="creds"})', 17);
  agent.pipeline.handleBatch(
    makeBatch(
      makeExec({ pid: 11, ktimeNs: 40_000_000n, filename: "/bin/su", parentPid: 10, seq: 2 }),
      ...Array.from({ length: 5 }, () => makeHit([credSlot({})], { pid: 11, seq: 2 })),
    ),
  );
  shell(3);
  await becomes('sum(trigon_policy_events_total{policy="creds"})', 25);
  await becomes('trigon_policy_events_total{hook="kprobe:commit_creds",binary="/bin/su"}', 5);
  await becomes('trigon_events_total{type="PROCESS_KPROBE",binary="/bin/sh",node_name="node-1"}', 20);
  await becomes('sum(trigon_events_total{type="PROCESS_EXEC"})', 2);
  await becomes('trigon_tracingpolicy_loaded{state="enabled"}', 1);
  await becomes('trigon_tracingpolicy_selector_actions_total{action="post",selector_index="0"}', 3);
  await becomes('trigon_msg_op_total{msg_op="13"}', 25);
  await becomes('trigon_flags_total{type="execve"}', 2);
  await becomes("trigon_process_cache_size", agent.processes.size);
});
