import { expect, test } from "vitest";
import { PolicyLabels } from "./policy-labels.ts";

const policy = (name: string) => ({ kind: "TracingPolicy", name }) as const;

test("a hook has one object of labels, until its policy is forgotten", () => {
  const labels = new PolicyLabels();
  const first = labels.of(policy("p"), "kprobe:f");
  expect(first).toEqual({ policy: "p", policy_namespace: "", hook: "kprobe:f" });
  expect(labels.of(policy("p"), "kprobe:f")).toBe(first);
  labels.forget(policy("p"));
  expect(labels.of(policy("p"), "kprobe:f")).not.toBe(first);
});

test("policies that come and go do not fill the memory", () => {
  const labels = new PolicyLabels(2);
  const [first, second] = ["a", "b"].map((name) => labels.of(policy(name), "x"));
  expect(["a", "b"].map((name) => labels.of(policy(name), "x"))).toEqual([first, second]);
  labels.of(policy("c"), "x");
  expect(labels.of(policy("a"), "x")).not.toBe(first);
});
