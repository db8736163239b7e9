/** Lists of followed processes, whose descendants count as listed. Each list has a bit in maps of the whole node. */
import { type BpfMap, isBpfError } from "../../bpf/binding.ts";
import type { FollowedList } from "../config/filters.ts";
import { FOLLOW_PID, FOLLOW_SEED } from "../config/layout.ts";
import { encodePath } from "../config/path-tables.ts";
import { HookError } from "../hook-error.ts";
import { followedAmong, type RunningProcess } from "./running.ts";

const BITS = 64;
/** Upper bound of the scans of /proc. Each scan finds what processes that were not known yet have forked since. */
const MAX_PASSES = 10;

/** The maps of bpf/include/follow.h. */
export interface FollowMaps {
  followPaths: BpfMap;
  followPids: BpfMap;
  /** Written only by this class. */
  followSeeds: BpfMap;
  /** Written by the BPF programs. */
  followed: BpfMap;
  followCount: BpfMap;
}

interface TakenList {
  name: string;
  by: FollowedList["by"];
  /** The list's keys in follow_paths or follow_pids, by value. */
  keys: ReadonlyMap<string, Uint8Array>;
  /** Ids of the hooks that use the list. */
  users: Set<number>;
}

/** Assigns a bit to each list; hooks with the same list share one. */
export class FollowTable {
  readonly #maps: FollowMaps;
  readonly #running: (list: FollowedList) => RunningProcess[];
  readonly #lists: (TakenList | undefined)[] = Array(BITS).fill(undefined);
  /** Bits that processes may still carry from a list that was released. */
  readonly #stale = new Set<number>();
  #next = 0;

  /** `running` reads all processes from /proc. */
  constructor(maps: FollowMaps, running: (list: FollowedList) => RunningProcess[]) {
    this.#maps = maps;
    this.#running = running;
  }

  /**
   * Returns the list's bit, which stays assigned until the hook releases it. Running descendants of the listed
   * processes carry the bit, and so does everything that they start from now on. Throws a HookError if no bit is free.
   */
  take(hookId: number, list: FollowedList): number {
    const taken = makeTaken(list);
    const shared = this.#lists.findIndex((other) => other?.name === taken.name);
    const bit = shared >= 0 ? shared : this.#add(taken, list);
    this.#lists[bit]?.users.add(hookId);
    return bit;
  }

  /** Releases the lists of a hook; idempotent. */
  release(hookId: number): void {
    for (const [bit, list] of this.#lists.entries()) {
      if (list?.users.delete(hookId) && list.users.size === 0) this.#drop(bit, list);
    }
  }

  /** Takes free bits in turn: the longer a bit has been free, the fewer processes still carry it. */
  #add(taken: TakenList, list: FollowedList): number {
    const turns = Array.from({ length: BITS }, (_, turn) => (this.#next + turn) % BITS);
    const bit = turns.find((candidate) => this.#lists[candidate] === undefined);
    if (bit === undefined) {
      const message = `followChildren, followForks: the hooks of this node have ${BITS} lists that they follow, more are not possible`;
      throw new HookError("InvalidArgument", message);
    }
    if (this.#lists.every((one) => one === undefined)) this.#clearAll();
    if (this.#stale.delete(bit)) this.#clear(bit);
    this.#next = (bit + 1) % BITS;
    this.#lists[bit] = taken;
    try {
      // The maps come first, so that processes forked while /proc is read carry the bit.
      this.#write(taken);
      this.#writeCount();
      this.#seed(bit, list);
    } catch (error) {
      this.#drop(bit, taken);
      throw error;
    }
    return bit;
  }

  #drop(bit: number, list: TakenList): void {
    this.#lists[bit] = undefined;
    this.#stale.add(bit);
    this.#write(list);
    this.#writeCount();
  }

  #writeCount(): void {
    const count = this.#lists.filter((list) => list !== undefined).length;
    this.#maps.followCount.update(uint32(0), uint32(count));
  }

  #write({ by, keys }: TakenList): void {
    const map = by === "path" ? this.#maps.followPaths : this.#maps.followPids;
    for (const [value, key] of keys) {
      const bits = this.#lists.reduce(
        (sum, list, bit) => (list?.by === by && list.keys.has(value) ? sum | maskOf(bit) : sum),
        0n,
      );
      if (bits === 0n) map.delete(key);
      else map.update(key, uint64(bits));
    }
  }

  /** Gives the bit to processes that already run. */
  #seed(bit: number, list: FollowedList): void {
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      const processes = this.#running(list);
      const carriers = this.#carriers(bit); // read after /proc: children of seeded processes have the bit by then
      const missing = followedAmong(processes, carriers).filter(({ pid }) => !carriers.has(pid));
      if (missing.filter((process) => this.#addSeed(process, bit)).length === 0) return;
    }
  }

  /** Returns false if the process had the bit already, or the map is full. */
  #addSeed({ pid, startNs }: RunningProcess, bit: number): boolean {
    const key = uint32(pid);
    const old = this.#maps.followSeeds.lookup(key);
    const lists = old && startOf(old) === startNs ? listsOf(old) : 0n;
    if (lists & maskOf(bit)) return false;
    try {
      this.#maps.followSeeds.update(key, encodeSeed(startNs, lists | maskOf(bit)));
      return true;
    } catch (error) {
      // The map is full. Filters still recognise the process as long as its ancestors live.
      if (isBpfError(error) && error.code === "E2BIG") return false;
      throw error;
    }
  }

  #carriers(bit: number): Set<number> {
    const { followed } = this.#maps;
    const carrying = followed.keys().filter((key) => bitsIn(followed.lookup(key)) & maskOf(bit));
    return new Set(carrying.map((key) => viewOf(key).getUint32(0, true)));
  }

  /** While no list is in use, processes that end leave their entries behind: the sensors look for none. */
  #clearAll(): void {
    const { followed, followSeeds } = this.#maps;
    for (const map of [followed, followSeeds]) for (const key of map.keys()) map.delete(key);
    this.#stale.clear();
  }

  /**
   * Takes a bit from every process. A bit that a program gives to a process while its entry is rewritten is lost. This
   * needs 64 lists in turn, so it is rare.
   */
  #clear(bit: number): void {
    const { followed, followSeeds } = this.#maps;
    for (const key of followed.keys()) {
      const bits = bitsIn(followed.lookup(key));
      const rest = bits & ~maskOf(bit);
      if (rest === 0n) followed.delete(key);
      else if (rest !== bits) followed.update(key, uint64(rest));
    }
    for (const key of followSeeds.keys()) {
      const seed = followSeeds.lookup(key);
      if (!seed) continue;
      const rest = listsOf(seed) & ~maskOf(bit);
      if (rest === 0n) followSeeds.delete(key);
      else if (rest !== listsOf(seed)) followSeeds.update(key, encodeSeed(startOf(seed), rest));
    }
  }
}

function makeTaken(list: FollowedList): TakenList {
  const keys = new Map(
    list.by === "path"
      ? list.values.map((path) => [path, encodePath(path)] as const)
      : list.values.map((pid) => [`${pid}`, encodePid(pid, list.by === "namespacePid")] as const),
  );
  const name = [list.by, ...[...keys.keys()].sort()].join("\n");
  return { name, by: list.by, keys, users: new Set() };
}

/** struct follow_pid. */
function encodePid(pid: number, inNamespace: boolean): Uint8Array {
  const key = new Uint8Array(FOLLOW_PID.size);
  viewOf(key).setUint32(FOLLOW_PID.members.pid, pid, true);
  viewOf(key).setUint32(FOLLOW_PID.members.in_namespace, inNamespace ? 1 : 0, true);
  return key;
}

/** struct follow_seed. */
function encodeSeed(startNs: bigint, lists: bigint): Uint8Array {
  const seed = new Uint8Array(FOLLOW_SEED.size);
  viewOf(seed).setBigUint64(FOLLOW_SEED.members.start_ns, startNs, true);
  viewOf(seed).setBigUint64(FOLLOW_SEED.members.lists, lists, true);
  return seed;
}

function startOf(seed: Uint8Array): bigint {
  return viewOf(seed).getBigUint64(FOLLOW_SEED.members.start_ns, true);
}

function listsOf(seed: Uint8Array): bigint {
  return viewOf(seed).getBigUint64(FOLLOW_SEED.members.lists, true);
}

function bitsIn(value: Uint8Array | undefined): bigint {
  return value ? viewOf(value).getBigUint64(0, true) : 0n;
}

function maskOf(bit: number): bigint {
  return 1n << BigInt(bit);
}

function uint32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function uint64(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer);
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
