/** Encodes sets of 64-bit values as the BPF programs compare them: unsigned ranges, sorted and disjoint. */

import { HookError } from "../hook-error.ts";
import { INLINE_RANGES, MAX_FILTERS, SEARCH_STEPS } from "./layout.ts";

/** Both ends included. */
export type UnsignedRange = [low: bigint, high: bigint];

/** A filter's set of values: the table with its ranges, and their index in it. */
export interface RangeSet {
  /** The ranges are in the map hook_ranges instead of the config. */
  many: boolean;
  first: number;
  count: number;
}

/** Longer sets are stored in a map and found by binary search; shorter ones are compared one by one in the config. */
const INLINE_SET = 16;
/** The largest number of ranges that a binary search of SEARCH_STEPS steps covers. */
const MAX_MANY_RANGES = 2 ** (SEARCH_STEPS - 1);

const TOP_BIT = 1n << 63n;
const LAST = (1n << 64n) - 1n;

/** Flips the top bit of signed values, so that an unsigned comparison orders them correctly. */
export function biased(value: bigint, signed: boolean): bigint {
  const bits = BigInt.asUintN(64, value);
  return signed ? bits ^ TOP_BIT : bits;
}

/** Returns the same values as the fewest ranges, sorted. */
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

/** The sets of values of a hook's filters, divided between its config and its map of ranges. */
export class RangeTables {
  readonly inline: UnsignedRange[] = [];
  readonly many: UnsignedRange[] = [];
  /** Ranges in the config. The other entries there are reserved for masks, one for each filter. */
  #inlineSets = 0;

  /** Adds a mask to the config and returns its index. */
  addMask(mask: bigint): number {
    return this.inline.push([mask, 0n]) - 1;
  }

  /** Adds a set; no value is in an empty set. */
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
