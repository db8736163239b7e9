/** What an agent's Pod shows about its node. Pure. */
import type { KubeObject } from "../../lib/resources.ts";
import { slimMeta } from "../resources.ts";

/** Whether the agent of a node answers. */
export interface AgentHealth {
  /** `absent`: the node itself does not answer, so nothing is wrong with the agent. */
  readonly state: "ready" | "starting" | "unavailable" | "absent";
  /** Why not ready. Equal for equal causes, so that nodes can be grouped by it. */
  readonly message?: string;
  /** Milliseconds since 1970 at which the agent stopped being ready, or its Pod was created. */
  readonly since?: number;
}

/** A Pod of the DaemonSet, reduced. */
export interface AgentPod extends KubeObject {
  /** Where it runs or is meant to run. */
  readonly nodeName?: string;
  readonly health: AgentHealth;
}

interface WirePod extends KubeObject {
  spec?: { nodeName?: string; affinity?: Affinity };
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    conditions?: { type: string; status: string; message?: string; lastTransitionTime?: string }[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

interface Affinity {
  nodeAffinity?: {
    requiredDuringSchedulingIgnoredDuringExecution?: {
      nodeSelectorTerms?: { matchFields?: { key?: string; values?: string[] }[] }[];
    };
  };
}

interface ContainerStatus {
  restartCount?: number;
  state?: ContainerState;
  lastState?: ContainerState;
}

interface ContainerState {
  waiting?: { reason?: string; message?: string };
  running?: object;
  terminated?: { reason?: string; message?: string; exitCode?: number; signal?: number };
}

/** Reasons of the kubelet for a container that is being created. */
const BEING_CREATED = new Set(["ContainerCreating", "PodInitializing"]);
const MAX_MESSAGE = 400;

/** Reduces a Pod to its node and health. */
export function parseAgentPod(object: KubeObject): AgentPod {
  const pod = object as WirePod;
  const nodeName = pod.spec?.nodeName || targetNode(pod.spec?.affinity);
  return { metadata: slimMeta(pod.metadata), ...(nodeName && { nodeName }), health: healthOf(pod) };
}

/** A DaemonSet makes each Pod for one node. If it does not fit there, that node has no agent. */
function targetNode(affinity: Affinity | undefined): string | undefined {
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const names = (terms ?? []).flatMap(({ matchFields = [] }) =>
    matchFields.flatMap(({ key, values = [] }) => (key === "metadata.name" ? values : [])),
  );
  return names.length === 1 ? names[0] : undefined;
}

/** The Pod that counts for the node: the newest one that is not being deleted. */
export function preferredPod(pods: Iterable<AgentPod>): AgentPod | undefined {
  return [...pods].sort(compareAge).at(-1);
}

function compareAge(a: AgentPod, b: AgentPod): number {
  const leaving = (pod: AgentPod) => (pod.metadata.deletionTimestamp === undefined ? 1 : 0);
  const born = (pod: AgentPod) => pod.metadata.creationTimestamp ?? "";
  return leaving(a) - leaving(b) || (born(a) < born(b) ? -1 : 1);
}

function healthOf(pod: WirePod): AgentHealth {
  const { status = {} } = pod;
  if (hasCondition(status, "Ready", "True")) return { state: "ready" };
  const since = notReadySince(pod);
  if (isNodeSilent(status)) return { state: "absent", message: "the node is not ready", ...since };

  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  const reason = containers.map(describeTrouble).find((text) => text !== undefined) ?? podTrouble(status);
  const message = `agent pod ${reason ?? "is not ready"}`.slice(0, MAX_MESSAGE);
  return { state: reason === undefined ? "starting" : "unavailable", message, ...since };
}

/**
 * True when the kubelet of the node does not answer. The node lifecycle controller (MarkPodsNotReady, Kubernetes 1.36)
 * then changes Ready of its Pods and nothing else. A kubelet always changes Ready and ContainersReady together.
 */
function isNodeSilent(status: NonNullable<WirePod["status"]>): boolean {
  const isMarked = hasCondition(status, "Ready", "False") && hasCondition(status, "ContainersReady", "True");
  return isMarked || status.phase === "Unknown" || status.reason === "NodeLost";
}

function hasCondition(status: NonNullable<WirePod["status"]>, type: string, value: string): boolean {
  return status.conditions?.some((one) => one.type === type && one.status === value) ?? false;
}

function notReadySince({ status, metadata }: WirePod): { since?: number } {
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  const since = Date.parse(ready?.lastTransitionTime ?? metadata.creationTimestamp ?? "");
  return Number.isNaN(since) ? {} : { since };
}

/** Undefined for a container without a problem: being created, or running for the first time. */
function describeTrouble(container: ContainerStatus): string | undefined {
  const { waiting, terminated } = container.state ?? {};
  const last = terminated ?? container.lastState?.terminated;
  const ended = last && describeEnd(last);
  if (waiting && !BEING_CREATED.has(waiting.reason ?? "")) {
    return joinParts(`is in ${waiting.reason ?? "waiting"}`, ended ?? waiting.message);
  }
  if (terminated) return ended;
  return (container.restartCount ?? 0) > 0 ? joinParts("was restarted and is not ready", ended) : undefined;
}

function podTrouble(status: NonNullable<WirePod["status"]>): string | undefined {
  if (status.phase === "Failed")
    return joinParts(`failed${status.reason ? ` (${status.reason})` : ""}`, status.message);
  const scheduled = status.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False") return joinParts("is not scheduled", scheduled.message);
  return undefined;
}

/** The message of a container that was killed is what stood last in its log, and not why it was killed. */
function describeEnd(end: NonNullable<ContainerState["terminated"]>): string {
  const killed = describeKill(end);
  if (killed !== undefined) return killed;
  return joinParts(`ended with ${end.reason ?? "exit"} ${end.exitCode ?? ""}`.trim(), end.message);
}

/** What happened and what to do, for an end by a signal. */
function describeKill({ reason, exitCode = 0, signal }: NonNullable<ContainerState["terminated"]>) {
  if (reason === "OOMKilled")
    return "was killed: out of memory; raise resources.limits.memory of the agent, or give the node more memory";
  const number = signal ?? (exitCode > 128 && exitCode < 160 ? exitCode - 128 : undefined);
  if (number === undefined || number === 0) return undefined;
  if (number === 9 || number === 15)
    return `was killed by signal ${number}: its liveness probe failed, or the node stopped it; see kubectl describe pod`;
  return `was killed by signal ${number}: it crashed; see kubectl logs --previous`;
}

function joinParts(head: string, tail: string | undefined): string {
  const text = tail?.trim();
  return text ? `${head}: ${text}` : head;
}
