import { expect, test } from "vitest";
import { stagesBefore } from "./base.ts";

const DOCKERFILE = "ARG X\nFROM a AS one\nRUN 1\nFROM one AS two\nRUN 2\n";

test("a stage's base depends on the lines above it only", () => {
  expect(stagesBefore(DOCKERFILE, "two")).toBe("ARG X\nFROM a AS one\nRUN 1\n");
});

test("a stage that was renamed is an error, not an empty string that never changes", () => {
  expect(() => stagesBefore(DOCKERFILE, "three")).toThrow("no stage three");
});
