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
}

/** What is decided from. */
export interface WorkloadDeps {
  pods: PodStore;
  /** Mount of the host's cgroups. */
  cgroups: string;
  logger: Logger;
}

/** Decides anew whenever a scope, a pod or a cgroup changes; writes only what differs. */
export class WorkloadScopes {
  /** Why scopes about pods cannot be evaluated on this node. */
  readonly problem: string | undefined;
  readonly #deps: WorkloadDeps;
  readonly #tree = new CgroupTree();
  readonly #written = new Map<bigint, ScopeSet>();
  #scopes: ReadonlyMap<number, WorkloadScope> = new Map();
  #map: ScopeMap | undefined;

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
    readCgroups(this.#deps.cgroups, (directory) => this.#write(this.#tree.add(directory)));
  }

  /** The scopes by their bits; every cgroup is decided when it returns. */
  decide(scopes: ReadonlyMap<number, WorkloadScope>): void {
    this.#scopes = scopes;
    for (const cgroup of this.#tree.all()) this.#write(cgroup);
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
  }

  /** The kernel side has forgotten it, too. */
  removed(id: bigint): void {
    this.#tree.remove(id);
    this.#written.delete(id);
  }

  /** Whether what was not decided when a hook posted is outside of its scope after all. */
  excludes({ scope, selectors }: HookDef, selector: number, container: ContainerRef | undefined): boolean {
    if (container === undefined) return false;
    const pod = this.#deps.pods.find(container.id, container.podUid);
    return [scope, selectors[selector]?.scope].some(
      (each) => each !== undefined && judge(each, pod, container.id) === "outside",
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
    if (this.#map.set(id, scopes)) this.#written.set(id, scopes);
    else this.#deps.logger.error(`no room for the scopes of cgroup ${id}: its processes count as the host's`);
  }

  #judge({ place }: Cgroup): ScopeSet {
    const set = { inside: 0n, undecided: 0n };
    const pod = place.kind === "pod" ? this.#deps.pods.find("", place.uid) : undefined;
    const containerId = place.kind === "pod" ? place.containerId : undefined;
    for (const [bit, scope] of this.#scopes) {
      const verdict = judge(scope, pod, containerId);
      if (verdict !== "outside") set[verdict] |= 1n << BigInt(bit);
    }
    return set;
  }
}
