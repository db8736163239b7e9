/** Encodes paths of matchBinaries and string values of arguments as the BPF programs compare them. */

import { HookError } from "../hook-error.ts";
import { EXE_PATH, EXE_TAIL, MAX_PATTERNS, PATH_PATTERN } from "./layout.ts";

/** A value of hook_paths has one bit for each filter. */
const MAX_PATH_FILTERS = 64;

/** The filters of one hook on paths and strings. */
export class PathTables {
  /** Keys and values of hook_paths: each path, and a bit for each filter that lists it. */
  readonly paths = new Map<string, bigint>();
  readonly patterns: Uint8Array[] = [];
  #filters = 0;

  /** Adds a filter on whole paths and returns its bit. */
  addPaths(values: readonly string[]): number {
    if (this.#filters === MAX_PATH_FILTERS) {
      throw new HookError(
        "InvalidArgument",
        `more than ${MAX_PATH_FILTERS} filters on whole paths and strings in one hook`,
      );
    }
    const bit = this.#filters++;
    for (const value of values) {
      checkLength(value, EXE_PATH - 1);
      this.paths.set(value, (this.paths.get(value) ?? 0n) | (1n << BigInt(bit)));
    }
    return bit;
  }

  /** Adds a filter on beginnings or ends of paths and returns the index and number of its patterns. */
  addPatterns(values: readonly string[], end: boolean): { first: number; count: number } {
    const first = this.patterns.length;
    for (const value of values) this.patterns.push(end ? tailPattern(value) : headPattern(value));
    if (this.patterns.length > MAX_PATTERNS) {
      throw new HookError(
        "InvalidArgument",
        `the hook lists ${this.patterns.length} beginnings and ends of binaries and strings, at most ${MAX_PATTERNS} are possible`,
      );
    }
    return { first, count: values.length };
  }
}

/** Key of hook_paths and struct text_ends.path. */
export function encodePath(path: string): Uint8Array {
  const key = new Uint8Array(EXE_PATH);
  key.set(new TextEncoder().encode(path).subarray(0, EXE_PATH - 1));
  return key;
}

function headPattern(value: string): Uint8Array {
  return pattern(value, 0, checkLength(value, EXE_PATH - 1));
}

function tailPattern(value: string): Uint8Array {
  const length = checkLength(value, EXE_TAIL - 1);
  return pattern(value, EXE_TAIL - length, length);
}

function pattern(value: string, at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(PATH_PATTERN.size);
  bytes.fill(0xff, PATH_PATTERN.members.mask + at, PATH_PATTERN.members.mask + at + length);
  bytes.set(new TextEncoder().encode(value), PATH_PATTERN.members.data + at);
  return bytes;
}

function checkLength(value: string, limit: number): number {
  const length = Buffer.byteLength(value);
  if (length > limit) {
    throw new HookError(
      "InvalidArgument",
      `${value.slice(0, 40)}... has ${length} bytes, at most ${limit} are possible`,
    );
  }
  return length;
}
