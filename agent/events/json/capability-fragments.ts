/** JSON of capability sets, kept by their masks: a node sees a few dozen different ones. */
import { utf8 } from "../byte-writer.ts";
import { capabilityList, shortCapabilityList } from "./capabilities.ts";

const SLOTS = 256;

interface Slot {
  masks: Uint32Array;
  fragment: Uint8Array;
}

/** A direct-mapped cache of `,"caps":{...}` by permitted, effective and inheritable mask. */
export class CapabilityFragments {
  readonly #slots: (Slot | undefined)[] = new Array<Slot | undefined>(SLOTS).fill(undefined);

  /** Six 32-bit words from `at` on: the three masks in the order of struct cred_value. */
  get(words: Uint32Array, at: number): Uint8Array {
    const index = slotOf(words, at, 6);
    const slot = this.#slots[index];
    if (slot !== undefined && isEqual(slot.masks, words, at)) return slot.fragment;
    const masks = words.slice(at, at + 6);
    const fragment = makeFragment(masks);
    this.#slots[index] = { masks, fragment };
    return fragment;
  }
}

/** The slot of `count` 32-bit words from a word index on. */
function slotOf(words: Uint32Array, at: number, count: number): number {
  let hash = 0;
  for (let i = 0; i < count; i++) hash = Math.imul(hash ^ (words[at + i] as number), 0x9e37_79b1);
  return (hash >>> 16) & (SLOTS - 1);
}

function isEqual(masks: Uint32Array, words: Uint32Array, at: number): boolean {
  for (let i = 0; i < masks.length; i++) if (masks[i] !== words[at + i]) return false;
  return true;
}

/** Empty sets are left out. */
function makeFragment(masks: Uint32Array): Uint8Array {
  const sets = ["permitted", "effective", "inheritable"].map((name, i) => {
    const list = capabilityList(masks[i * 2] as number, masks[i * 2 + 1] as number);
    return list.length === 0 ? undefined : `"${name}":${JSON.stringify(list)}`;
  });
  return utf8(`,"caps":{${sets.filter((set) => set !== undefined).join(",")}}`);
}

/** A direct-mapped cache of capability lists, `["CAP_CHOWN"]`, by mask. */
export class CapabilityLists {
  readonly #lows = new Uint32Array(SLOTS);
  readonly #highs = new Uint32Array(SLOTS);
  readonly #lists: Uint8Array[] = new Array<Uint8Array>(SLOTS).fill(utf8("[]"));

  /** A mask as two 32-bit words. */
  get(low: number, high: number): Uint8Array {
    const index = (Math.imul(low ^ Math.imul(high, 0x85eb_ca6b), 0x9e37_79b1) >>> 16) & (SLOTS - 1);
    if (this.#lows[index] !== low || this.#highs[index] !== high) {
      this.#lows[index] = low;
      this.#highs[index] = high;
      this.#lists[index] = utf8(JSON.stringify(capabilityList(low, high)));
    }
    return this.#lists[index] as Uint8Array;
  }
}

/** A direct-mapped cache of what changed in a capability set, by its old and new mask. */
export class CapabilityChanges {
  readonly #slots: (Slot | undefined)[] = new Array<Slot | undefined>(SLOTS).fill(undefined);
  readonly #masks = new Uint32Array(4);

  /** Word indexes of the two masks. */
  get(words: Uint32Array, before: number, after: number): Uint8Array {
    const masks = this.#masks;
    masks[0] = words[before] as number;
    masks[1] = words[before + 1] as number;
    masks[2] = words[after] as number;
    masks[3] = words[after + 1] as number;
    const index = slotOf(masks, 0, 4);
    const slot = this.#slots[index];
    if (slot !== undefined && isEqual(slot.masks, masks, 0)) return slot.fragment;
    const fragment = utf8(JSON.stringify(capabilityChange(masks)));
    this.#slots[index] = { masks: masks.slice(), fragment };
    return fragment;
  }
}

/** Lists that are empty are left out. */
function capabilityChange([oldLow = 0, oldHigh = 0, newLow = 0, newHigh = 0]: Uint32Array) {
  const added = shortCapabilityList(newLow & ~oldLow, newHigh & ~oldHigh);
  const removed = shortCapabilityList(oldLow & ~newLow, oldHigh & ~newHigh);
  return {
    ...(added.length > 0 && { added }),
    ...(removed.length > 0 && { removed }),
    old: hexMask(oldLow, oldHigh),
    new: hexMask(newLow, newHigh),
  };
}

function hexMask(low: number, high: number): string {
  return [high, low].map((word) => word.toString(16).padStart(8, "0")).join("");
}
