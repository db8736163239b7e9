import { describe, expect, test } from "vitest";
import { AutomatonTables, buildAutomaton } from "./automata.ts";
import { AUTOMATON_FOUND, CLASS_ENTRIES } from "./config-layout.ts";

/** What bpf/include/substring.h does. */
function contains(text: string, values: string[], ignoreCase = false): boolean {
  const { classes, entries } = buildAutomaton(values, ignoreCase);
  const table = new Uint8Array(entries.buffer);
  let state = 0;
  for (const byte of new TextEncoder().encode(text)) {
    const entry = entries[CLASS_ENTRIES + state * classes + (table[byte] as number)] as number;
    if (entry & AUTOMATON_FOUND) return true;
    state = entry & (AUTOMATON_FOUND - 1);
  }
  return false;
}

describe("an automaton", () => {
  const cases: [text: string, values: string[], found: boolean][] = [
    ["/usr/bin/sudo", ["sudo"], true],
    ["/usr/bin/sud", ["sudo"], false],
    ["sudo", ["sudo"], true],
    ["", ["sudo"], false],
    ["sususudo", ["sudo"], true],
    ["abcabd", ["abcabe", "abd"], true],
    ["ushers", ["he", "she", "his", "hers"], true],
    ["usxers", ["he", "she", "his", "hers"], false],
    ["xab", ["xabc", "ab"], true], // a text that ends within another
    ["Sudo", ["sudo"], false],
    ["größe", ["öß"], true],
  ];
  test.each(cases)("%s of %j: %s", (text, values, found) => {
    expect(contains(text, values)).toBe(found);
  });

  test("ignores the case of letters A to Z", () => {
    expect(contains("/bin/SuDo", ["sUdO"], true)).toBe(true);
    expect(contains("[", ["{"], true)).toBe(false);
  });

  test("agrees with a search for each text", () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return (seed >> 8) % below;
    };
    const word = (most: number) => Array.from({ length: 1 + random(most) }, () => "ab"[random(2)]).join("");
    for (let n = 0; n < 300; n++) {
      const values = Array.from({ length: 1 + random(4) }, () => word(5));
      const text = word(14);
      expect([text, values, contains(text, values)]).toEqual([
        text,
        values,
        values.some((value) => text.includes(value)),
      ]);
    }
  });
});

describe("the tables of a hook", () => {
  test("stand one after the other, in a power of two", () => {
    const tables = new AutomatonTables();
    expect(tables.add(["ab"], false)).toEqual({ first: 0, count: 3 });
    expect(tables.add(["b"], true)).toEqual({ first: 128 + 9, count: 2 });
    expect(tables.bytes().length).toBe(2 * 512);
    expect(new AutomatonTables().bytes().length).toBe(0);
  });

  test("have bounds", () => {
    const tables = new AutomatonTables();
    for (let n = 0; n < 6; n++) tables.add(["a"], false);
    expect(() => tables.add(["a"], false)).toThrow(/more than 6 filters on substrings/);
    const wide = Array.from({ length: 100 }, (_, n) =>
      Array.from({ length: 99 }, (_, at) => String.fromCharCode(33 + ((n * 31 + at * 7) % 90))).join(""),
    );
    const big = new AutomatonTables();
    expect(() => big.add(wide, false)).toThrow(/too many|at most 1024 are possible/);
  });
});
