import { expect, test } from "vitest";
import { joinRemarks } from "./compiler.ts";

test("remarks become one line with their paths", () => {
  const remarks = [
    { path: "", message: "has no hooks" },
    { path: "spec.kprobes[0].call", message: "is empty" },
  ];
  expect(joinRemarks(remarks)).toBe("has no hooks; spec.kprobes[0].call: is empty");
});

test("ten remarks are enough, the rest is counted", () => {
  const remarks = Array.from({ length: 13 }, (_, i) => ({ path: `p${i}`, message: "no" }));
  expect(joinRemarks(remarks)).toMatch(/p9: no; and 3 more$/);
});

test("the line is bounded", () => {
  expect(joinRemarks([{ path: "p", message: "x".repeat(10_000) }])).toHaveLength(4_000);
});
