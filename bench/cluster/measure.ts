/**
 * Runs against a cluster and prints tables: times from the request to the effect on the last node, and what is known of
 * containers that end at once. Effects are what the agents' /metrics count, not a status: a hook is attached, a program
 * has written a record.
 *
 *   measure.ts ROUNDS CONTAINERS
 */
import { setTimeout as delay } from "node:timers/promises";
import { PLURALS, POLICY_API } from "../../crds/names.ts";
import { conditionIs, type PolicyObject } from "../../e2e/stories/cluster-view.ts";
import { until } from "../../e2e/stories/kubectl.ts";
import { kubeconfigAccess } from "../../lib/cluster-access.ts";
import { KubeClient } from "../../lib/kube.ts";
import { type KubeObject, PODS, type Resource } from "../../lib/resources.ts";
import { median, showTable, writeResult } from "../report.ts";
import { findAgents, onEveryNode, readMetrics } from "./agents.ts";
import { firstCall, type Hit, hitsOf, livesOf, namesContainer } from "./hits.ts";
import {
  CALL_AND_END,
  COUNTING_CALLS,
  LAST_CALL,
  LOOP,
  makePod,
  makePolicy,
  NAMESPACE,
  podsOf,
} from "./objects.ts";

/** So many pods run beside each other on a node; the containers of each run one after the other. */
const PODS_PER_NODE = 2;
/** In this time a looping pod would have been seen to call. */
const STILL_MS = 1500;
const POLICIES: Resource = {
  ...POLICY_API,
  plural: PLURALS.TracingPolicy,
  kind: "TracingPolicy",
  namespaced: false,
};
const WRITER = { fieldManager: "bench" };

const [rounds = 0, containers = 0] = process.argv.slice(2).map(Number);
const client = new KubeClient(await kubeconfigAccess(process.env.KUBECONFIG ?? ""), { userAgent: "bench" });
const agents = await findAgents();
const samples = new Map<string, number[]>();

await measureAttach();
await measureRelabel();
const starts = await measurePodStart();
const short = await measureShortContainers();
const times = [...samples].map(([effect, seconds]) => ({
  effect,
  "median s": round(median(seconds)),
  "slowest s": round(Math.max(...seconds)),
  times: seconds.length,
}));
showTable("from the request to the effect on the last node", times);
showTable("pods that call from their first instruction on", [starts]);
showTable("containers that call and end at once", [short]);
await writeResult("cluster", { times, starts, short });

async function measureAttach(): Promise<void> {
  const policy = makePolicy("bench-attach", {});
  for (let n = 0; n < rounds; n++) {
    const start = performance.now();
    await client.create(POLICIES, policy, WRITER);
    await onEveryNode(agents, (metrics) => metrics.isAttached("bench-attach"));
    sample("apply -> attached", start);
    await until("policy Ready", async () =>
      conditionIs(await client.get<PolicyObject & KubeObject>(POLICIES, policy.metadata), "Ready", "True"),
    );
    sample("apply -> Ready in the status", start);
    const deleted = performance.now();
    await client.delete(POLICIES, policy.metadata);
    await onEveryNode(agents, (metrics) => !metrics.isAttached("bench-attach"));
    sample("delete -> detached", deleted);
  }
}

async function measureRelabel(): Promise<void> {
  const policy = await attach("bench-relabel", podsOf("bench-in"));
  const names = await runPods("bench-loop", "bench-out", LOOP);
  await Promise.all(names.map((name) => podIs(name, "Running")));
  for (let n = 0; n < rounds; n++) {
    const before = await postedOf("bench-relabel");
    const start = performance.now();
    await relabel(names, "bench-in");
    await onEveryNode(
      agents,
      (metrics, { node }) => metrics.posted("bench-relabel") > (before.get(node) ?? 0),
    );
    sample("relabel -> covered", start);
    const left = performance.now();
    await relabel(names, "bench-out");
    add("relabel -> left alone", (await lastRecord("bench-relabel")) - left);
  }
  await remove(policy, names);
}

/** The first call that is reported has its number; those before it were missed. */
async function measurePodStart() {
  const policy = await attach("bench-start", podsOf("bench-start"));
  const undecidedBefore = await undecided();
  const missed: number[] = [];
  for (let n = 0; n < rounds; n++) {
    const before = await postedOf("bench-start");
    const start = performance.now();
    const names = await runPods(`bench-start-${n}`, "bench-start", COUNTING_CALLS);
    await onEveryNode(agents, (metrics, { node }) => metrics.posted("bench-start") > (before.get(node) ?? 0));
    sample("pod created -> its first record", start);
    for (const name of names) {
      const first = await until(`an event of ${name}`, () => firstCall("bench-start", name));
      missed.push(first.missed);
      add("container's first instruction -> its first record", 1000 * first.afterSeconds);
    }
    await Promise.all(names.map((name) => client.delete(PODS, { name, namespace: NAMESPACE })));
  }
  await remove(policy, []);
  return {
    pods: missed.length,
    "covered from their first call on": missed.filter((calls) => calls === 0).length,
    "most calls missed": Math.max(...missed),
    "records while the pod was not known to the program": (await undecided()) - undecidedBefore,
  };
}

/** Containers that call with their first instruction and end: how many of the calls are events, and name the container. */
async function measureShortContainers() {
  const policy = await attach("bench-short", podsOf("bench-short"));
  const undecidedBefore = await undecided();
  const start = performance.now();
  const perPod = Math.ceil(containers / agents.length / PODS_PER_NODE);
  const names: string[] = [];
  for (let n = 0; n < PODS_PER_NODE; n++)
    names.push(...(await runPods(`bench-short-${n}`, "bench-short", CALL_AND_END, perPod)));
  await Promise.all(names.map((name) => podIs(name, "Succeeded")));
  const seconds = (performance.now() - start) / 1000;
  const count = names.length * perPod;
  await waitFor(async () => (await lastCalls()).length >= count);
  const hits = await lastCalls();
  await remove(policy, names);
  return {
    containers: count,
    "in seconds": round(seconds),
    "with event": hits.length,
    "with pod": hits.filter(({ process }) => process.pod?.name).length,
    "with container and image": hits.filter(namesContainer).length,
    "pod not known to the program": (await undecided()) - undecidedBefore,
    "median life s": round(median(await livesOf(hits))),
  };
}

async function lastCalls(): Promise<Hit[]> {
  return (await hitsOf("bench-short")).filter(({ argument }) => argument === LAST_CALL);
}

async function attach(name: string, selectors: object) {
  const policy = makePolicy(name, selectors);
  await client.create(POLICIES, policy, WRITER);
  await onEveryNode(agents, (metrics) => metrics.isAttached(name));
  return policy;
}

async function remove({ metadata }: KubeObject, pods: readonly string[]): Promise<void> {
  await client.delete(POLICIES, metadata);
  for (const name of pods) await client.delete(PODS, { name, namespace: NAMESPACE });
}

/** One pod per node; returns their names. */
async function runPods(
  prefix: string,
  app: string,
  command: readonly string[],
  count = 1,
): Promise<string[]> {
  const pods = agents.map(({ node }) =>
    makePod(`${prefix}-${node}`, { nodeName: node, app, command, containers: count }),
  );
  await Promise.all(pods.map((pod) => client.create(PODS, pod, WRITER)));
  return pods.map(({ metadata }) => metadata.name);
}

async function postedOf(policy: string): Promise<Map<string, number>> {
  const counts = agents.map(
    async (agent) => [agent.node, (await readMetrics(agent)).posted(policy)] as const,
  );
  return new Map(await Promise.all(counts));
}

async function undecided(): Promise<number> {
  const all = await Promise.all(agents.map(readMetrics));
  return all.reduce((sum, metrics) => sum + metrics.undecided, 0);
}

/** Waits until the policy's programs write nothing any more, and returns when they did. */
async function lastRecord(policy: string): Promise<number> {
  let last = performance.now();
  for (let counts = "", before = counts; performance.now() - last < STILL_MS; before = counts) {
    counts = JSON.stringify([...(await postedOf(policy))]);
    if (counts !== before) last = performance.now();
    await delay(100);
  }
  return last;
}

/** Some seconds for what may never come: what is missing then is part of the result. */
async function waitFor(check: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end && !(await check()); ) await delay(500);
}

function sample(effect: string, start: number): void {
  add(effect, performance.now() - start);
}

function add(effect: string, ms: number): void {
  process.stderr.write(`${effect}: ${round(ms / 1000)} s\n`);
  samples.set(effect, [...(samples.get(effect) ?? []), ms / 1000]);
}

function round(seconds: number): number {
  return Number(seconds.toFixed(2));
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
