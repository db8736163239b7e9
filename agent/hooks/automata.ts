/** Automata that find any of several texts in one pass (Aho-Corasick), as bpf/include/substring.h reads them. Pure. */
import { HOOK_SPEC_LIMITS } from "../../crds/hook-spec-schema.ts";
import { AUTOMATON_FOUND, CLASS_ENTRIES } from "./config-layout.ts";
import { HookError } from "./hook-error.ts";

/** Of all automata of a hook. */
const MAX_ENTRIES = HOOK_SPEC_LIMITS.substringTables / Uint16Array.BYTES_PER_ELEMENT;
/** Each costs the verifier an eighth of the instructions that it follows. */
const MAX_AUTOMATA = HOOK_SPEC_LIMITS.substringFilters;

/** The automata of a hook's filters. */
export class AutomatonTables {
  readonly #automata: Uint16Array[] = [];
  #entries = 0;

  /** Places an automaton and returns its first entry and its classes of bytes. */
  add(values: readonly string[], ignoreCase: boolean): { first: number; count: number } {
    const { classes, entries } = buildAutomaton(values, ignoreCase);
    const first = this.#entries;
    this.#automata.push(entries);
    this.#entries += entries.length;
    if (this.#automata.length > MAX_AUTOMATA) {
      throw new HookError("InvalidArgument", `more than ${MAX_AUTOMATA} filters on substrings in one hook`);
    }
    if (this.#entries > MAX_ENTRIES) {
      const most = HOOK_SPEC_LIMITS.substringTables >> 10;
      const message = `the substrings of the hook need a table of ${(this.#entries * 2) >> 10} KiB, at most ${most} are possible`;
      throw new HookError("InvalidArgument", message);
    }
    return { first, count: classes };
  }

  /** Value of hook_automata; its size is a power of two, so that a mask keeps every index within it. */
  bytes(): Uint8Array {
    if (this.#entries === 0) return new Uint8Array(0);
    const all = new Uint16Array(2 ** Math.ceil(Math.log2(this.#entries)));
    let at = 0;
    for (const entries of this.#automata) {
      all.set(entries, at);
      at += entries.length;
    }
    return new Uint8Array(all.buffer);
  }
}

/** A state: by class of byte the next one, or undefined where no text goes on so. */
interface State {
  next: (number | undefined)[];
  /** The state of the longest end of this one's text that begins a text, too. */
  fallback: number;
  found: boolean;
}

/** The class table and the rows; class 0 is of the bytes that are in no text. */
export function buildAutomaton(
  values: readonly string[],
  ignoreCase: boolean,
): { classes: number; entries: Uint16Array } {
  const texts = values.map((value) => new TextEncoder().encode(ignoreCase ? lowerCase(value) : value));
  const { table, classes } = classifyBytes(texts, ignoreCase);
  const states = makeTrie(texts, table);
  if (CLASS_ENTRIES + states.length * classes > MAX_ENTRIES) {
    throw new HookError("InvalidArgument", `substrings with ${states.length} beginnings are too many`);
  }
  const entries = new Uint16Array(CLASS_ENTRIES + states.length * classes);
  new Uint8Array(entries.buffer).set(table);
  const complete = completeStates(states, classes);
  complete.forEach((row, state) => {
    row.forEach((next, group) => {
      const found = states[next]?.found ? AUTOMATON_FOUND : 0;
      entries[CLASS_ENTRIES + state * classes + group] = next | found;
    });
  });
  return { classes, entries };
}

function lowerCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function classifyBytes(
  texts: readonly Uint8Array[],
  ignoreCase: boolean,
): { table: Uint8Array; classes: number } {
  const used = [...new Set(texts.flatMap((text) => [...text]))];
  const table = new Uint8Array(2 * CLASS_ENTRIES);
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

/** Breadth first: what a state falls back to is complete before the state is. */
function completeStates(states: State[], classes: number): number[][] {
  const rows: number[][] = Array.from({ length: states.length }, () => []);
  const queue = [0];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    const state = states[at] as State;
    const below = at === 0 ? undefined : (rows[state.fallback] as number[]);
    state.found ||= (states[state.fallback] as State).found;
    rows[at] = Array.from({ length: classes }, (_, group) => {
      const next = state.next[group];
      if (next === undefined) return below?.[group] ?? 0;
      (states[next] as State).fallback = below?.[group] ?? 0;
      queue.push(next);
      return next;
    });
  }
  return rows;
}
