import { expect, test } from "vitest";
import type { FilterDef, TextComparison } from "../../../crds/hook-spec.ts";
import { makeArgs, makeHook, makeSelector } from "../testing/hooks.ts";
import { adviceOnSize } from "./too-large.ts";

const text = (how: TextComparison, value: string): FilterDef => {
  return { match: "arg", arg: 0, negate: false, compare: "text", how, values: [value] };
};
const refused = (code: string) => [{ code, step: "load program", subject: "hook_fentry", transient: false }];
const hook = (...filters: FilterDef[]) =>
  makeHook({ args: makeArgs("string"), selectors: [makeSelector(...filters), makeSelector()] });
const searching = hook(
  text("substring", "a"),
  text("substringIgnoreCase", "b"),
  text("equal", "c".repeat(256)),
  text("equal", "short"),
  text("postfix", "end"),
);

test("filters that look at each byte are named where the hook is too large", () => {
  expect(adviceOnSize(searching, refused("E2BIG"))).toEqual([
    "the hook is too large for this kernel: 3 of its filters are with SubString, SubStringIgnCase or strings longer than 255 bytes, which take most; use fewer of them",
  ]);
});

test.each([
  ["a hook that was refused otherwise", searching, "EACCES"],
  ["a hook without such filters", hook(text("equal", "short")), "E2BIG"],
])("nothing is advised for %s", (_name, def, code) => {
  expect(adviceOnSize(def, refused(code))).toEqual([]);
});
