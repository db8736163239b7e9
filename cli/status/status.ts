/** `trigon status`: policies and nodes of the cluster at a glance. */
import { setTimeout } from "node:timers/promises";
import { AGENT_POD_SELECTOR, PLURALS, POLICY_API, type PolicyKind, TRACING_NODES } from "../../crds/names.ts";
import type { TracingNode } from "../../crds/tracingnode-v1alpha1.gen.ts";
import type { TracingPolicy } from "../../crds/tracingpolicy-v1alpha1.gen.ts";
import type { KubeClient } from "../../lib/kube.ts";
import { type KubeObject, PODS, resourcePath } from "../../lib/resources.ts";
import { EXIT, type LiveStreams } from "../streams.ts";
import { parseLosses } from "./losses.ts";
import { type ClusterSummary, type NodeLosses, summarize, summaryLines } from "./summary.ts";

/** The flags. */
export interface StatusOptions {
  output: "text" | "json";
  /** Namespace of the agents. */
  namespace: string;
  /** How long to wait until everything is ready, in seconds; absent: not at all. */
  wait?: number;
}

const POLL_MS = 2_000;
const METRICS_PORT = 2112;

/** Prints the state; the exit status says whether every policy is ready. */
export async function status(
  client: KubeClient,
  { output, namespace, wait = 0 }: StatusOptions,
  streams: LiveStreams,
): Promise<number> {
  const end = performance.now() + wait * 1000;
  let summary = await readSummary(client, namespace);
  while (!summary.ready && performance.now() < end && !streams.signal.aborted) {
    await setTimeout(POLL_MS, undefined, { signal: streams.signal }).catch(() => {});
    summary = await readSummary(client, namespace);
  }
  for (const line of output === "json" ? [JSON.stringify(summary)] : summaryLines(summary)) streams.out(line);
  return summary.ready ? EXIT.ok : EXIT.failed;
}

async function readSummary(client: KubeClient, namespace: string): Promise<ClusterSummary> {
  const [cluster, namespaced, nodes, losses] = await Promise.all([
    listPolicies(client, "TracingPolicy"),
    listPolicies(client, "TracingPolicyNamespaced"),
    client.list<TracingNode & KubeObject>(TRACING_NODES),
    readLosses(client, namespace),
  ]);
  return summarize({ policies: [...cluster, ...namespaced], nodes, losses });
}

/** Items of a list do not say their kind. */
async function listPolicies(client: KubeClient, kind: PolicyKind): Promise<TracingPolicy[]> {
  const { group, version } = POLICY_API;
  const resource = {
    group,
    version,
    plural: PLURALS[kind],
    kind,
    namespaced: kind === "TracingPolicyNamespaced",
  };
  const items = await client.list<TracingPolicy & KubeObject>(resource);
  return items.map((item) => ({ ...item, kind }));
}

type AgentPod = KubeObject & { spec?: { nodeName?: string } };

/** From the metrics of each agent, through the API server; who may not do that sees why. */
async function readLosses(client: KubeClient, namespace: string): Promise<Map<string, NodeLosses>> {
  const pods = await client.list<AgentPod>(PODS, { namespace, labelSelector: AGENT_POD_SELECTOR });
  const entries = pods.map(async ({ metadata: { name }, spec }) => {
    const path = `${resourcePath(PODS, { namespace, name })}:${METRICS_PORT}`;
    return [spec?.nodeName ?? "", await lossesAt(client, `${path}/proxy/metrics`)] as const;
  });
  return new Map(await Promise.all(entries));
}

async function lossesAt(client: KubeClient, path: string): Promise<NodeLosses> {
  try {
    const { status, text } = await client.transport.send({ method: "GET", path });
    return status === 200 ? parseLosses(text) : { unknown: `GET ${path}: HTTP ${status}` };
  } catch (error) {
    return { unknown: (error as Error).message };
  }
}
