/** Names of kernel code by address, from kallsyms. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CodePlace, KernelCode } from "./code-place.ts";

/** An address this far behind a symbol belongs to code without one. */
const MAX_FUNCTION_BYTES = 1 << 20;
/** How soon after it was read the list is read again for an address that it does not explain: modules come later. */
const REREAD_MS = 60_000;
/** Kernel code lies in the uppermost 2^48 bytes; relative to their beginning, addresses are exact in a double. */
const LOWEST_HIGH = 0xffff_0000;
/** Types of symbols of code, as kallsyms has them. */
const CODE_TYPES = new Set([..."tTwW"].map((letter) => letter.charCodeAt(0)));

const NEWLINE = 0x0a;
const TAB = 0x09;
const ZERO = 0x30;
const LETTER_A = 0x61;

/** Symbols of code in the order of their addresses; the names stay in the file's bytes until they are needed. */
interface SymbolTable {
  addresses: Float64Array;
  /** Where the name begins in `text`. */
  names: Uint32Array;
  text: Buffer;
}

/** kallsyms below a procfs mount, read when an address is first looked up: some 200,000 lines. */
export class KernelSymbolTable implements KernelCode {
  readonly #path: string;
  readonly #nowMs: () => number;
  #table: SymbolTable | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(procfs: string, nowMs: () => number) {
    this.#path = join(procfs, "kallsyms");
    this.#nowMs = nowMs;
  }

  /** The place of an address, given as two 32-bit words; undefined when the kernel does not show addresses, or has no symbol there. */
  find(low: number, high: number): CodePlace | undefined {
    if (high < LOWEST_HIGH) return undefined;
    const address = keyOf(low, high);
    this.#table ??= this.#read();
    const place = findPlace(this.#table, address);
    if (place !== undefined || this.#nowMs() < this.#readAtMs + REREAD_MS) return place;
    this.#table = this.#read();
    return findPlace(this.#table, address);
  }

  #read(): SymbolTable {
    this.#readAtMs = this.#nowMs();
    try {
      return parseSymbols(readFileSync(this.#path));
    } catch {
      return parseSymbols(Buffer.alloc(0)); // not readable: frames stay without names
    }
  }
}

function keyOf(low: number, high: number): number {
  return (high - LOWEST_HIGH) * 2 ** 32 + low;
}

/** Lines are `ffffffff81000000 T name`, for those of modules with a tab and `[module]` behind. */
function parseSymbols(text: Buffer): SymbolTable {
  const addresses: number[] = [];
  const names: number[] = [];
  for (let start = 0; start < text.length; start++) {
    if (CODE_TYPES.has(text[start + 17] as number)) {
      const high = parseHex32(text, start);
      if (high >= LOWEST_HIGH) {
        addresses.push(keyOf(parseHex32(text, start + 8), high));
        names.push(start + 19);
      }
    }
    while (start < text.length && text[start] !== NEWLINE) start++;
  }
  return sortSymbols(addresses, names, text);
}

/** Eight digits of lower-case hexadecimal; by hand, as making a string of each takes several times as long. */
function parseHex32(text: Buffer, start: number): number {
  let value = 0;
  for (let i = start; i < start + 8; i++) {
    const digit = text[i] as number;
    value = (value << 4) | (digit < LETTER_A ? digit - ZERO : digit - LETTER_A + 10);
  }
  return value >>> 0;
}

/**
 * Stable: of several names of one address the first of the file comes first. An array, not a typed one: its sort is
 * fast on what is nearly sorted, as the file is.
 */
function sortSymbols(addresses: number[], names: number[], text: Buffer): SymbolTable {
  const order = addresses.map((_, i) => i);
  order.sort((a, b) => (addresses[a] as number) - (addresses[b] as number));
  return {
    addresses: Float64Array.from(order, (i) => addresses[i] as number),
    names: Uint32Array.from(order, (i) => names[i] as number),
    text,
  };
}

function findPlace({ addresses, names, text }: SymbolTable, address: number): CodePlace | undefined {
  let index = lastNotAbove(addresses, address);
  const start = addresses[index];
  if (start === undefined || address - start >= MAX_FUNCTION_BYTES) return undefined;
  while (addresses[index - 1] === start) index--;
  return { offset: address - start, ...nameAt(text, names[index] as number) };
}

/** -1: all are above. */
function lastNotAbove(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function nameAt(text: Buffer, start: number): Pick<CodePlace, "symbol" | "module"> {
  const newline = text.indexOf(NEWLINE, start);
  const line = text.subarray(start, newline < 0 ? text.length : newline);
  const tab = line.indexOf(TAB);
  if (tab < 0) return { symbol: line.toString("latin1") };
  return {
    symbol: line.toString("latin1", 0, tab),
    module: line
      .toString("latin1", tab)
      .trim()
      .replace(/^\[|\]$/g, ""),
  };
}
