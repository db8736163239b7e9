/** Container and pod as the path of a cgroup names them. */

/** The container that a cgroup path names. */
export interface ContainerRef {
  /** The runtime's id, 64 hexadecimal digits. */
  id: string;
  /** Runtime as container statuses spell it, when the cgroup driver names it. */
  runtime?: "containerd" | "cri-o" | "docker";
  /** uid of the pod, when the parent of the container's cgroup names it. */
  podUid?: string;
}

const RUNTIMES: Record<string, "containerd" | "cri-o" | "docker"> = {
  "cri-containerd": "containerd",
  crio: "cri-o",
  docker: "docker",
};

/** conmon watches a container and lies in its pod's cgroup; it is no part of the container. */
const MONITOR = /^crio-conmon-/;
const CONTAINER_ID = /^[0-9a-f]{64}$/;
/** systemd driver: `kubepods-burstable-pod<uid with _>.slice`; cgroupfs driver: `pod<uid>`. */
const POD =
  /(?:^|-)pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$/;

/** What a cgroup is, as far as its own name shows it. */
export interface CgroupName {
  /** It holds the cgroups of pods. */
  isPodsRoot: boolean;
  podUid?: string;
  container?: ContainerRef;
  /** Of the runtime's process beside a container. */
  isMonitor: boolean;
}

/** kubelet's own: `kubepods`, `kubepods.slice`, `kubelet-kubepods.slice`. */
const PODS_ROOT = /(?:^|-)kubepods(?:\.slice)?$/;

/** Reads the name of a cgroup's directory. */
export function parseCgroupName(name: string): CgroupName {
  const podUid = parsePodUid(name);
  const container = parseLeaf(name);
  return {
    isPodsRoot: PODS_ROOT.test(name),
    ...(podUid !== undefined && { podUid }),
    ...(container !== undefined && { container }),
    isMonitor: MONITOR.test(name),
  };
}

/**
 * The innermost container of a cgroup path or of its last components (`PARENT/LEAF`, `LEAF`). Nested cgroups that a
 * container makes for itself lie below its own, so the search goes outwards.
 */
export function parseContainerRef(cgroup: string): ContainerRef | undefined {
  const names = cgroup.split("/");
  for (let i = names.length - 1; i >= 0; i--) {
    const ref = parseLeaf(names[i] as string);
    if (ref === undefined) continue;
    const podUid = parsePodUid(names[i - 1] ?? "");
    return podUid === undefined ? ref : { ...ref, podUid };
  }
  return undefined;
}

/** `<id>`, `cri-containerd-<id>.scope`, `crio-<id>`, `docker-<id>.scope`, `slice:cri-containerd:<id>`. */
function parseLeaf(name: string): ContainerRef | undefined {
  if (MONITOR.test(name)) return undefined;
  const parts = name.replace(/\.scope$/, "").split(/:|-(?=[0-9a-f]{64}$)/);
  const id = parts[parts.length - 1] as string;
  if (!CONTAINER_ID.test(id)) return undefined;
  const runtime = RUNTIMES[parts[parts.length - 2] ?? ""];
  return runtime === undefined ? { id } : { id, runtime };
}

/** Static pods have a hash of 32 digits instead of a uid with dashes. */
function parsePodUid(name: string): string | undefined {
  return POD.exec(name)?.[1]?.replaceAll("_", "-");
}
