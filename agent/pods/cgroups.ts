/** The cgroups of pods and containers on this node: from the file system at first, then from records. */
import { type Dirent, existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseCgroupName } from "./container-id.ts";

/** What the processes of a cgroup belong to. */
export type CgroupPlace =
  | { kind: "host" }
  /** Above those of the pods: what is made below it is a pod's. */
  | { kind: "pods" }
  | { kind: "pod"; uid: string; containerId?: string };

/** A cgroup by its id, the inode number of its directory. */
export interface Cgroup {
  readonly id: bigint;
  readonly place: CgroupPlace;
}

/** A directory of the cgroup file system. */
export interface CgroupDirectory {
  id: bigint;
  parentId: bigint;
  name: string;
}

const HOST: CgroupPlace = { kind: "host" };
const PODS: CgroupPlace = { kind: "pods" };

/** What a new cgroup is, by its parent and its name. */
export function placeOf(parent: CgroupPlace, name: string): CgroupPlace {
  const { isPodsRoot, podUid, container, isMonitor } = parseCgroupName(name);
  if (podUid !== undefined && parent.kind !== "pod") return { kind: "pod", uid: podUid };
  if (parent.kind === "host") return isPodsRoot ? PODS : HOST;
  if (parent.kind === "pods") return PODS;
  // What a container makes is the container's, whatever its name.
  if (parent.containerId !== undefined) return parent;
  if (isMonitor) return HOST;
  if (container === undefined) return parent;
  return { ...parent, containerId: container.id };
}

/** Every cgroup of the node that is known. */
export class CgroupTree {
  readonly #cgroups = new Map<bigint, Cgroup>();
  readonly #byPod = new Map<string, Set<Cgroup>>();

  /** Parents come before their children: one that is not known is taken for the host's. */
  add({ id, parentId, name }: CgroupDirectory): Cgroup {
    this.remove(id);
    const cgroup = { id, place: placeOf(this.#cgroups.get(parentId)?.place ?? HOST, name) };
    this.#cgroups.set(id, cgroup);
    if (cgroup.place.kind === "pod") this.#ofPod(cgroup.place.uid).add(cgroup);
    return cgroup;
  }

  /** Idempotent. */
  remove(id: bigint): void {
    const cgroup = this.#cgroups.get(id);
    this.#cgroups.delete(id);
    if (cgroup?.place.kind !== "pod") return;
    const ofPod = this.#ofPod(cgroup.place.uid);
    ofPod.delete(cgroup);
    if (ofPod.size === 0) this.#byPod.delete(cgroup.place.uid);
  }

  all(): Iterable<Cgroup> {
    return this.#cgroups.values();
  }

  /** The pod's own cgroup and all below it. */
  ofPod(uid: string): Iterable<Cgroup> {
    return this.#byPod.get(uid) ?? [];
  }

  #ofPod(uid: string): Set<Cgroup> {
    const known = this.#byPod.get(uid) ?? new Set();
    this.#byPod.set(uid, known);
    return known;
  }
}

/** Where the host's cgroups are mounted, as a container with the host's pids sees them. */
export function hostCgroups(procfs: string): string {
  const ofInit = join(procfs, "1/root/sys/fs/cgroup");
  return existsSync(ofInit) ? ofInit : "/sys/fs/cgroup";
}

/** Whether a mount is of the one hierarchy of cgroup v2, and not of those of v1. */
export function isCgroupV2(root: string): boolean {
  return existsSync(join(root, "cgroup.controllers"));
}

/** All directories, each handed over before its children are looked for; one that goes meanwhile is left out. */
export function readCgroups(root: string, visit: (directory: CgroupDirectory) => void): void {
  const rootId = inode(root);
  if (rootId !== undefined) readBelow(root, rootId, visit);
}

function readBelow(path: string, parentId: bigint, visit: (directory: CgroupDirectory) => void): void {
  for (const { name } of directories(path)) {
    const child = join(path, name);
    const id = inode(child);
    if (id === undefined) continue;
    visit({ id, parentId, name });
    readBelow(child, id, visit);
  }
}

function directories(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  } catch {
    return [];
  }
}

function inode(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}
