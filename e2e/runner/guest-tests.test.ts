import { describe, expect, test } from "vitest";
import { filesFrom, isLostByEmulator, OncePerTest } from "./guest-tests.ts";
import type { TestReport } from "./protocol.ts";

describe("a guest that ends by itself", () => {
  test.each([
    ["[  615.329192] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI", true],
    ["boot\n[    5.1] Oops: int3: 0000 [#1] SMP NOPTI\nmore", true],
    ["[   61.3] int3: 0000 [#1] PREEMPT SMP NOPTI", true],
    ["[  615.329192] Oops: general protection fault: 0000 [#1]", false],
    ["a test that prints Oops: int3: 0000", false],
    ["", false],
  ])("%j: lost by the emulator: %s", (console, lost) => {
    expect(isLostByEmulator(console)).toBe(lost);
  });
});

test("the file that was running is run again, and those after it", () => {
  expect(filesFrom(["a", "b", "c"], "b")).toEqual(["b", "c"]);
  expect(filesFrom(["a", "b", "c"], undefined)).toEqual(["a", "b", "c"]);
});

test("a test is reported once, a failure always", () => {
  const seen: string[] = [];
  const once = new OncePerTest(({ name, state }) => seen.push(`${name} ${state}`));
  const report = (name: string, state: TestReport["state"]) => once.report({ file: "a", name, state, ms: 1 });
  report("one", "passed");
  report("one", "passed");
  report("two", "passed");
  report("one", "failed");
  expect(seen).toEqual(["one passed", "two passed", "one failed"]);
  expect(once.lastFile).toBe("a");
});
