import { describe, expect, test } from "vitest";
import { type Loose, makePolicy, makeProbe, warningsOf } from "./testing/policies.ts";

describe("what nothing names", () => {
  const selector = { matchPIDs: [{ operator: "In", values: [1] }] };
  const lists = [{ name: "ids", type: "syscalls", values: ["sys_setuid"] }];
  const spec = (more: Loose, probe: Loose = {}) =>
    makePolicy({ kprobes: [makeProbe({ args: [], ...probe })], ...more });

  test("is warned of", () => {
    expect(warningsOf(spec({ selectorsMacros: { one: selector }, lists }))).toEqual([
      "spec.selectorsMacros.one: has no effect: no selector has it among its macros",
      "spec.lists[0]: has no effect: neither a call nor a value is list:ids",
    ]);
  });

  test("is not warned of where it is named", () => {
    const selectors = [{ macros: ["one"] }];
    const used = spec({ selectorsMacros: { one: selector }, lists }, { call: "list:ids", selectors });
    expect(warningsOf(used)).toEqual([]);
  });
});
