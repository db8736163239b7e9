/** Pod and container of a process, as events show them. */
import { type Encoded, noneEncoded } from "../records/encoded.ts";
import type { ContainerRef } from "./container-id.ts";
import type { ContainerSpec, ContainerStatus, PodObject } from "./pod-object.ts";
import type { ContainerFacts } from "./runtime-bundles.ts";
import { podWorkload } from "./workload.ts";

/** A container in its pod. Its facts do not change: a later state of the pod makes another one. */
export interface PodContext {
  namespace: string;
  name: string;
  uid: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  workload: string;
  workloadKind: string;
  container: ContainerContext;
  readonly encoded: Encoded;
}

/** Absent parts are not known (yet). */
export interface ContainerContext {
  /** `RUNTIME://ID`. */
  id: string;
  name?: string;
  image?: { id: string; name: string };
  startTime?: string;
  privileged: boolean;
  /** Commands of the container's exec liveness and readiness probes. */
  probeCommands: string[][];
}

/**
 * Everything that a pod object has about a container in it, and the runtime until then; `complete` when the kubelet has
 * named the container, which it never does with a sandbox.
 */
export function makePodContext(
  pod: PodObject,
  ref: ContainerRef,
  facts?: ContainerFacts,
): { context: PodContext; complete: boolean } {
  const status = findStatus(pod, ref.id);
  const name = status?.name ?? facts?.name;
  const spec = name === undefined ? undefined : findSpec(pod, name);
  const workload = podWorkload(pod);
  const context: PodContext = {
    namespace: pod.metadata.namespace ?? "",
    name: pod.metadata.name,
    uid: pod.metadata.uid ?? "",
    labels: pod.metadata.labels ?? {},
    annotations: pod.shownAnnotations ?? {},
    workload: workload.name,
    workloadKind: workload.kind,
    container: makeContainer(ref, status, spec, facts),
    encoded: noneEncoded(),
  };
  return { context, complete: status !== undefined || facts?.isSandbox === true };
}

/** All statuses of a pod: ordinary, init and ephemeral containers. */
export function containerStatuses(pod: PodObject): ContainerStatus[] {
  const {
    containerStatuses = [],
    initContainerStatuses = [],
    ephemeralContainerStatuses = [],
  } = pod.status ?? {};
  return [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses];
}

/** Ids of a container that a status names: the current one and the one before its last restart. */
export function containerIds(status: ContainerStatus): string[] {
  const ids = [
    status.containerID,
    status.state?.terminated?.containerID,
    status.lastState?.terminated?.containerID,
  ];
  return [...new Set(ids.filter((id): id is string => !!id))];
}

/** The id after `RUNTIME://`. */
export function bareId(containerId: string): string {
  return containerId.slice(containerId.indexOf("://") + (containerId.includes("://") ? 3 : 1));
}

/** Status of the container with this id; undefined while the kubelet has not named it. */
export function findStatus(pod: PodObject, id: string): ContainerStatus | undefined {
  return containerStatuses(pod).find((status) => containerIds(status).some((full) => bareId(full) === id));
}

/** All containers of a pod: ordinary, init and ephemeral ones. */
export function containerSpecs({ spec = {} }: PodObject): ContainerSpec[] {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = spec;
  return [...containers, ...initContainers, ...ephemeralContainers];
}

function findSpec(pod: PodObject, name: string): ContainerSpec | undefined {
  return containerSpecs(pod).find((spec) => spec.name === name);
}

function makeContainer(
  ref: ContainerRef,
  status: ContainerStatus | undefined,
  spec: ContainerSpec | undefined,
  facts: ContainerFacts | undefined,
): ContainerContext {
  const id = ref.runtime === undefined ? ref.id : `${ref.runtime}://${ref.id}`;
  const base = {
    id,
    privileged: spec?.securityContext?.privileged === true,
    probeCommands: probeCommands(spec),
  };
  if (status === undefined) return { ...base, ...fromRuntime(facts) };
  const startTime = findStart(status, ref.id);
  return {
    ...base,
    id: containerIds(status).find((full) => bareId(full) === ref.id) ?? id,
    name: status.name,
    image: { id: status.imageID ?? "", name: status.image ?? "" },
    ...(startTime !== undefined && { startTime }),
  };
}

/** Without the digest of the image, which only the kubelet reports. */
function fromRuntime({
  name,
  image,
}: Partial<ContainerFacts> = {}): Pick<ContainerContext, "name" | "image"> {
  return {
    ...(name !== undefined && { name }),
    ...(image !== undefined && { image: { id: "", name: image } }),
  };
}

/** When the container with this id started, not the one that replaced it. */
function findStart(status: ContainerStatus, id: string): string | undefined {
  const before = status.lastState?.terminated;
  if (before?.containerID !== undefined && bareId(before.containerID) === id) return before.startedAt;
  return status.state?.running?.startedAt ?? status.state?.terminated?.startedAt;
}

function probeCommands(spec: ContainerSpec | undefined): string[][] {
  const commands = [spec?.livenessProbe?.exec?.command, spec?.readinessProbe?.exec?.command];
  return commands.filter((command): command is string[] => command !== undefined && command.length > 0);
}
