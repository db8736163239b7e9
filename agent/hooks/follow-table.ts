/** Lists of binaries whose processes are followed to what they start: a bit each in follow_paths, on the whole node. */
import type { BpfMap } from "../bpf/binding.ts";
import { PROCESS_IMAGE } from "./config-layout.ts";
import { HookError } from "./hook-error.ts";
import { encodePath } from "./path-tables.ts";

const BITS = 64;

interface FollowedList {
  name: string;
  paths: readonly string[];
  /** Ids of the hooks that have it. */
  users: Set<number>;
}

/** Hooks with the same list share a bit. */
export class FollowTable {
  readonly #paths: BpfMap;
  readonly #images: BpfMap;
  readonly #lists: (FollowedList | undefined)[] = Array(BITS).fill(undefined);
  /** Bits that processes may still carry from a list that is gone. */
  readonly #stale = new Set<number>();
  #next = 0;

  constructor(followPaths: BpfMap, processImages: BpfMap) {
    this.#paths = followPaths;
    this.#images = processImages;
  }

  /** The list's bit, kept until the hook releases it. Throws a HookError where all bits are in use. */
  take(hookId: number, paths: readonly string[]): number {
    const name = [...new Set(paths)].sort().join("\n");
    const shared = this.#lists.findIndex((list) => list?.name === name);
    const bit = shared >= 0 ? shared : this.#add({ name, paths, users: new Set() });
    this.#lists[bit]?.users.add(hookId);
    return bit;
  }

  /** Idempotent. */
  release(hookId: number): void {
    for (const [bit, list] of this.#lists.entries()) {
      if (!list?.users.delete(hookId) || list.users.size > 0) continue;
      this.#lists[bit] = undefined;
      this.#stale.add(bit);
      this.#write(list.paths);
    }
  }

  /** The bit whose turn it is: the longer it was free, the fewer processes carry it. */
  #add(list: FollowedList): number {
    const turns = Array.from({ length: BITS }, (_, turn) => (this.#next + turn) % BITS);
    const bit = turns.find((candidate) => this.#lists[candidate] === undefined);
    if (bit === undefined) {
      const message = `followChildren: the hooks of this node have ${BITS} lists of binaries that they follow, more are not possible`;
      throw new HookError("InvalidArgument", message);
    }
    if (this.#stale.delete(bit)) this.#clear(bit);
    this.#next = (bit + 1) % BITS;
    this.#lists[bit] = list;
    this.#write(list.paths);
    return bit;
  }

  #write(paths: readonly string[]): void {
    for (const path of paths) {
      const bits = this.#lists.reduce(
        (sum, list, bit) => (list?.paths.includes(path) ? sum | (1n << BigInt(bit)) : sum),
        0n,
      );
      if (bits === 0n) this.#paths.delete(encodePath(path));
      else this.#paths.update(encodePath(path), new Uint8Array(BigUint64Array.of(bits).buffer));
    }
  }

  /** A process that executes in between keeps its old image until it executes again; it takes 64 lists to get here. */
  #clear(bit: number): void {
    for (const key of this.#images.keys()) {
      const image = this.#images.lookup(key);
      if (!image) continue;
      const view = new DataView(image.buffer, image.byteOffset);
      const followed = view.getBigUint64(PROCESS_IMAGE.members.followed, true);
      if (!((followed >> BigInt(bit)) & 1n)) continue;
      view.setBigUint64(PROCESS_IMAGE.members.followed, followed & ~(1n << BigInt(bit)), true);
      this.#images.update(key, image);
    }
  }
}
