/** The parts of a Kubernetes Pod that events need; the watch keeps nothing else. */
import type { KubeObject, ObjectMeta, OwnerReference } from "../../lib/resources.ts";

/** An owner reference with the flag that marks the controller. */
export type Owner = OwnerReference & { controller?: boolean };

/** What is kept of a pod. */
export interface PodObject extends KubeObject {
  /** Annotations that events show; absent unless these are wanted. */
  shownAnnotations?: Record<string, string>;
  metadata: Omit<ObjectMeta, "ownerReferences"> & { ownerReferences?: Owner[] };
  spec?: {
    containers?: ContainerSpec[];
    initContainers?: ContainerSpec[];
    ephemeralContainers?: ContainerSpec[];
  };
  status?: {
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
    ephemeralContainerStatuses?: ContainerStatus[];
  };
}

/** A container in the spec. */
export interface ContainerSpec {
  name: string;
  image?: string;
  securityContext?: { privileged?: boolean };
  livenessProbe?: Probe;
  readinessProbe?: Probe;
}

interface Probe {
  exec?: { command?: string[] };
}

/** A container in the kubelet's status. */
export interface ContainerStatus {
  name: string;
  image?: string;
  imageID?: string;
  /** `RUNTIME://ID`; empty until the container has been created. */
  containerID?: string;
  state?: { running?: { startedAt?: string }; terminated?: Terminated };
  lastState?: { terminated?: Terminated };
}

interface Terminated {
  startedAt?: string;
  containerID?: string;
}

/** Drops what events do not need, which is most of a pod. */
export function parsePod(object: KubeObject, { withAnnotations = false } = {}): PodObject {
  const { metadata, spec, status } = object as PodObject;
  return {
    ...(withAnnotations && { shownAnnotations: metadata.annotations ?? {} }),
    metadata: {
      name: metadata.name,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      ...(metadata.uid !== undefined && { uid: metadata.uid }),
      ...(metadata.resourceVersion !== undefined && { resourceVersion: metadata.resourceVersion }),
      ...(metadata.labels !== undefined && { labels: metadata.labels }),
      ...(metadata.annotations !== undefined && { annotations: mirrorAnnotations(metadata.annotations) }),
      ...(metadata.ownerReferences !== undefined && { ownerReferences: metadata.ownerReferences }),
    },
    spec: {
      containers: (spec?.containers ?? []).map(parseContainer),
      initContainers: (spec?.initContainers ?? []).map(parseContainer),
      ephemeralContainers: (spec?.ephemeralContainers ?? []).map(parseContainer),
    },
    ...(status !== undefined && {
      status: {
        containerStatuses: (status.containerStatuses ?? []).map(parseStatus),
        initContainerStatuses: (status.initContainerStatuses ?? []).map(parseStatus),
        ephemeralContainerStatuses: (status.ephemeralContainerStatuses ?? []).map(parseStatus),
      },
    }),
  };
}

/** The uid that a static pod's cgroups are named by; the API server gives its mirror another one. */
const MIRROR_ANNOTATION = "kubernetes.io/config.mirror";

/** uids by which cgroups may name the pod. */
export function podUids(pod: PodObject): string[] {
  const uids = [pod.metadata.annotations?.[MIRROR_ANNOTATION], pod.metadata.uid];
  return uids.filter((uid): uid is string => uid !== undefined);
}

function mirrorAnnotations(annotations: Record<string, string>): Record<string, string> {
  const uid = annotations[MIRROR_ANNOTATION];
  return uid === undefined ? {} : { [MIRROR_ANNOTATION]: uid };
}

function parseContainer(container: ContainerSpec): ContainerSpec {
  const { name, image, securityContext, livenessProbe, readinessProbe } = container;
  return {
    name,
    ...(image !== undefined && { image }),
    ...(securityContext?.privileged === true && { securityContext: { privileged: true } }),
    ...(livenessProbe?.exec && { livenessProbe: { exec: livenessProbe.exec } }),
    ...(readinessProbe?.exec && { readinessProbe: { exec: readinessProbe.exec } }),
  };
}

function parseStatus(status: ContainerStatus): ContainerStatus {
  const { name, image, imageID, containerID, state, lastState } = status;
  return {
    name,
    ...(image !== undefined && { image }),
    ...(imageID !== undefined && { imageID }),
    ...(containerID !== undefined && { containerID }),
    ...(state !== undefined && { state }),
    ...(lastState !== undefined && { lastState }),
  };
}
