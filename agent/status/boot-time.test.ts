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

test("the boot time is the one that the kernel reports, in whole seconds", () => {
  writeFileSync(join(procfs, "stat"), "cpu  1 2\nintr 5\nbtime 1795559124\nprocesses 9\n");
  expect(readBootTime(procfs)).toBe("2026-11-24T22:25:24Z");
});

test("the boot time is not known when the kernel does not report it", () => {
  expect(readBootTime(procfs)).toBeUndefined();
  writeFileSync(join(procfs, "stat"), "cpu  1 2\n");
  expect(readBootTime(procfs)).toBeUndefined();
});
