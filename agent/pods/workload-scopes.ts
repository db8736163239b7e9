/** Keeps the kernel side's map of cgroups equal to what scopes, pods and containers say. */
import type { HookDef, WorkloadScope } from "../../crds/hook-spec.ts";
import type { Logger } from "../../lib/logger.ts";
import { type Cgroup, type CgroupDirectory, CgroupTree, isCgroupV2, readCgroups } from "./cgroups.ts";
import type { ContainerRef } from "./container-id.ts";
import { type PodObject, podUids } from "./pod-object.ts";
import type { PodStore } from "./pod-store.ts";
import { judge } from "./scopes.ts";

/** Bits of scopes. */
interface ScopeSet {
  inside: bigint;
  undecided: bigint;
}

/** Where the bits of a cgroup are written. */
export interface ScopeMap {
  /** False where there is no room. */
  set(cgroupId: bigint, scopes: ScopeSet): boolean;
  delete(cgroupId: bigint): void;
  /** Whether a cgroup of a pod found no room: then nothing is enforced on cgroups without bits. */
  setFull(isFull: boolean): void;
}

/** What is decided from. */
export interface WorkloadDeps {
  pods: PodStore;
  /** Mount of the host's cgroups. */
  cgroups: string;
  logger: Logger;
}

const NO_ROOM =
  "processes of cgroups without scopes are reported by policies for the host or for pods, and nothing is enforced on them";

/** Decides anew whenever a scope, a pod or a cgroup changes; writes only what differs. */
export class WorkloadScopes {
  /** Why scopes about pods cannot be evaluated on this node. */
  readonly problem: string | undefined;
  readonly #deps: WorkloadDeps;
  readonly #tree = new CgroupTree();
  readonly #written = new Map<bigint, ScopeSet>();
  #scopes: ReadonlyMap<number, WorkloadScope> = new Map();
  #map: ScopeMap | undefined;
  /** Cgroups that found no room. */
  readonly #unwritten = new Set<bigint>();
  #isFull = false;

  constructor(deps: WorkloadDeps) {
    this.#deps = deps;
    this.problem = isCgroupV2(deps.cgroups)
      ? undefined
      : `policies for pods need cgroup v2, and ${deps.cgroups} is not a mount of it`;
    deps.pods.onChange((pod) => this.#podChanged(pod));
  }

  /** From now on the map is kept. Cgroups that are made meanwhile are in records that are handled later. */
  start(map: ScopeMap): void {
    this.#map = map;
    this.reread();
  }

  /** Looks at the file system again, for cgroups whose records are lost. */
  reread(): void {
    if (!this.#map) return;
    const known = new Set([...this.#tree.all()].map(({ id }) => id));
    readCgroups(this.#deps.cgroups, (directory) => {
      if (!known.delete(directory.id)) this.made(directory);
    });
    for (const id of known) this.removed(id);
  }

  /** How many cgroups of pods have no room on the kernel side. */
  get unwritten(): number {
    return this.#unwritten.size;
  }

  /** How many pods of this node have containers in the scope; undefined if it is about no pods. */
  podsIn(scope: WorkloadScope): number | undefined {
    if (!scope.pods) return undefined;
    return [...this.#deps.pods.live()].filter((pod) => judge(scope, pod) !== "outside").length;
  }

  /** The scopes by their bits; every cgroup is decided when it returns. */
  decide(scopes: ReadonlyMap<number, WorkloadScope>): void {
    this.#scopes = scopes;
    for (const cgroup of this.#tree.all()) this.#write(cgroup);
    this.#reportRoom();
  }

  /** A cgroup came or went. */
  handle({ removed, ...directory }: CgroupDirectory & { removed: boolean }): void {
    if (removed) this.removed(directory.id);
    else this.made(directory);
  }

  /** A cgroup was made: the kernel side gave it what its parent had. */
  made(directory: CgroupDirectory): void {
    const cgroup = this.#tree.add(directory);
    this.#written.delete(cgroup.id);
    if (cgroup.place.kind === "host") this.#map?.delete(cgroup.id);
    else this.#write(cgroup);
    this.#reportRoom();
  }

  /** The kernel side has forgotten it, too. */
  removed(id: bigint): void {
    this.#tree.remove(id);
    this.#written.delete(id);
    this.#unwritten.delete(id);
    if (this.#isFull) this.#useRoom();
  }

  /** Something has gone: there may be room for what had none. */
  #useRoom(): void {
    for (const cgroup of this.#tree.all()) if (this.#unwritten.has(cgroup.id)) this.#write(cgroup);
    this.#reportRoom();
  }

  #reportRoom(): void {
    this.#isFull = this.#unwritten.size > 0;
    this.#map?.setFull(this.#isFull);
  }

  /** Whether what was not decided when a hook posted is outside of its scope after all. */
  excludes({ scope, selectors }: HookDef, selector: number, container: ContainerRef | undefined): boolean {
    if (container === undefined) return false;
    const { pods } = this.#deps;
    const pod = pods.find(container.id, container.podUid);
    const facts = pods.facts(container.id);
    return [scope, selectors[selector]?.scope].some(
      (each) => each !== undefined && judge(each, pod, container.id, facts) === "outside",
    );
  }

  #podChanged(pod: PodObject): void {
    for (const uid of podUids(pod)) {
      for (const cgroup of this.#tree.ofPod(uid)) this.#write(cgroup);
    }
  }

  #write(cgroup: Cgroup): void {
    const { id, place } = cgroup;
    if (!this.#map || place.kind === "host") return;
    const scopes = this.#judge(cgroup);
    const before = this.#written.get(id);
    if (before?.inside === scopes.inside && before.undecided === scopes.undecided) return;
    if (this.#map.set(id, scopes)) {
      this.#written.set(id, scopes);
      this.#unwritten.delete(id);
    } else this.#noRoom(id);
  }

  #noRoom(id: bigint): void {
    if (this.#unwritten.size === 0)
      this.#deps.logger.error(`no room for the scopes of cgroup ${id}: ${NO_ROOM}`);
    this.#unwritten.add(id);
  }

  #judge({ place }: Cgroup): ScopeSet {
    const set = { inside: 0n, undecided: 0n };
    const pod = place.kind === "pod" ? this.#deps.pods.find("", place.uid) : undefined;
    const containerId = place.kind === "pod" ? place.containerId : undefined;
    const facts = containerId === undefined ? undefined : this.#deps.pods.facts(containerId);
    for (const [bit, scope] of this.#scopes) {
      const verdict = judge(scope, pod, containerId, facts);
      if (verdict !== "outside") set[verdict] |= 1n << BigInt(bit);
    }
    return set;
  }
}
