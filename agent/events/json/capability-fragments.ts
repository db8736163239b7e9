/** JSON of capability sets, kept by their masks: a node sees a few dozen different ones. */
import { utf8 } from "../byte-writer.ts";
import { MaskCache } from "../mask-cache.ts";
import { capabilityList, shortCapabilityList } from "./capabilities.ts";

const SLOTS = 256;

/** `,"caps":{...}` by permitted, effective and inheritable mask: six words in the order of struct cred_value. */
export const capabilityFragments = new MaskCache(6, makeFragment);

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

/** What changed in a capability set, by its old and new mask. */
export const capabilityChanges = new MaskCache(4, (masks) => utf8(JSON.stringify(capabilityChange(masks))));

/** Old and new mask, and the names of what differs; lists that are empty are left out. */
export function capabilityChange([oldLow = 0, oldHigh = 0, newLow = 0, newHigh = 0]: Uint32Array) {
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
