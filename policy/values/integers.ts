/** Integer argument types and the values that policies write for them. */
import { type ArgType, type ArgumentTraits, traitsOf } from "../../crds/argument-types.ts";
import type { Range } from "../../crds/hook-spec.ts";
import { CAPABILITIES } from "../../crds/linux.ts";
import { quote } from "../suggest.ts";

/** Width and sign of an integer type. */
export interface IntegerType {
  bits: 8 | 16 | 32 | 64;
  signed: boolean;
}

const BITS = { 1: 8, 2: 16, 4: 32, 8: 64 } as const;

/** Width and sign, or undefined for a type that is no integer. */
export function integerType(type: ArgType): IntegerType | undefined {
  // An argument whose type no hook reads is refused where it is declared, and filters still refer to it.
  const traits: ArgumentTraits | undefined = traitsOf(type);
  if (traits?.family !== "integer") return undefined;
  return { bits: BITS[traits.width], signed: traits.signed };
}

/** Smallest and largest value. */
export function bounds(type: IntegerType): [low: bigint, high: bigint] {
  const bits = BigInt(type.bits);
  return type.signed ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n];
}

/**
 * Largest value that may be written. Ids are unsigned in the kernel but often declared as int, so 4294967295 and -1
 * are two spellings of the same value for the signed types of 32 bits.
 */
function writable(type: IntegerType): bigint {
  return type.signed && type.bits === 32 ? (1n << 32n) - 1n : bounds(type)[1];
}

/** A value, or why it is none. */
export type Parsed<T> = { value: T } | { error: string };

const NUMBER = /^([-+]?)(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[0-9]+)$/;

/** A number as policies write it: decimal, 0x, 0o or with a leading 0 octal, 0b. */
export function parseNumber(text: string): bigint | undefined {
  const [, sign, digits] = NUMBER.exec(text) ?? [];
  if (digits === undefined || digits.length > 70) return undefined;
  if (/^0[0-9]+$/.test(digits) && !/^0[0-7]+$/.test(digits)) return undefined; // 08 is neither octal nor decimal
  const magnitude = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits}` : digits);
  return sign === "-" ? -magnitude : magnitude;
}

/** A value as written; not yet folded to the sign of the type. */
export function parseInteger(text: string, type: IntegerType): Parsed<bigint> {
  const value = parseNumber(text);
  if (value === undefined) {
    const capability = CAPABILITIES.indexOf(text.replace(/^CAP_/, ""));
    const right =
      capability >= 0
        ? `the capability's is ${capability}`
        : "write decimal, 0x for hexadecimal or 0 for octal";
    return { error: `${quote(text)} is not a number: ${right}` };
  }
  const [low] = bounds(type);
  const high = writable(type);
  if (value < low && !type.signed) {
    const same = (1n << BigInt(type.bits)) + value;
    return { error: `${text} is negative, the type is unsigned${same >= 0n ? `: write ${same}` : ""}` };
  }
  if (value < low || value > high) return { error: `${text} is out of range: ${low} to ${high}` };
  return { value };
}

/** `min:max` or, where allowed, a single number. */
export function parseSpan(text: string, type: IntegerType, single: boolean): Parsed<[bigint, bigint]> {
  const parts = text.split(":");
  if (parts.length !== 2 && !(single && parts.length === 1)) {
    return { error: `${quote(text)} is not a range: write min:max, both included` };
  }
  const [low, high] = parts.map((part) => parseInteger(part.trim(), type));
  if (!low || "error" in low) return low ?? { error: `${quote(text)} is not a range` };
  if (!high) return { value: [low.value, low.value] };
  if ("error" in high) return high;
  const error = spanFault(text, [low.value, high.value], type);
  return error === undefined ? { value: [low.value, high.value] } : { error };
}

/** Why two values are no range. Ids of a signed type are written with or without a sign, but not both in one range. */
function spanFault(text: string, [low, high]: [bigint, bigint], type: IntegerType): string | undefined {
  const [, top] = bounds(type);
  if (low < 0n && high > top)
    return `${quote(text)} begins as a signed number and ends as an unsigned one: write ${low}:${top}, or use uint32 with 0:${high}`;
  if (low <= high) return undefined;
  const unsigned = high + (1n << BigInt(type.bits));
  const right = low >= 0n && high < 0n && writable(type) > top ? `: write ${low}:${unsigned}` : "";
  return `${quote(text)} is empty: ${low} is above ${high}${right}`;
}

/** Folds the unsigned spellings of a signed type onto its negative values: 4294967295 becomes -1. */
export function fold([low, high]: [bigint, bigint], type: IntegerType): [bigint, bigint][] {
  const [, top] = bounds(type);
  if (high <= top) return [[low, high]];
  const size = 1n << BigInt(type.bits);
  const above: [bigint, bigint] = [(low > top ? low : top + 1n) - size, high - size];
  return low > top ? [above] : [[low, top], above];
}

/** The same set of values in the fewest ranges, in order. */
export function mergeRanges(ranges: [bigint, bigint][]): Range[] {
  const sorted = ranges.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const merged: [bigint, bigint][] = [];
  for (const [low, high] of sorted) {
    const last = merged.at(-1);
    if (!last || low > last[1] + 1n) merged.push([low, high]);
    else if (high > last[1]) last[1] = high;
  }
  return merged.map(([low, high]): Range => [String(low), String(high)]);
}
