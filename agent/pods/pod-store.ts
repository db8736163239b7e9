/** Pods of this node, found by container id or by pod uid; deleted ones are remembered for late events. */
import { bareId, containerIds, containerStatuses } from "./pod-context.ts";
import { type PodObject, podUids } from "./pod-object.ts";
import type { ContainerFacts } from "./runtime-bundles.ts";

/** Container ids remembered of one pod; a crash loop makes a new one every few minutes. */
const CONTAINERS_PER_POD = 32;

interface Entry {
  /** Ids, oldest first, that lead to this pod. */
  containers: string[];
  /** uids that lead to this pod. */
  uids: string[];
}

/** Where containers are looked up that no pod's status names. */
interface Bundles {
  find(id: string): ContainerFacts | undefined;
}

/** Finds the pod of a container. */
export class PodStore {
  readonly #entries = new Map<string, Entry>();
  readonly #byUid = new Map<string, PodObject>();
  readonly #byContainer = new Map<string, PodObject>();
  /** uids of deleted pods, oldest first. */
  readonly #deleted = new Set<string>();
  readonly #deletedCapacity: number;
  readonly #bundles: Bundles | undefined;
  readonly #listeners: ((pod: PodObject) => void)[] = [];
  #isListed: boolean;

  /** `isListed`: false for a store that is told by markListed() when it has the pods that are there at the start. */
  constructor(options: { deletedCapacity?: number; bundles?: Bundles; isListed?: boolean } = {}) {
    this.#deletedCapacity = options.deletedCapacity ?? 1024;
    this.#bundles = options.bundles;
    this.#isListed = options.isListed ?? true;
  }

  /** Whether a pod that is not found was not there at the start. */
  get isListed(): boolean {
    return this.#isListed;
  }

  /** The pods that are there at the start have been put. */
  markListed(): void {
    this.#isListed = true;
  }

  /** Live pods. */
  get size(): number {
    return this.#entries.size - this.#deleted.size;
  }

  /** The pods that are there now. */
  *live(): Generator<PodObject> {
    for (const [key, { uids }] of this.#entries) {
      const pod = this.#deleted.has(key) ? undefined : this.#byUid.get(uids[0] ?? "");
      if (pod) yield pod;
    }
  }

  /** Called after every change of a pod. */
  onChange(listener: (pod: PodObject) => void): void {
    this.#listeners.push(listener);
  }

  /** Takes the newest state of a pod. */
  put(pod: PodObject): void {
    this.#index(pod);
    this.#deleted.delete(keyOf(pod));
    for (const listener of this.#listeners) listener(pod);
  }

  /** Keeps the pod's last state among the deleted ones. */
  delete(pod: PodObject): void {
    this.#index(pod);
    this.#deleted.add(keyOf(pod));
    for (const oldest of this.#deleted) {
      if (this.#deleted.size <= this.#deletedCapacity) break;
      this.#forget(oldest);
    }
    for (const listener of this.#listeners) listener(pod);
  }

  /** The pod whose status names or named the container, else the one whose uid its cgroup or its runtime names. */
  find(containerId: string, podUid: string | undefined): PodObject | undefined {
    const named = this.#byContainer.get(containerId);
    if (named) return named;
    const uid = podUid ?? this.facts(containerId)?.podUid;
    return uid === undefined ? undefined : this.#byUid.get(uid);
  }

  /** What the runtime knows of a container, which it made before it ran; the pod's status may not have it yet. */
  facts(containerId: string): ContainerFacts | undefined {
    return containerId === "" ? undefined : this.#bundles?.find(containerId);
  }

  /** A container that the newest state no longer names leads to the last state that did. */
  #index(pod: PodObject): void {
    const uids = podUids(pod);
    for (const uid of uids) this.#byUid.set(uid, pod);
    const known = this.#entries.get(keyOf(pod))?.containers ?? [];
    const current = containerStatuses(pod).flatMap(containerIds).map(bareId);
    for (const id of current) this.#byContainer.set(id, pod);

    const containers = [...known.filter((id) => !current.includes(id)), ...current];
    const excess = Math.max(0, containers.length - Math.max(CONTAINERS_PER_POD, current.length));
    for (const id of containers.splice(0, excess)) this.#byContainer.delete(id);
    this.#entries.set(keyOf(pod), { containers, uids });
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key);
    for (const uid of entry?.uids ?? []) this.#byUid.delete(uid);
    for (const id of entry?.containers ?? []) this.#byContainer.delete(id);
    this.#entries.delete(key);
    this.#deleted.delete(key);
  }
}

function keyOf(pod: PodObject): string {
  return pod.metadata.uid ?? `${pod.metadata.namespace}/${pod.metadata.name}`;
}
