import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readBootTime } from "./boot-time.ts";

let procfs: string;
beforeEach(() => {
  procfs = mkdtempSync(join(tmpdir(), "trigon-boot-time-"));
});
afterEach(() => rmSync(procfs, { recursive: true }));

test("is what the kernel says, in whole seconds", () => {
  writeFileSync(join(procfs, "stat"), "cpu  1 2\nintr 5\nbtime 1795559124\nprocesses 9\n");
  expect(readBootTime(procfs)).toBe("2026-11-24T22:25:24Z");
});

test("is not known when the kernel does not say", () => {
  expect(readBootTime(procfs)).toBeUndefined();
  writeFileSync(join(procfs, "stat"), "cpu  1 2\n");
  expect(readBootTime(procfs)).toBeUndefined();
});
