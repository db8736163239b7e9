import { expect, test } from "vitest";
import { type Json, mergePatchOf } from "./merge-patch.ts";

const cases: Record<string, [before: Json, after: Json, patch: Json | undefined]> = {
  "nothing for equal objects": [{ a: 1, b: [{ c: 2 }] }, { b: [{ c: 2 }], a: 1 }, undefined],
  "what is new": [{ a: 1 }, { a: 1, b: 2 }, { b: 2 }],
  "null for what is gone": [{ a: 1, b: 2 }, { a: 1 }, { b: null }],
  "one entry of a map": [{ m: { a: 1, b: 2, c: 3 } }, { m: { a: 1, b: 9 } }, { m: { b: 9, c: null } }],
  "a list as a whole": [{ l: [1, 2, 3] }, { l: [1, 3] }, { l: [1, 3] }],
  "an object for what was none": [{ a: "x" }, { a: { b: 1 } }, { a: { b: 1 } }],
  "an empty map by its entries": [{ m: { a: 1 } }, { m: {} }, { m: { a: null } }],
};
test.each(Object.entries(cases))("%s", (_name, [before, after, patch]) => {
  expect(mergePatchOf(before, after)).toEqual(patch);
});
