/**
 * The steps of quickstart, against the cluster in KUBECONFIG: applies two policies, waits until they are Ready on every
 * node, changes credentials in a pod of each node, and shows events and counts. Exit status 0 only if all succeeds.
 */

import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type CompactEvent, compactLine } from "../cli/events/compact.ts";
import { policyNames } from "./policy-files.ts";
import { step } from "./progress.ts";
import { CHANGES, OWN_POLICIES } from "./stories/changes.ts";
import {
  type AgentPod,
  agentPods,
  countedDetections,
  events,
  isDetection,
  metrics,
  policyReady,
  type TrigonEvent,
} from "./stories/cluster-view.ts";
import { change, startDemoPod } from "./stories/demo.ts";
import { kubectl, until } from "./stories/kubectl.ts";

const EXAMPLES = fileURLToPath(new URL("../crds/examples/valid/", import.meta.url));
const LINES_SHOWN = 40;

const progress = (line: string) => process.stderr.write(`${line}\n`);
const print = (line = "") => process.stdout.write(`${line}\n`);

interface Policy {
  file: string;
  name: string;
  /** One of our two policies: it must post events on every node. */
  mustFire: boolean;
}

/** Events of one policy on one node. */
interface Sighting {
  policy: string;
  node: string;
  events: number;
  counted: number;
}

await main();

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { policy: { type: "string", multiple: true, default: [] } } });
  const policies = [
    ...(await Promise.all(OWN_POLICIES.map((file) => readPolicies(EXAMPLES + file, true)))),
    ...(await Promise.all(values.policy.map((file) => readPolicies(file, false)))),
  ].flat();
  const agents = await agentPods();
  const [, pods] = await Promise.all([
    step(progress, "policies applied and Ready on every node", () => applyAll(policies)),
    step(progress, `a pod on each of ${agents.length} nodes`, () =>
      Promise.all(agents.map((agent) => startDemoPod(agent.node))),
    ),
  ]);
  const seen = await step(
    progress,
    `credentials changed in the pods (${Object.keys(CHANGES).join(", ")})`,
    async () => {
      await Promise.all(pods.map(changeAll));
      return allSeen(policies, agents);
    },
  );
  await report(policies, seen);
  await step(progress, "counts", async () => {
    const counts = await until("counts equal to events", () => allCounted(policies, agents));
    printCounts(counts);
  });
  for (const pod of pods) await kubectl(["delete", "pod", pod, "--now", "--wait=false"]);
}

async function readPolicies(file: string, mustFire: boolean): Promise<Policy[]> {
  return (await policyNames(file)).map((name) => ({ file, name, mustFire }));
}

async function applyAll(policies: readonly Policy[]): Promise<void> {
  const files = new Set(policies.map((policy) => policy.file));
  await kubectl(["apply", ...[...files].flatMap((file) => ["-f", file])]);
  await Promise.all(policies.map(isReady));
}

async function isReady({ name, file }: Policy): Promise<void> {
  await policyReady(name).catch(async (error: unknown) => {
    print(await kubectl(["get", "tracingpolicies", "-o", "wide"]));
    throw new Error(`${basename(file)} is not Ready`, { cause: error });
  });
}

async function changeAll(pod: string): Promise<void> {
  for (const what of Object.keys(CHANGES) as (keyof typeof CHANGES)[]) await change(pod, what);
}

/** Waits until each of our policies has posted on each node; returns the events of the demo pods. */
async function allSeen(policies: readonly Policy[], agents: readonly AgentPod[]): Promise<TrigonEvent[]> {
  return until("events of both policies from every node", async () => {
    const found = await events();
    const missing = policies
      .filter((policy) => policy.mustFire)
      .flatMap(({ name }) =>
        agents.filter(({ node }) => !found.some((event) => isDetection(event, name, node) && demoPod(event))),
      );
    return missing.length === 0 && found;
  });
}

async function report(policies: readonly Policy[], all: readonly TrigonEvent[]): Promise<void> {
  print("\n$ kubectl get tracingpolicies");
  print(await kubectl(["get", "tracingpolicies"]));
  const ours = all.filter((event) => demoPod(event) && policies.some(({ name }) => isDetection(event, name)));
  print(
    `${ours.length} detections in the demo pods${ours.length > LINES_SHOWN ? `, the last ${LINES_SHOWN}` : ""}:`,
  );
  for (const event of ours.slice(-LINES_SHOWN)) print(compactLine(event as CompactEvent));
  print("\nthe last one in full:");
  print(JSON.stringify(ours.at(-1)));
}

/** Counts from /metrics and from the event stream; undefined while they differ. */
async function allCounted(
  policies: readonly Policy[],
  agents: readonly AgentPod[],
): Promise<Sighting[] | undefined> {
  const counts = await Promise.all(agents.map(metrics));
  const stream = await events();
  const sightings = agents.flatMap(({ node }, index) =>
    policies.map(({ name: policy }) => ({
      policy,
      node,
      counted: countedDetections(counts[index] ?? "", policy),
      events: stream.filter((event) => isDetection(event, policy, node)).length,
    })),
  );
  return sightings.every(({ counted, events }) => counted === events) ? sightings : undefined;
}

function printCounts(sightings: readonly Sighting[]): void {
  print("\ndetections counted in each agent's /metrics (trigon_policy_events_total):");
  for (const { node, policy, counted } of sightings)
    print(`  ${node.padEnd(12)} ${policy.padEnd(44)} ${counted}`);
}

function demoPod(event: TrigonEvent): boolean {
  const kprobe = event.process_kprobe as { process?: { pod?: { name?: string } } } | undefined;
  return kprobe?.process?.pod?.name?.startsWith("demo-") ?? false;
}
