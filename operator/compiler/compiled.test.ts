import { expect, test } from "vitest";
import { makeWrongPolicy } from "../testing/large-policies.ts";
import { compileAndEncode, joinRemarks } from "./compiled.ts";

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

test("of a policy with thousands of mistakes ten are kept, and the rest is counted", () => {
  const { spec, metadata } = makeWrongPolicy("p", 60_000);
  const compiled = compileAndEncode({
    apiVersion: "cilium.io/v1alpha1",
    kind: "TracingPolicy",
    metadata,
    spec,
  });
  if (compiled.ok) throw new Error("it has mistakes");
  expect(compiled.errors).toHaveLength(10);
  expect(joinRemarks(compiled.errors, compiled.moreErrors)).toMatch(/CAP_SYS_ADMN9".*; and 2990 more$/);
});
