/** Sets of 64-bit values as the kernel side compares them: unsigned ranges, sorted and disjoint. */

import { HookError } from "../hook-error.ts";
import { INLINE_RANGES, MAX_FILTERS, SEARCH_STEPS } from "./layout.ts";

/** Both ends included. */
export type UnsignedRange = [low: bigint, high: bigint];

/** A filter's set: where its ranges stand and where to look for them. */
export interface RangeSet {
  /** In the map hook_ranges instead of the config. */
  many: boolean;
  first: number;
  count: number;
}

/** Longer sets are searched by halving in a map instead of one by one in the config. */
const INLINE_SET = 16;
/** What a binary search of SEARCH_STEPS steps reaches. */
const MAX_MANY_RANGES = 2 ** (SEARCH_STEPS - 1);

const TOP_BIT = 1n << 63n;
const LAST = (1n << 64n) - 1n;

/** Signed values get their top bit flipped, so that they compare as unsigned ones do. */
export function biased(value: bigint, signed: boolean): bigint {
  const bits = BigInt.asUintN(64, value);
  return signed ? bits ^ TOP_BIT : bits;
}

/** The same values in the fewest ranges, in order. */
function merged(ranges: readonly UnsignedRange[]): UnsignedRange[] {
  const sorted = ranges.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const result: UnsignedRange[] = [];
  for (const [low, high] of sorted) {
    const last = result.at(-1);
    if (!last || (last[1] !== LAST && low > last[1] + 1n)) result.push([low, high]);
    else if (high > last[1]) last[1] = high;
  }
  return result;
}

/** The sets of a hook's filters, shared out between its config and its map of ranges. */
export class RangeTables {
  readonly inline: UnsignedRange[] = [];
  readonly many: UnsignedRange[] = [];
  /** The rest of the room is for masks, of which each filter may have one. */
  #inlineSets = 0;

  /** Places a mask in the config and returns its place. */
  addMask(mask: bigint): number {
    return this.inline.push([mask, 0n]) - 1;
  }

  /** Places a set; the empty set is one that nothing is in. */
  add(ranges: readonly UnsignedRange[]): RangeSet {
    const set = merged(ranges);
    const fits = set.length <= INLINE_SET && this.#inlineSets + set.length <= INLINE_RANGES - MAX_FILTERS;
    if (fits) this.#inlineSets += set.length;
    const table = fits ? this.inline : this.many;
    const placed = { many: !fits, first: table.length, count: set.length };
    table.push(...set);
    if (this.many.length > MAX_MANY_RANGES) {
      throw new HookError(
        "InvalidArgument",
        `the hook's filters list ${this.many.length} ranges of values, at most ${MAX_MANY_RANGES} are possible`,
      );
    }
    return placed;
  }
}
