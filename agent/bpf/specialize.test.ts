import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const PROGRAM = fileURLToPath(new URL("../../build/test/specialize_test", import.meta.url));

test("programs do the same without what a frozen map makes superfluous", async () => {
  // Prints the seed and both programs where they differ, and fails.
  const { stdout } = await promisify(execFile)(PROGRAM, ["20000", "1"]);
  expect(stdout).toMatch(/^20000 programs, \d+ instructions became \d+$/m);
});
