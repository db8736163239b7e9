/** Trigon in a cluster as a user sees it: policies, agents, events, counts. */
import { AGENT_POD_SELECTOR, DEFAULT_NAMESPACE } from "../../crds/names.ts";
import { getObject, kubectl, until, waitFor, withForwardedPort } from "./kubectl.ts";

/** The parts of a policy's status that stories check. */
export interface PolicyObject {
  metadata: { name: string; generation: number };
  status?: {
    observedGeneration?: number;
    nodesSummary?: string;
    nodes?: { absent?: number; pending?: number; unavailable?: number };
    conditions?: { type: string; status: string; reason: string; message: string }[];
  };
}

/** One running agent. */
export interface AgentPod {
  name: string;
  node: string;
}

/** One line of the event stream. */
export interface TrigonEvent {
  node_name: string;
  time: string;
  [kind: string]: unknown;
}

/** The policy as the API server has it. */
export function getPolicy(name: string): Promise<PolicyObject | undefined> {
  return getObject<PolicyObject>("tracingpolicies", name);
}

/** Waits until the newest generation of a policy is Ready on every node. */
export function policyReady(name: string): Promise<PolicyObject> {
  return until(`policy ${name} Ready`, async () => {
    await waitFor("condition=Ready", `tracingpolicy/${name}`);
    const policy = await getPolicy(name);
    return isReadyEverywhere(policy) && policy;
  });
}

/** Ready alone leaves out nodes whose agent is short of time for a moment. */
export function isReadyEverywhere(policy: PolicyObject | undefined): boolean {
  const { absent = 0, pending = 0, unavailable = 0 } = policy?.status?.nodes ?? {};
  return conditionIs(policy, "Ready", "True") && absent + pending + unavailable === 0;
}

/** True only for a condition about the newest generation. */
export function conditionIs(policy: PolicyObject | undefined, type: string, status: string): boolean {
  if (policy?.status?.observedGeneration !== policy?.metadata.generation) return false;
  return policy?.status?.conditions?.some((item) => item.type === type && item.status === status) ?? false;
}

/** Agents that run, by node name. */
export async function agentPods(): Promise<AgentPod[]> {
  const list = await getObject<{
    items: { metadata: { name: string }; spec: { nodeName: string } }[];
  }>("pods", "-n", DEFAULT_NAMESPACE, "-l", AGENT_POD_SELECTOR);
  return (list?.items ?? [])
    .map((pod) => ({ name: pod.metadata.name, node: pod.spec.nodeName }))
    .sort((a, b) => a.node.localeCompare(b.node));
}

/** Every event that the agents have written to their standard output. */
export async function events(): Promise<TrigonEvent[]> {
  const logs = await Promise.all(
    (await agentPods()).map((pod) => kubectl(["logs", "-n", DEFAULT_NAMESPACE, pod.name, "-c", "agent"])),
  );
  return logs
    .flatMap((log) => log.split("\n"))
    .filter((line) => /^\{"(process_|credential_drift")/.test(line))
    .map((line) => JSON.parse(line) as TrigonEvent)
    .sort((a, b) => a.time.localeCompare(b.time));
}

const METRICS_PORT = 2112;

/**
 * Lines of an agent's /metrics. A network policy keeps other clients out, but a forwarded connection is made inside the
 * pod, and needs no further Node there, whose start takes an emulated node seconds.
 */
export function metrics(pod: AgentPod): Promise<string> {
  return withForwardedPort(DEFAULT_NAMESPACE, pod.name, METRICS_PORT, async (url) =>
    (await fetch(`${url}/metrics`)).text(),
  );
}

/** Whether an event is a detection of a policy. */
export function isDetection(event: TrigonEvent, policy: string, node = event.node_name): boolean {
  const kprobe = event.process_kprobe as { policy_name?: string } | undefined;
  return kprobe?.policy_name === policy && event.node_name === node;
}

/** Detections of a policy that an agent's /metrics counts, all pods and hooks together. */
export function countedDetections(text: string, policy: string): number {
  return text
    .split("\n")
    .filter((line) => line.startsWith("trigon_policy_events_total{") && line.includes(`policy="${policy}"`))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}
