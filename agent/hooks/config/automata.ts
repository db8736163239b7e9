/** Automata that find any of several strings in one pass (Aho-Corasick); bpf/include/substring.h reads them. Pure. */
import { HOOK_SPEC_LIMITS } from "../../../crds/hook-spec-schema.ts";
import { HookError } from "../hook-error.ts";
import { AUTOMATON_FOUND, CLASS_BYTES, ENTRY_BYTES } from "./layout.ts";

/** Upper bound of the size of all automata of a hook together. */
const MAX_BYTES = HOOK_SPEC_LIMITS.substringTables;
/** A filter on a path uses up to a twelfth of the instructions that the verifier is willing to follow. */
const MAX_AUTOMATA = HOOK_SPEC_LIMITS.substringFilters;

/** How an automaton finds its strings. */
export interface SearchOptions {
  ignoreCase?: boolean;
  /** Only at the beginning of what is searched. */
  anchored?: boolean;
}

/** The automata of a hook's filters. */
export class AutomatonTables {
  readonly #automata: Uint32Array[] = [];
  #bytes = 0;

  /** Adds an automaton and returns the offset of its first byte. */
  add(values: readonly string[], how: SearchOptions = {}): number {
    const first = this.#bytes;
    const entries = buildAutomaton(values, how, first);
    this.#automata.push(entries);
    this.#bytes += entries.byteLength;
    if (this.#automata.length > MAX_AUTOMATA) {
      throw new HookError(
        "InvalidArgument",
        `more than ${MAX_AUTOMATA} filters on substrings or long strings in one hook`,
      );
    }
    if (this.#bytes > MAX_BYTES) {
      const message = `the substrings of the hook need a table of ${this.#bytes >> 10} KiB, at most ${MAX_BYTES >> 10} are possible`;
      throw new HookError("InvalidArgument", message);
    }
    return first;
  }

  /** Value of hook_automata; its size is a power of two, so that a mask keeps every index within it. */
  bytes(): Uint8Array {
    if (this.#bytes === 0) return new Uint8Array(0);
    const all = new Uint8Array(2 ** Math.ceil(Math.log2(this.#bytes)));
    let at = 0;
    for (const { buffer, byteLength } of this.#automata) {
      all.set(new Uint8Array(buffer), at);
      at += byteLength;
    }
    return all;
  }
}

/** A state of the automaton. */
interface State {
  /** The next state by class of byte; undefined where no string continues with such a byte. */
  next: (number | undefined)[];
  /** The state for the longest suffix of this state's input that is also the beginning of a string. */
  fallback: number;
  found: boolean;
}

/** Builds the class table and the rows for byte `first` on. Class 0 has the bytes that occur in no string. */
function buildAutomaton(
  values: readonly string[],
  { ignoreCase = false, anchored = false }: SearchOptions,
  first: number,
): Uint32Array {
  const texts = values.map((value) => new TextEncoder().encode(ignoreCase ? lowerCase(value) : value));
  const { table, classes } = classifyBytes(texts, ignoreCase);
  const states = makeTrie(texts, table);
  const dead = anchored ? states.push({ next: [], fallback: 0, found: false }) - 1 : undefined;
  const rowBytes = classes * ENTRY_BYTES;
  const bytes = CLASS_BYTES + states.length * rowBytes;
  if (bytes > MAX_BYTES) {
    throw new HookError("InvalidArgument", `substrings with ${states.length} beginnings are too many`);
  }
  const entries = new Uint32Array(bytes / ENTRY_BYTES);
  new Uint8Array(entries.buffer).set(table);
  const complete = completeStates(states, classes, dead);
  const entryOf = (state: number) =>
    (first + CLASS_BYTES + state * rowBytes) | (states[state]?.found ? AUTOMATON_FOUND : 0);
  complete.forEach((row, state) => {
    const places = row.map((next) => entryOf(states[state]?.found ? state : next));
    entries.set(places, (CLASS_BYTES + state * rowBytes) / ENTRY_BYTES);
  });
  return entries;
}

function lowerCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function classifyBytes(
  texts: readonly Uint8Array[],
  ignoreCase: boolean,
): { table: Uint8Array; classes: number } {
  const used = [...new Set(texts.flatMap((text) => [...text]))];
  const table = new Uint8Array(CLASS_BYTES);
  used.forEach((byte, index) => {
    table[byte] = index + 1;
    const isLetter = byte >= 0x61 && byte <= 0x7a;
    if (ignoreCase && isLetter) table[byte - 0x20] = index + 1;
  });
  return { table, classes: used.length + 1 };
}

function makeTrie(texts: readonly Uint8Array[], table: Uint8Array): State[] {
  const states: State[] = [{ next: [], fallback: 0, found: false }];
  for (const text of texts) {
    let at = 0;
    for (const byte of text) {
      const group = table[byte] as number;
      const state = states[at] as State;
      state.next[group] ??= states.push({ next: [], fallback: 0, found: false }) - 1;
      at = state.next[group];
    }
    (states[at] as State).found = true;
  }
  return states;
}

/**
 * Works breadth first, so that a state's fallback is complete before the state is. If there is a dead state, it is the
 * one after the first byte with which no string continues.
 */
function completeStates(states: State[], classes: number, dead: number | undefined): number[][] {
  const rows: number[][] = states.map((_, state) => (state === dead ? Array(classes).fill(dead) : []));
  const queue = [0];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    const state = states[at] as State;
    const below = at === 0 || dead !== undefined ? undefined : (rows[state.fallback] as number[]);
    state.found ||= (states[state.fallback] as State).found;
    rows[at] = Array.from({ length: classes }, (_, group) => {
      const next = state.next[group];
      if (next === undefined) return below?.[group] ?? dead ?? 0;
      (states[next] as State).fallback = below?.[group] ?? 0;
      queue.push(next);
      return next;
    });
  }
  return rows;
}
