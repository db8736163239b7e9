import { expect, test } from "vitest";
import { errorField } from "./metrics.ts";

test.each([
  ["spec.kprobes[0].args[1].index", "kprobes"],
  ["spec.options[0].name", "options"],
  ["spec.kprobe", "other"],
  ["metadata.name", "other"],
  ["", "other"],
])("an error at %s counts as one of %s", (path, field) => {
  expect(errorField(path)).toBe(field);
});
