/**
 * The operator against a real API server, with the service account and the rights that manifests/base gives it;
 * the agents are simulated: the test writes their objects.
 *
 *   node --test e2e/api-server/operator.api-test.ts
 */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { hookSpecConfigMapName, LABELS, type PolicyRef, TRACING_NODES } from "../../crds/names.ts";
import type { KubeClient } from "../../lib/kube.ts";
import { createLogger } from "../../lib/logger.ts";
import { createRegistry } from "../../lib/metrics.ts";
import { CONFIG_MAPS, type KubeObject, PODS } from "../../lib/resources.ts";
import { ResourceWatch } from "../../lib/watch.ts";
import { compileAndEncode } from "../../operator/compiler/compiled.ts";
import type { ConfigMap } from "../../operator/distribute/config-map.ts";
import { type Operator, startOperator } from "../../operator/operator.ts";
import { POLICY_RESOURCES, type PolicyObject } from "../../operator/resources.ts";
import { conditionOf, type PolicyStatus } from "../../operator/status/policy-status.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { applyCrds } from "../control-plane/crds.ts";
import {
  clientWith,
  eventually,
  kubectl,
  operatorClientWith,
  pause,
  serviceAccountToken,
} from "./api-clients.ts";
import { type Report, SimulatedAgent } from "./simulated-agent.ts";

const NAMESPACE = "trigon-system";
const MANIFESTS = resolve(import.meta.dirname, "../../manifests/base");
const USER = { fieldManager: "kubectl" };
const POLICIES = POLICY_RESOURCES.TracingPolicy;
const EVENTS = { ...PODS, plural: "events", kind: "Event" };

let plane: ControlPlane;
let admin: KubeClient;
let operatorToken: string;
let operator: Operator;
let registry: ReturnType<typeof createRegistry>;

before(async () => {
  plane = await startControlPlane();
  await applyCrds(plane);
  admin = await clientWith(plane, plane.adminToken, "trigon-test");
  for (const file of ["namespace.yaml", "operator-rbac.yaml", "agent-rbac.yaml"])
    await kubectl(plane, "apply", "-f", `${MANIFESTS}/${file}`);
  operatorToken = await serviceAccountToken(plane, NAMESPACE, "trigon-operator");
});
after(() => plane?.stop());

beforeEach(() => restartOperator());
afterEach(async () => {
  await Promise.all(counters.splice(0).map((watch) => watch.stop()));
  for (const { metadata } of await admin.list(POLICIES)) await admin.delete(POLICIES, metadata);
  await eventually(async () => assert.deepEqual(await configMaps(), []));
  await operator.stop();
  for (const { metadata } of await admin.list(TRACING_NODES))
    await new SimulatedAgent(admin, NAMESPACE, metadata.name).vanish();
  await eventually(async () => assert.deepEqual(await admin.list(PODS, { namespace: NAMESPACE }), []));
});

async function restartOperator(restartMs = 2_000): Promise<void> {
  registry = createRegistry({ component: "operator", version: "test", defaultMetrics: false });
  const logger = createLogger({
    component: "operator",
    level: process.env.TRIGON_TEST_LOG === "info" ? "info" : "error",
  });
  const client = operatorClientWith(plane, operatorToken);
  operator = startOperator({
    client,
    compile: async (policy) => compileAndEncode(policy),
    namespace: NAMESPACE,
    instance: "test",
    patience: { restartMs, startMs: 300_000 },
    logger,
    registry,
  });
  await operator.started;
}

/** A policy on system calls by name, as a user writes it. */
async function applyPolicy(name: string, ...calls: string[]): Promise<PolicyObject> {
  const kprobes = calls.map((call) => ({ call, syscall: true, args: [{ index: 0, type: "int" }] }));
  return admin.apply<PolicyObject>(
    POLICIES,
    { kind: "TracingPolicy", metadata: { name }, spec: { kprobes } },
    USER,
  );
}

function configMaps(): Promise<ConfigMap[]> {
  return admin.list<ConfigMap>(CONFIG_MAPS, { namespace: NAMESPACE, labelSelector: LABELS.policy });
}

async function statusOf(name: string): Promise<PolicyStatus> {
  const { status } = await admin.get<PolicyObject>(POLICIES, { name });
  assert.ok(status, "the policy has no status");
  return status;
}

/** Waits until the policy's Ready condition is this, and is about the newest generation. */
function readyIs(name: string, status: string, reason: string): Promise<PolicyStatus> {
  return eventually(async () => {
    const policy = await admin.get<PolicyObject>(POLICIES, { name });
    const ready = conditionOf(policy.status?.conditions, "Ready");
    assert.deepEqual(
      [ready?.status, ready?.reason, ready?.observedGeneration],
      [status, reason, policy.metadata.generation],
      ready?.message,
    );
    assert.ok(policy.status);
    return policy.status;
  });
}

/** Hash of the ConfigMap with the highest revision, which is the one that agents attach. */
async function wantedHash(): Promise<string> {
  const revision = (object: ConfigMap) => Number(object.metadata.annotations?.[LABELS.revision]);
  const newest = (await configMaps()).sort((a, b) => revision(a) - revision(b)).at(-1);
  assert.ok(newest, "no ConfigMap");
  return newest.metadata.labels?.[LABELS.specHash] ?? "";
}

function waitForOtherHash(than: string): Promise<string> {
  return eventually(async () => {
    const hash = await wantedHash();
    assert.notEqual(hash, than);
    return hash;
  });
}

async function startAgents(...nodes: string[]): Promise<SimulatedAgent[]> {
  const agents = nodes.map((node) => new SimulatedAgent(admin, NAMESPACE, node));
  for (const agent of agents) await agent.start();
  return agents;
}

const ref = (name: string): PolicyRef => ({ kind: "TracingPolicy", name });
const attached = (name: string, hash: string, ...calls: string[]): Report => ({
  ref: ref(name),
  specHash: hash,
  attachedHash: hash,
  state: "Attached",
  calls,
});

/** Watches of countWrites(): one that stays open would keep the process from ending. */
const counters: ResourceWatch<KubeObject>[] = [];

/** Counts until the end of the test how often a policy changes: every change of its resource version is an update. */
async function countWrites(name: string): Promise<{ writes: () => number }> {
  let writes = 0;
  const logger = createLogger({ component: "test", level: "error" });
  const onUpdate = (policy: KubeObject) => {
    if (policy.metadata.name === name) writes++;
  };
  const watch = new ResourceWatch({ client: admin, resource: POLICIES, logger }, { onUpdate });
  counters.push(watch);
  watch.start();
  await watch.waitForSync();
  return { writes: () => writes };
}

async function metric(name: string): Promise<number> {
  const found = (await registry.getSingleMetric(name)?.get())?.values ?? [];
  return found.reduce((sum, { value }) => sum + value, 0);
}

describe("a policy from apply to attached", () => {
  test("has a status before there is a node, and names what it waits for", async () => {
    await applyPolicy("a", "sys_setuid");
    const status = await readyIs("a", "Unknown", "NoNodes");
    assert.equal(conditionOf(status.conditions, "Reconciling")?.status, "True");
    assert.equal(status.nodesSummary, "0/0");
  });

  test("is Ready when every node has attached every hook, and kubectl shows it", async () => {
    const [first, second] = await startAgents("node-1", "node-2");
    await applyPolicy("a", "sys_setuid", "sys_setgid");
    const rolling = await readyIs("a", "False", "RollingOut");
    assert.deepEqual(rolling.nodes, {
      total: 2,
      attached: 0,
      partial: 0,
      pending: 2,
      failed: 0,
      skipped: 0,
      unavailable: 0,
      absent: 0,
    });

    const hash = await wantedHash();
    await first?.report(attached("a", hash, "sys_setuid", "sys_setgid"));
    await second?.report(attached("a", hash, "sys_setuid", "sys_setgid"));
    const ready = await readyIs("a", "True", "Attached");
    assert.equal(ready.specHash, hash);
    assert.deepEqual(ready.nodeStates, [
      { nodes: ["node-1", "node-2"], state: "Attached", attach: "fentry×2" },
    ]);
    assert.equal(conditionOf(ready.conditions, "Reconciling"), undefined);

    const table = await kubectl(plane, "get", "tracingpolicies", "-o", "wide");
    assert.match(
      table,
      /NAME +READY +NODES +HOOKS +REASON +AGE +GENERATION +OBSERVED +PODS +EVENTS +MESSAGE\n/,
    );
    assert.match(table, /a +True +2\/2 +2\/2 +Attached +\S+ +1 +1 +2 hooks attached on 2 nodes/);
  });

  test("its spec is an immutable ConfigMap, named by its content and labelled with the policy", async () => {
    await applyPolicy("dots.in.the.name", "sys_setuid");
    const [object] = await eventually(async () => {
      const found = await configMaps();
      assert.equal(found.length, 1);
      return found;
    });
    assert.equal(object?.immutable, true);
    assert.equal(object?.metadata.name, hookSpecConfigMapName(await wantedHash()));
    assert.equal(object?.metadata.annotations?.[LABELS.policyKey], "TracingPolicy/dots.in.the.name");
    assert.equal(object?.metadata.annotations?.[LABELS.policyGeneration], "1");
  });

  test("each transition is one Event", async () => {
    const [agent] = await startAgents("node-1");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    await agent?.report(attached("a", await wantedHash(), "sys_setuid"));
    await readyIs("a", "True", "Attached");
    const { metadata } = await admin.get(POLICIES, { name: "a" });
    const fieldSelector = `involvedObject.uid=${metadata.uid}`;
    await eventually(async () => {
      const events = await admin.list<KubeObject & { reason: string; type: string; count: number }>(EVENTS, {
        namespace: "default",
        fieldSelector,
      });
      assert.deepEqual(events.map(({ type, reason, count }) => [type, reason, count]).sort(), [
        ["Normal", "Attached", 1],
        ["Normal", "RollingOut", 1],
      ]);
    });
    assert.match(await kubectl(plane, "describe", "tracingpolicy", "a"), /Normal +Attached/);
  });
});

describe("nodes", () => {
  test("a node that fails is named with its reason, whatever the state of the others", async () => {
    const [good, bad] = await startAgents("node-1", "node-2");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    const hash = await wantedHash();
    await good?.report(attached("a", hash, "sys_setuid"));
    await bad?.report({
      ref: ref("a"),
      specHash: hash,
      state: "Failed",
      reason: "FunctionNotFound",
      message: "sys_setuid: not in this kernel",
    });
    const status = await readyIs("a", "False", "FunctionNotFound");
    assert.deepEqual(status.failingNodes, [
      {
        nodes: ["node-2"],
        count: 1,
        state: "Failed",
        reason: "FunctionNotFound",
        message: "sys_setuid: not in this kernel",
      },
    ]);
    assert.match(
      conditionOf(status.conditions, "Ready")?.message ?? "",
      /1 of 2 nodes: node-2 \(sys_setuid: not in this kernel\)/,
    );
  });

  test("an agent that cannot start is shown with the message of its container", async () => {
    const [agent] = await startAgents("node-1");
    const terminated = {
      exitCode: 1,
      reason: "Error",
      message: "this kernel has no BTF (/sys/kernel/btf/vmlinux)",
      startedAt: null,
      finishedAt: null,
    };
    await agent?.setPodStatus({
      conditions: [{ type: "Ready", status: "False" }],
      containerStatuses: [
        {
          name: "agent",
          image: "none",
          imageID: "",
          ready: false,
          restartCount: 3,
          state: { waiting: { reason: "CrashLoopBackOff" } },
          lastState: { terminated },
        },
      ],
    });
    await applyPolicy("a", "sys_setuid");
    const status = await readyIs("a", "False", "AgentUnavailable");
    assert.match(
      conditionOf(status.conditions, "Ready")?.message ?? "",
      /CrashLoopBackOff.*this kernel has no BTF/,
    );
    assert.equal(status.nodes.unavailable, 1);
  });

  test("a node without room for the agent is named with the scheduler's message", async () => {
    await startAgents("node-1");
    const full = new SimulatedAgent(admin, NAMESPACE, "node-2");
    await full.startUnscheduled("0/2 nodes are available: 1 Insufficient memory");
    await applyPolicy("a", "sys_setuid");
    const status = await readyIs("a", "False", "AgentUnavailable");
    assert.deepEqual(
      status.failingNodes?.flatMap(({ nodes }) => nodes),
      ["node-2"],
    );
    assert.match(
      conditionOf(status.conditions, "Ready")?.message ?? "",
      /on 1 of 2 nodes: node-2 \(agent pod is not scheduled: .*Insufficient memory/,
    );
    await full.vanish();
  });

  test("a node that is not ready is tolerated and named, and its agent's restart changes nothing", async () => {
    await operator.stop();
    const restartMs = 30_000; // the restart below takes less, however busy the machine is
    await restartOperator(restartMs);
    const [first, second] = await startAgents("node-1", "node-2");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    const hash = await wantedHash();
    for (const agent of [first, second]) await agent?.report(attached("a", hash, "sys_setuid"));
    await readyIs("a", "True", "Attached");
    await pause(1_500); // updates caused by the last write
    const counter = await countWrites("a");

    const notReady = (sinceMs: number) => ({
      type: "Ready",
      status: "False",
      lastTransitionTime: new Date(Date.now() - sinceMs).toISOString(),
    });
    await second?.setPodStatus({ conditions: [notReady(0)] });
    await second?.leave();
    await pause(500);
    await second?.start();
    await pause(2_500);
    assert.equal(counter.writes(), 0, "an agent that restarts");

    const containers = { type: "ContainersReady", status: "True" };
    await second?.setPodStatus({ conditions: [notReady(restartMs), containers] });
    const status = await eventually(async () => {
      const now = await statusOf("a");
      assert.equal(now.nodes.absent, 1);
      return now;
    });
    const condition = conditionOf(status.conditions, "Ready");
    assert.equal(condition?.status, "True");
    assert.match(
      condition?.message ?? "",
      /on 1 of 2 nodes; 1 cannot run it now: node-2 \(the node is not ready\)/,
    );
    assert.deepEqual(
      status.failingNodes?.map(({ nodes, state }) => [nodes, state]),
      [[["node-2"], "Absent"]],
    );
  });

  test("a drained node does not block", async () => {
    const [first, second] = await startAgents("node-1", "node-2");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    await first?.report(attached("a", await wantedHash(), "sys_setuid"));
    await second?.leave();
    const status = await readyIs("a", "True", "Attached");
    assert.equal(status.nodesSummary, "1/1");
  });
});

describe("edits", () => {
  test("the previous spec stays until the last node has left it", async () => {
    const [first, second] = await startAgents("node-1", "node-2");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    const old = await wantedHash();
    for (const agent of [first, second]) await agent?.report(attached("a", old, "sys_setuid"));
    await readyIs("a", "True", "Attached");

    await applyPolicy("a", "sys_setgid");
    const hash = await waitForOtherHash(old);
    await first?.report(attached("a", hash, "sys_setgid"));
    await eventually(async () => assert.equal((await statusOf("a")).nodesSummary, "1/2"));
    assert.equal((await configMaps()).length, 2);

    await second?.report({
      ref: ref("a"),
      specHash: hash,
      attachedHash: old,
      state: "Failed",
      message: "attach: EINVAL",
    });
    await readyIs("a", "False", "AttachFailed");
    assert.equal((await configMaps()).length, 2, "node-2 still runs the previous spec");

    await second?.report(attached("a", hash, "sys_setgid"));
    await readyIs("a", "True", "Attached");
    await eventually(async () =>
      assert.deepEqual(
        (await configMaps()).map(({ metadata }) => metadata.name),
        [hookSpecConfigMapName(hash)],
      ),
    );
  });

  test("to what no node can attach is Stalled; what runs is named then, and after an invalid edit", async () => {
    const agents = await startAgents("node-1", "node-2");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    const old = await wantedHash();
    for (const agent of agents) await agent.report(attached("a", old, "sys_setuid"));
    await readyIs("a", "True", "Attached");

    await applyPolicy("a", "sys_setgid");
    const specHash = await waitForOtherHash(old);
    const refusal = { state: "Failed", reason: "FunctionNotFound", message: "no such function" } as const;
    for (const agent of agents)
      await agent.report({ ref: ref("a"), specHash, attachedHash: old, ...refusal });
    const refused = await eventually(async () => {
      const status = await readyIs("a", "False", "FunctionNotFound");
      assert.equal(status.nodes.failed, 2);
      return status;
    });
    assert.equal(conditionOf(refused.conditions, "Stalled")?.status, "True");
    const stillRuns = /Generation 1 still runs on 2 of 2 nodes/;
    assert.match(conditionOf(refused.conditions, "Ready")?.message ?? "", stillRuns);
    assert.deepEqual(
      refused.failingNodes?.map(({ nodes, count }) => [nodes, count]),
      [[["node-1", "node-2"], 2]],
    );

    const spec = { kprobes: [{ call: "sys_setuid", args: [{ index: 9, type: "int" }] }] };
    await admin.mergePatch(POLICIES, { name: "a" }, { spec }, USER);
    const invalid = await readyIs("a", "False", "InvalidSpec");
    assert.match(conditionOf(invalid.conditions, "Ready")?.message ?? "", stillRuns);
  });

  test("going back to an earlier spec makes it the wanted one again", async () => {
    const [agent] = await startAgents("node-1");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    const old = await wantedHash();
    await agent?.report(attached("a", old, "sys_setuid"));
    await readyIs("a", "True", "Attached");
    await applyPolicy("a", "sys_setgid");
    await waitForOtherHash(old);
    await applyPolicy("a", "sys_setuid");
    await eventually(async () => assert.equal(await wantedHash(), old));
    await readyIs("a", "True", "Attached");
  });

  test("an invalid edit is reported, leaves the last good spec running, and is resolved by a valid one", async () => {
    const [agent] = await startAgents("node-1");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    const good = await wantedHash();
    await agent?.report(attached("a", good, "sys_setuid"));
    await readyIs("a", "True", "Attached");

    const spec = { kprobes: [{ call: "sys_setuid", syscall: true, args: [{ index: 9, type: "int" }] }] };
    await admin.mergePatch(POLICIES, { name: "a" }, { spec }, USER);
    const status = await readyIs("a", "False", "InvalidSpec");
    assert.equal(conditionOf(status.conditions, "Stalled")?.status, "True");
    const message = conditionOf(status.conditions, "Ready")?.message ?? "";
    assert.match(message, /spec\.kprobes\[0\]\.args\[0\]\.index/);
    assert.match(message, /Generation 1 still runs on 1 of 1 node/);
    assert.equal(await wantedHash(), good);

    await admin.delete(CONFIG_MAPS, { namespace: NAMESPACE, name: hookSpecConfigMapName(good) });
    await eventually(async () => assert.equal(await wantedHash(), good));

    await applyPolicy("a", "sys_setgid");
    const hash = await waitForOtherHash(good);
    await agent?.report(attached("a", hash, "sys_setgid"));
    const healed = await readyIs("a", "True", "Attached");
    assert.equal(conditionOf(healed.conditions, "Stalled"), undefined);
  });

  test("a restarted operator finds the last good spec of an invalid policy and distributes it again", async () => {
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "Unknown", "NoNodes");
    const good = await wantedHash();
    await admin.mergePatch(
      POLICIES,
      { name: "a" },
      { spec: { kprobes: [{ call: "sys_setuid", args: [{ index: 9, type: "int" }] }] } },
      USER,
    );
    await readyIs("a", "False", "InvalidSpec");
    await operator.stop();
    await restartOperator();
    await pause(500);
    const status = await readyIs("a", "False", "InvalidSpec");
    assert.equal(status.specHash, good);
    assert.equal((await configMaps()).length, 1);
  });
});

describe("while the operator is away", () => {
  /** Cells of kubectl's table by column; they stand where the column's name does. */
  async function row(name: string): Promise<Record<string, string>> {
    const [head = "", line = ""] = (await kubectl(plane, "get", "tracingpolicies", name)).split("\n");
    const columns = [...head.matchAll(/\S+/g)];
    return Object.fromEntries(
      columns.map(({ 0: column, index }, n) => [column, line.slice(index, columns[n + 1]?.index).trim()]),
    );
  }

  test("kubectl shows that READY is about an earlier generation", async () => {
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "Unknown", "NoNodes");
    const { GENERATION, OBSERVED } = await row("a");
    assert.deepEqual([GENERATION, OBSERVED], ["1", "1"]);

    await operator.stop();
    await applyPolicy("a", "sys_setgid");
    const away = await row("a");
    assert.deepEqual([away.READY, away.GENERATION, away.OBSERVED], ["Unknown", "2", "1"]);
    await applyPolicy("b", "sys_setuid");
    const unseen = await row("b");
    assert.deepEqual([unseen.READY, unseen.GENERATION, unseen.OBSERVED], ["", "1", "-1"]);

    await restartOperator();
    for (const name of ["a", "b"]) await readyIs(name, "Unknown", "NoNodes");
    const back = await row("a");
    assert.deepEqual([back.GENERATION, back.OBSERVED], ["2", "2"]);
  });
});

/** Puts `change(object)`, mutable, in the place of a ConfigMap, though the operator creates a deleted one again. */
async function recreate(name: { namespace: string; name: string }, change: (object: ConfigMap) => ConfigMap) {
  const { metadata, data } = await admin.get<ConfigMap>(CONFIG_MAPS, name);
  const { labels, annotations } = metadata;
  const forged = change({ metadata: { ...name, labels, annotations }, data } as ConfigMap);
  await eventually(async () => {
    await admin.delete(CONFIG_MAPS, name);
    await admin.create(CONFIG_MAPS, forged, USER);
  });
}

describe("a ConfigMap that another client changes is repaired", () => {
  const tamperings: Record<string, (name: { namespace: string; name: string }) => Promise<unknown>> = {
    deleted: (name) => admin.delete(CONFIG_MAPS, name),
    "without its labels": (name) => admin.mergePatch(CONFIG_MAPS, name, { metadata: { labels: null } }, USER),
    "labelled as retired": (name) =>
      admin.mergePatch(CONFIG_MAPS, name, { metadata: { labels: { [LABELS.retired]: "true" } } }, USER),
    "with another policy's key": (name) =>
      admin.mergePatch(
        CONFIG_MAPS,
        name,
        { metadata: { annotations: { [LABELS.policyKey]: "TracingPolicy/other" } } },
        USER,
      ),
    "without a revision": (name) =>
      admin.mergePatch(CONFIG_MAPS, name, { metadata: { annotations: { [LABELS.revision]: null } } }, USER),
    "recreated with other content": (name) =>
      recreate(name, (object) => ({ ...object, data: { "hook-spec.json": "{}" } })),
    "recreated without being immutable": (name) => recreate(name, (object) => object),
  };
  for (const [how, tamper] of Object.entries(tamperings)) {
    test(how, async () => {
      await applyPolicy("a", "sys_setuid");
      await readyIs("a", "Unknown", "NoNodes");
      const [before] = await configMaps();
      assert.ok(before);
      const name = { namespace: NAMESPACE, name: before.metadata.name };
      await tamper(name);
      await eventually(async () => {
        const now = await admin.find<ConfigMap>(CONFIG_MAPS, name);
        assert.deepEqual(now?.data, before.data);
        assert.equal(now?.immutable, true);
        assert.deepEqual(now?.metadata.labels, before.metadata.labels);
        assert.equal(now?.metadata.annotations?.[LABELS.policyKey], "TracingPolicy/a");
        assert.match(now?.metadata.annotations?.[LABELS.revision] ?? "", /^\d+$/);
      });
    });
  }

  test("one that has our labels but no policy is removed", async () => {
    const metadata = {
      namespace: NAMESPACE,
      name: "trigon-spec-0",
      labels: { [LABELS.managedBy]: "trigon-operator", [LABELS.policy]: "x" },
    };
    await admin.apply(CONFIG_MAPS, { metadata, data: { "hook-spec.json": "no JSON" } } as ConfigMap, USER);
    await eventually(async () => assert.equal(await admin.find(CONFIG_MAPS, metadata), undefined));
  });
});

describe("deletion", () => {
  test("is not blocked by a node that is away, and is announced before the ConfigMap goes", async () => {
    const [here, away] = await startAgents("node-1", "node-2");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    const hash = await wantedHash();
    for (const agent of [here, away]) await agent?.report(attached("a", hash, "sys_setuid"));
    await away?.setPodStatus({ conditions: [{ type: "Ready", status: "False" }], phase: "Unknown" });

    const gone: (string | undefined)[] = [];
    const logger = createLogger({ component: "test", level: "error" });
    const watch = new ResourceWatch(
      { client: admin, resource: CONFIG_MAPS, namespace: NAMESPACE, labelSelector: LABELS.policy, logger },
      { onDelete: (object) => gone.push(object.metadata.labels?.[LABELS.retired]) },
    );
    watch.start();
    await watch.waitForSync();
    await admin.delete(POLICIES, { name: "a" });
    await eventually(() => assert.deepEqual(gone, ["true"]));
    await watch.stop();
    assert.equal(await admin.find(POLICIES, { name: "a" }), undefined);
  });

  test("ends the policy at once if a finalizer keeps the object, and the status reports it", async () => {
    const [agent] = await startAgents("node-1");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    await agent?.report(attached("a", await wantedHash(), "sys_setuid"));
    await readyIs("a", "True", "Attached");
    const finalizers = (names: string[] | null) =>
      admin.mergePatch(POLICIES, { name: "a" }, { metadata: { finalizers: names } }, USER);
    await finalizers(["example.com/hold"]);
    await admin.delete(POLICIES, { name: "a" });
    const status = await readyIs("a", "False", "Terminating");
    assert.deepEqual(await configMaps(), []);
    assert.equal(status.specHash, undefined);
    await finalizers(null);
    await eventually(async () => assert.equal(await admin.find(POLICIES, { name: "a" }), undefined));
  });

  test("that happened while the operator was away is completed at its start", async () => {
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "Unknown", "NoNodes");
    await operator.stop();
    await admin.delete(POLICIES, { name: "a" });
    assert.equal((await configMaps()).length, 1);
    await restartOperator();
    await eventually(async () => assert.deepEqual(await configMaps(), []));
  });

  test("a policy deleted and created again at once is distributed", async () => {
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "Unknown", "NoNodes");
    await admin.delete(POLICIES, { name: "a" });
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "Unknown", "NoNodes");
    await eventually(async () => {
      const objects = await configMaps();
      assert.equal(objects.length, 1);
      assert.equal(objects[0]?.metadata.labels?.[LABELS.retired], undefined);
    });
  });
});

describe("status writes", () => {
  test("an idle operator writes nothing, and its own writes cause no work", async () => {
    const [agent] = await startAgents("node-1");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    await agent?.report(attached("a", await wantedHash(), "sys_setuid"));
    await readyIs("a", "True", "Attached");
    await pause(1_500); // updates caused by the last write
    const counter = await countWrites("a");
    const reconciles = await metric("trigon_operator_reconciles_total");
    const report = attached("a", await wantedHash(), "sys_setuid");
    for (let i = 0; i < 5; i++) await agent?.report({ ...report });
    await pause(3_000);
    assert.equal(counter.writes(), 0);
    assert.equal(await metric("trigon_operator_reconciles_total"), reconciles);
  });

  test("a restarted operator finds the status as it is and writes nothing", async () => {
    const [agent] = await startAgents("node-1");
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    await agent?.report(attached("a", await wantedHash(), "sys_setuid"));
    await readyIs("a", "True", "Attached");
    await operator.stop();
    const counter = await countWrites("a");
    await restartOperator();
    await eventually(async () => assert.ok((await metric("trigon_operator_reconciles_total")) > 0));
    await pause(2_000);
    assert.equal(counter.writes(), 0);
    assert.equal(await metric("trigon_operator_status_writes_total"), 0);
  });

  test("a rollout over 150 nodes takes a handful of writes, and the last one is right", async () => {
    const nodes = Array.from({ length: 150 }, (_, i) => `node-${i}`);
    const agents = await startAgents(...nodes);
    await applyPolicy("a", "sys_setuid");
    await readyIs("a", "False", "RollingOut");
    const hash = await wantedHash();
    const counter = await countWrites("a");
    const since = Date.now();
    for (const agent of agents) await agent.report(attached("a", hash, "sys_setuid"));
    const status = await readyIs("a", "True", "Attached");
    assert.equal(status.nodesSummary, "150/150");
    assert.equal(status.nodeStates, undefined, "no list in a cluster of this size");
    // The watch that counts may be behind the one that has shown the last write.
    await eventually(() => assert.ok(counter.writes() >= 1));
    // Three at once, the last one, and one for each twelve seconds that a busy machine takes.
    const most = 4 + Math.floor((Date.now() - since) / 12_000);
    assert.ok(counter.writes() <= most, `${counter.writes()} writes`);
  });

  test("a status that another client wrote is corrected", async () => {
    await applyPolicy("a", "sys_setuid");
    const before = await readyIs("a", "Unknown", "NoNodes");
    await admin.mergePatch(
      POLICIES,
      { name: "a" },
      { status: { nodesSummary: "9/9" } },
      { ...USER, subresource: "status" },
    );
    await eventually(async () => assert.deepEqual(await statusOf("a"), before));
  });

  test("additions of another writer to the status do not stay: a restored backup, a condition of its own", async () => {
    await applyPolicy("a", "sys_setuid");
    const before = await readyIs("a", "Unknown", "NoNodes");
    const lastTransitionTime = "2026-01-01T00:00:00Z";
    const said = { status: "True", reason: "Restored", message: "old", lastTransitionTime };
    const status = {
      failingNodes: [{ nodes: ["gone"], count: 1, state: "Failed" }],
      conditions: ["Stalled", "Foreign"].map((type) => ({ type, ...said })),
    };
    const restored = { metadata: { name: "a" }, status } as KubeObject;
    await admin.applyStatus(POLICIES, restored, { fieldManager: "backup" });
    await eventually(async () => assert.deepEqual(await statusOf("a"), before));
  });

  test("a status meant for a policy that was deleted is not written to another one of its name", async () => {
    const { metadata } = await applyPolicy("a", "sys_setuid");
    const before = await readyIs("a", "Unknown", "NoNodes");
    const client = operatorClientWith(plane, operatorToken);
    const write = (uid: string | undefined, status: object) =>
      client.replaceStatus("TracingPolicy", { name: "a", ...(uid !== undefined && { uid }) }, status);
    assert.equal(await write("another", { nodesSummary: "9/9" }), false);
    await assert.rejects(write(metadata.uid, { conditions: "none" }), { status: 422 });
    assert.deepEqual(await statusOf("a"), before);
  });

  test("lastTransitionTime changes only when the status does", async () => {
    const [first, second] = await startAgents("node-1", "node-2");
    await applyPolicy("a", "sys_setuid");
    const rolling = await readyIs("a", "False", "RollingOut");
    await pause(1_100);
    await first?.report({ ref: ref("a"), specHash: await wantedHash(), state: "Failed", message: "no" });
    const failed = await readyIs("a", "False", "AttachFailed");
    const time = (status: PolicyStatus) => conditionOf(status.conditions, "Ready")?.lastTransitionTime;
    assert.equal(time(failed), time(rolling));
    for (const agent of [first, second]) await agent?.report(attached("a", await wantedHash(), "sys_setuid"));
    assert.notEqual(time(await readyIs("a", "True", "Attached")), time(rolling));
  });
});

test("everything goes on after a restart of the API server", async () => {
  const [agent] = await startAgents("node-1");
  await applyPolicy("a", "sys_setuid");
  await readyIs("a", "False", "RollingOut");
  await plane.restartApiServer();
  await agent?.report(attached("a", await wantedHash(), "sys_setuid"));
  await readyIs("a", "True", "Attached");
  // An API server that has just started may refuse requests until it has read the RBAC rules; a refused watch waits.
  await eventually(() =>
    assert.deepEqual(
      Object.entries(operator.checks)
        .map(([name, check]) => [name, check()])
        .filter(([, problem]) => problem !== undefined),
      [],
    ),
  );
});

describe("the operator's rights", () => {
  const answers: Record<string, "yes" | "no"> = {
    "list tracingpolicies.cilium.io --all-namespaces": "yes",
    "patch tracingpolicies.cilium.io --subresource=status": "yes",
    "patch tracingpolicies.cilium.io": "no",
    "patch tracingnodes.trigon.dev": "no",
    "get secrets --all-namespaces": "no",
    [`list secrets --namespace=${NAMESPACE}`]: "no",
    "list configmaps --namespace=default": "no",
    "list pods --all-namespaces": "no",
    "list nodes": "no",
  };
  for (const [question, answer] of Object.entries(answers)) {
    test(`${answer}: ${question}`, async () => {
      const account = `system:serviceaccount:${NAMESPACE}:trigon-operator`;
      // can-i reports the answer by its exit status, too.
      const said = await kubectl(plane, "auth", "can-i", ...question.split(" "), "--as", account).catch(
        () => "no",
      );
      assert.equal(said.trim(), answer);
    });
  }
});
