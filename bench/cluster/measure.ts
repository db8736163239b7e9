/**
 * Runs against a cluster and prints a table of times, from the request to the effect on the last node. Effects are read
 * from the agents' /metrics, not from a status: a hook is attached, a hook runs in a pod.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { PLURALS, POLICY_API } from "../../crds/names.ts";
import {
  type AgentPod,
  agentPods,
  conditionIs,
  events,
  metrics,
  type PolicyObject,
  type TrigonEvent,
} from "../../e2e/stories/cluster-view.ts";
import { WORKLOAD_IMAGE } from "../../e2e/stories/demo.ts";
import { until } from "../../e2e/stories/kubectl.ts";
import { kubeconfigAccess } from "../../lib/cluster-access.ts";
import { KubeClient } from "../../lib/kube.ts";
import { type KubeObject, PODS, type Resource } from "../../lib/resources.ts";
import { median, showTable, writeResult } from "../report.ts";

const ROUNDS = 10;
const RELABELS = 5;
/** Containers in a row, in each of the pods of a node. */
const CONTAINERS = 25;
const PODS_PER_NODE = 2;
const POLL_MS = 100;
const NAMESPACE = "default";
const POLICIES: Resource = {
  ...POLICY_API,
  plural: PLURALS.TracingPolicy,
  kind: "TracingPolicy",
  namespaced: false,
};
const WRITER = { fieldManager: "bench" };

const client = new KubeClient(await kubeconfigAccess(process.env.KUBECONFIG ?? ""), { userAgent: "bench" });
const agents = await until("agents", async () => {
  const found = await agentPods();
  return found.length > 0 && found;
});
const samples = new Map<string, number[]>();

await measureAttach();
await measureRelabel();
const shares = await measureShortContainers();
const rows = [...samples].map(([effect, seconds]) => ({
  effect,
  "median s": round(median(seconds)),
  "slowest s": round(Math.max(...seconds)),
  rounds: seconds.length,
}));
showTable("from the request to the effect on the last node", rows);
showTable("containers that call and end at once", [shares]);
await writeResult("cluster", { times: rows, shortContainers: shares });

async function measureAttach(): Promise<void> {
  const policy = makePolicy("bench-attach", {});
  const shown = 'trigon_hook_attached{policy="bench-attach"';
  for (let n = 0; n < ROUNDS; n++) {
    const start = performance.now();
    await client.create(POLICIES, policy, WRITER);
    await onEveryNode((text) => text.includes(shown));
    sample("apply -> attached", start);
    await until("policy Ready", async () =>
      conditionIs(await client.get<PolicyObject & KubeObject>(POLICIES, policy.metadata), "Ready", "True"),
    );
    sample("apply -> Ready in the status", start);
    const deleted = performance.now();
    await client.delete(POLICIES, policy.metadata);
    await onEveryNode((text) => !text.includes(shown));
    sample("delete -> detached", deleted);
  }
}

async function measureRelabel(): Promise<void> {
  const policy = makePolicy("bench-relabel", { podSelector: { matchLabels: { app: "bench-in" } } });
  await client.create(POLICIES, policy, WRITER);
  const names = agents.map(({ node }) => `bench-loop-${node}`);
  for (const [index, name] of names.entries())
    await client.create(PODS, makePod(name, agents[index]?.node ?? "", LOOP), WRITER);
  await Promise.all(names.map((name) => podIs(name, "Running")));
  const hits = (text: string) => sumOf(text, "trigon_hook_hits_total", "bench-relabel");
  await onEveryNode((text) => text.includes('trigon_hook_attached{policy="bench-relabel"'));
  for (let n = 0; n < RELABELS; n++) {
    const before = new Map(
      await Promise.all(agents.map(async (agent) => [agent, hits(await metrics(agent))] as const)),
    );
    const start = performance.now();
    await relabel(names, "bench-in");
    await onEveryNode((text, agent) => hits(text) > (before.get(agent) ?? 0));
    sample("relabel -> covered", start);
    await relabel(names, "bench-out");
    await untilStill(hits);
  }
  await client.delete(POLICIES, policy.metadata);
  for (const name of names) await client.delete(PODS, { name, namespace: NAMESPACE });
}

/** Containers that call with their first instruction and end: how many of the calls are events, and name the container. */
async function measureShortContainers() {
  const policy = makePolicy(
    "bench-short",
    { podSelector: { matchLabels: { app: "bench-short" } } },
    "sys_setresuid",
  );
  await client.create(POLICIES, policy, WRITER);
  await onEveryNode((text) => text.includes('trigon_hook_attached{policy="bench-short"'));
  const undecidedBefore = await undecided();
  const start = performance.now();
  const pods = agents.flatMap(({ node }) =>
    Array.from({ length: PODS_PER_NODE }, (_, n) => makeShortPod(`bench-short-${node}-${n}`, node)),
  );
  for (const pod of pods) await client.create(PODS, pod, WRITER);
  await Promise.all(pods.map(({ metadata }) => podIs(metadata.name, "Succeeded")));
  const containers = pods.length * CONTAINERS;
  const seconds = (performance.now() - start) / 1000;
  const hits = await until("the last events", async () => {
    const found = (await events()).filter((event) => policyOf(event) === "bench-short");
    return found.length >= containers && found;
  }).catch(async () => (await events()).filter((event) => policyOf(event) === "bench-short"));
  await client.delete(POLICIES, policy.metadata);
  for (const { metadata } of pods) await client.delete(PODS, metadata);
  return {
    containers,
    "in seconds": round(seconds),
    "with event": hits.length,
    "with pod": hits.filter((event) => podOf(event)?.name).length,
    "with container and image": hits.filter(hasContainer).length,
    "pod not known to the program": (await undecided()) - undecidedBefore,
  };
}

/** Polls every agent until each one's /metrics passes the check. */
async function onEveryNode(check: (text: string, agent: AgentPod) => boolean): Promise<void> {
  await Promise.all(
    agents.map(async (agent) => {
      for (const end = Date.now() + 120_000; !check(await metrics(agent), agent); await delay(POLL_MS))
        assert.ok(Date.now() < end, `${agent.node}: no effect within 120 s`);
    }),
  );
}

/** Waits until no hook runs in the pods any more. */
async function untilStill(hits: (text: string) => number): Promise<void> {
  const last = new Map<AgentPod, number>();
  await onEveryNode((text, agent) => {
    const before = last.get(agent);
    last.set(agent, hits(text));
    return before === hits(text);
  });
}

async function undecided(): Promise<number> {
  const texts = await Promise.all(agents.map(metrics));
  return texts.reduce((sum, text) => sum + sumOf(text, "trigon_undecided_scope_records_total"), 0);
}

function sumOf(text: string, metric: string, policy?: string): number {
  const lines = text
    .split("\n")
    .filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `));
  const mine = policy === undefined ? lines : lines.filter((line) => line.includes(`policy="${policy}"`));
  return mine.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

function sample(effect: string, start: number): void {
  const seconds = (performance.now() - start) / 1000;
  samples.set(effect, [...(samples.get(effect) ?? []), seconds]);
}

function round(seconds: number): number {
  return Number(seconds.toFixed(1));
}

async function relabel(names: readonly string[], app: string): Promise<void> {
  const patch = { metadata: { labels: { app } } };
  await Promise.all(
    names.map((name) => client.mergePatch(PODS, { name, namespace: NAMESPACE }, patch, WRITER)),
  );
}

async function podIs(name: string, phase: string): Promise<void> {
  await until(`pod ${name} ${phase}`, async () => {
    const pod = await client.get<KubeObject & { status?: { phase?: string } }>(PODS, {
      name,
      namespace: NAMESPACE,
    });
    return pod.status?.phase === phase;
  });
}

/** Ten calls of umask a second, without a process for each. */
const LOOP = [
  "bash",
  "-c",
  "mkfifo /tmp/wait; exec 3<>/tmp/wait; while :; do umask 022; read -t 0.1 <&3; done",
];
const CALL = ["setpriv", "--reuid=4321", "--clear-groups", "true"];

function makePolicy(name: string, selectors: object, call = "sys_umask") {
  const kprobes = [{ call, syscall: true, args: [{ index: 0, type: "uint32" }] }];
  return { metadata: { name }, spec: { kprobes, ...selectors } };
}

function makeContainer(name: string, command: readonly string[]) {
  return { name, command, image: WORKLOAD_IMAGE, imagePullPolicy: "IfNotPresent" };
}

function makePod(name: string, nodeName: string, command: readonly string[]) {
  return {
    metadata: { name, namespace: NAMESPACE, labels: { app: "bench-out" } },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 0,
      restartPolicy: "Never",
      tolerations: [{ operator: "Exists" }],
      containers: [makeContainer("main", command)],
    },
  };
}

/** Init containers run one after the other; the main container is the last one. */
function makeShortPod(name: string, nodeName: string) {
  const pod = makePod(name, nodeName, CALL);
  const initContainers = Array.from({ length: CONTAINERS - 1 }, (_, n) => makeContainer(`init-${n}`, CALL));
  const metadata = { ...pod.metadata, labels: { app: "bench-short" } };
  return { ...pod, metadata, spec: { ...pod.spec, initContainers } };
}

interface Kprobe {
  policy_name: string;
  process: { pod?: { name: string; container: { name?: string; image?: { name?: string } } } };
}

function kprobeOf(event: TrigonEvent): Kprobe | undefined {
  return event.process_kprobe as Kprobe | undefined;
}

function policyOf(event: TrigonEvent): string | undefined {
  return kprobeOf(event)?.policy_name;
}

function podOf(event: TrigonEvent) {
  return kprobeOf(event)?.process.pod;
}

function hasContainer(event: TrigonEvent): boolean {
  const container = podOf(event)?.container;
  return Boolean(container?.name && container.image?.name);
}
