/** Encoded capability sets, kept by their masks: a node sees a few dozen different ones. */

const SLOTS = 256;

interface Slot {
  masks: Uint32Array;
  fragment: Uint8Array;
}

/** A direct-mapped cache of what is encoded of `count` 32-bit words. */
export class MaskCache {
  readonly #slots: (Slot | undefined)[] = new Array<Slot | undefined>(SLOTS).fill(undefined);
  readonly #count: number;
  readonly #make: (masks: Uint32Array) => Uint8Array;
  readonly #pair = new Uint32Array(4);

  constructor(count: number, make: (masks: Uint32Array) => Uint8Array) {
    this.#count = count;
    this.#make = make;
  }

  /** Of the words from `at` on. */
  get(words: Uint32Array, at: number): Uint8Array {
    const index = slotOf(words, at, this.#count);
    const slot = this.#slots[index];
    if (slot !== undefined && isEqual(slot.masks, words, at)) return slot.fragment;
    const masks = words.slice(at, at + this.#count);
    const fragment = this.#make(masks);
    this.#slots[index] = { masks, fragment };
    return fragment;
  }

  /** Of two masks of 64 bits that stand apart. */
  pair(words: Uint32Array, before: number, after: number): Uint8Array {
    const pair = this.#pair;
    pair[0] = words[before] as number;
    pair[1] = words[before + 1] as number;
    pair[2] = words[after] as number;
    pair[3] = words[after + 1] as number;
    return this.get(pair, 0);
  }
}

function slotOf(words: Uint32Array, at: number, count: number): number {
  let hash = 0;
  for (let i = 0; i < count; i++) hash = Math.imul(hash ^ (words[at + i] as number), 0x9e37_79b1);
  return (hash >>> 16) & (SLOTS - 1);
}

function isEqual(masks: Uint32Array, words: Uint32Array, at: number): boolean {
  for (let i = 0; i < masks.length; i++) if (masks[i] !== words[at + i]) return false;
  return true;
}
