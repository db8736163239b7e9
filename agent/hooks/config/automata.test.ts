import { describe, expect, test } from "vitest";
import { AutomatonTables, type SearchOptions } from "./automata.ts";
import { AUTOMATON_FOUND, CLASS_BYTES, ENTRY_BYTES } from "./layout.ts";

/** What bpf/include/substring.h does in a table, with the automaton from byte `first` on. */
function search(text: string, table: Uint8Array, first: number): boolean {
  const entries = new Uint32Array(table.buffer);
  const mask = table.length - ENTRY_BYTES;
  let entry = first + CLASS_BYTES;
  for (const byte of new TextEncoder().encode(`${text}\0\0`)) {
    const at = (entry + (table[first + byte] as number) * ENTRY_BYTES) & mask;
    entry = entries[at / ENTRY_BYTES] as number;
  }
  return (entry & AUTOMATON_FOUND) !== 0;
}

function contains(text: string, values: string[], how: SearchOptions = {}): boolean {
  const tables = new AutomatonTables();
  const first = tables.add(values, how);
  return search(text, tables.bytes(), first);
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
    expect(contains("/bin/SuDo", ["sUdO"], { ignoreCase: true })).toBe(true);
    expect(contains("[", ["{"], { ignoreCase: true })).toBe(false);
  });

  test.each([
    ["/etc/passwd", ["/etc/"], true],
    ["/etc", ["/etc/"], false],
    ["x/etc/passwd", ["/etc/"], false],
    ["/e/etc/passwd", ["/etc/"], false],
    ["ab", ["abc", "ab\0"], true], // a whole string that begins another one
    ["abc", ["ab\0"], false],
  ])("anchored, of %s and the strings %j: %s", (text, values, found) => {
    expect(contains(text, values, { anchored: true })).toBe(found);
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
    expect(tables.add(["ab"])).toBe(0);
    const second = tables.add(["b"], { ignoreCase: true });
    expect(second).toBe(256 + 3 * 3 * 4);
    const bytes = tables.bytes();
    expect(bytes.length).toBe(1024);
    expect(["xxab", "xb", "xB"].map((text) => search(text, bytes, 0))).toEqual([true, false, false]);
    expect(["xxab", "xa", "xB"].map((text) => search(text, bytes, second))).toEqual([true, false, true]);
    expect(new AutomatonTables().bytes().length).toBe(0);
  });

  test("have bounds", () => {
    const tables = new AutomatonTables();
    for (let n = 0; n < 20; n++) tables.add(["a"]);
    expect(() => tables.add(["a"])).toThrow(/more than 20 filters on substrings or long strings/);
    const wide = Array.from({ length: 100 }, (_, n) =>
      Array.from({ length: 99 }, (_, at) => String.fromCharCode(33 + ((n * 31 + at * 7) % 90))).join(""),
    );
    const big = new AutomatonTables();
    expect(() => big.add(wide)).toThrow(/too many|at most 2048 are possible/);
  });
});
