import { expect, test } from "vitest";
import type { LabelSelector } from "../../crds/hook-spec.ts";
import { selectorMatches } from "./label-selector.ts";

const labels = { zone: "a", gpu: "" };
const expression = (
  key: string,
  operator: "In" | "NotIn" | "Exists" | "DoesNotExist",
  values?: string[],
): LabelSelector => ({
  matchExpressions: [{ key, operator, ...(values && { values }) }],
});

const cases: Record<string, { selector: LabelSelector; want: boolean }> = {
  "an empty selector matches": { selector: {}, want: true },
  "a label with the value matches": { selector: { matchLabels: { zone: "a" } }, want: true },
  "a label with another value does not": { selector: { matchLabels: { zone: "b" } }, want: false },
  "every label has to match": { selector: { matchLabels: { zone: "a", rack: "1" } }, want: false },
  "In matches a listed value": { selector: expression("zone", "In", ["b", "a"]), want: true },
  "In does not match an absent label": { selector: expression("rack", "In", ["1"]), want: false },
  "NotIn does not match a listed value": { selector: expression("zone", "NotIn", ["a"]), want: false },
  "NotIn matches an absent label": { selector: expression("rack", "NotIn", ["1"]), want: true },
  "Exists matches an empty value": { selector: expression("gpu", "Exists"), want: true },
  "DoesNotExist matches an absent label": { selector: expression("rack", "DoesNotExist"), want: true },
  "labels and expressions both have to match": {
    selector: { matchLabels: { zone: "a" }, ...expression("gpu", "DoesNotExist") },
    want: false,
  },
};

test.each(Object.entries(cases))("%s", (_name, { selector, want }) => {
  expect(selectorMatches(selector, labels)).toBe(want);
});
