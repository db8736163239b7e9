/** Names of kernel code by address, from kallsyms. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CodePlace, KernelCode } from "./stack-json.ts";

/** What is that far behind a symbol belongs to something that has none. */
const MAX_FUNCTION_BYTES = 1 << 20;
/** How soon after it was read the list is read again for an address that it does not explain: modules come later. */
const REREAD_MS = 60_000;
/** Kernel code lies in the uppermost 2^48 bytes; relative to their beginning, addresses are exact in a double. */
const LOWEST_HIGH = 0xffff_0000;
/** Types of symbols of code, as kallsyms has them. */
const CODE_TYPES = new Set([..."tTwW"].map((letter) => letter.charCodeAt(0)));

const NEWLINE = 0x0a;
const TAB = 0x09;

/** Symbols of code in the order of their addresses; the names stay in the file's text until they are asked for. */
interface SymbolTable {
  addresses: Float64Array;
  /** Where the name begins in the text. */
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

  /** Where an address, given as two words, lies; undefined when the kernel does not show addresses, or has no symbol there. */
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
      return parseSymbols(Buffer.alloc(0)); // not ours to read: frames stay without names
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
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf(NEWLINE, start);
    const end = newline < 0 ? text.length : newline;
    if (end - start > 19 && CODE_TYPES.has(text[start + 17] as number)) {
      const high = Number.parseInt(text.toString("latin1", start, start + 8), 16);
      const low = Number.parseInt(text.toString("latin1", start + 8, start + 16), 16);
      if (high >= LOWEST_HIGH) {
        addresses.push(keyOf(low, high));
        names.push(start + 19);
      }
    }
    start = end + 1;
  }
  return sortSymbols(addresses, names, text);
}

/** Stable: of several names of one address the first of the file comes first. */
function sortSymbols(addresses: number[], names: number[], text: Buffer): SymbolTable {
  const order = Uint32Array.from(addresses, (_, i) => i);
  order.sort((a, b) => (addresses[a] as number) - (addresses[b] as number) || a - b);
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
