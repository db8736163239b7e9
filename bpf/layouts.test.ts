import { expect, test } from "vitest";
import { type BtfType, digestOfSources, layoutOf, renderLayout } from "./layouts.ts";

const U32 = { id: 1, kind: "INT", name: "__u32", size: 4 };
const CHAR = { id: 2, kind: "INT", name: "char", size: 1 };
const ENTRY = { id: 3, kind: "TYPEDEF", name: "entry_t", type_id: 4 };
const ENTRY_STRUCT = struct(4, "entry", 8, [
  ["id", 1],
  ["index", 1],
]);
const ENTRIES = { id: 5, kind: "ARRAY", name: "(anon)", type_id: 3, nr_elems: 3 };
const POINTER = { id: 6, kind: "PTR", name: "(anon)", type_id: 8 };
const COLOUR = { id: 7, kind: "ENUM", name: "colour", size: 4, values: [{ name: "RED", val: 1 }] };
const KERNEL = struct(8, "task_struct", 4, [["flags", 1]]);
const TYPES: BtfType[] = [U32, CHAR, ENTRY, ENTRY_STRUCT, ENTRIES, POINTER, COLOUR, KERNEL];

/** A struct whose members follow each other as the sizes of TYPES say; `at` moves one of them. */
function struct(
  id: number,
  name: string,
  size: number,
  members: [name: string, type: number, at?: number][],
): BtfType {
  const sizes: Record<number, number> = { 1: 4, 2: 1, 3: 8, 4: 8, 5: 24, 6: 8, 7: 4 };
  let end = 0;
  const placed = members.map(([member, type_id, at = end]) => {
    end = at + (sizes[type_id] ?? 0);
    return { name: member, type_id, bits_offset: at * 8 };
  });
  return { id, kind: "STRUCT", name, size, members: placed };
}

function layout(...members: [name: string, type: number, at?: number][]) {
  const table = struct(20, "table", 36, members);
  const root = struct(21, "root", 36, [["table", 20]]);
  return layoutOf([...TYPES, table, root], "root");
}

test("a layout has what members contain, through arrays and typedefs, and nothing that they point to", () => {
  expect(layout(["entries", 5], ["colour", 7], ["task", 6])).toEqual({
    structs: {
      table: { size: 36, members: { entries: 0, colour: 24, task: 28 } },
      entry: { size: 8, members: { id: 0, index: 4 } },
    },
    enums: { colour: { RED: 1 } },
  });
});

test("a hole between members is refused", () => {
  expect(() => layout(["kind", 2], ["entries", 5, 4], ["task", 6])).toThrow(
    "struct table has a hole before entries",
  );
});

test("a hole behind the last member is refused", () => {
  expect(() => layout(["entries", 5], ["task", 6])).toThrow("struct table has a hole at its end");
});

test("a root that the sources do not declare is refused", () => {
  expect(() => layoutOf(TYPES, "root")).toThrow("no struct root");
});

test("a layout is rendered as constants", () => {
  const source = renderLayout(layout(["entries", 5], ["colour", 7], ["task", 6]));
  expect(source).toContain("  table: { size: 36, members: { entries: 0, colour: 24, task: 28 } },\n");
  expect(source).toContain("  colour: { RED: 1 },\n");
  expect(source).toContain("  ...ENUMS.colour,\n");
});

const SOURCE = "#define A 1\nstruct a {\n\t__u32 b; /* why */\n};\n";
const sameDigest: Record<string, string> = {
  "a comment": "#define A 1\nstruct a {\n\t__u32 b; // another\n};\n",
  indentation: "#define A 1\nstruct a\n{\n  __u32   b ;\n};",
};
test.each(Object.entries(sameDigest))("%s leaves the digest of a source as it is", (_name, source) => {
  expect(digestOfSources([source])).toBe(digestOfSources([SOURCE]));
});

const otherDigest: Record<string, string> = {
  "a type": SOURCE.replace("__u32", "__u64"),
  "a value": SOURCE.replace("A 1", "A 2"),
  "a member's name": SOURCE.replace(" b;", " c;"),
};
test.each(Object.entries(otherDigest))("%s changes the digest of a source", (_name, source) => {
  expect(digestOfSources([source])).not.toBe(digestOfSources([SOURCE]));
});
