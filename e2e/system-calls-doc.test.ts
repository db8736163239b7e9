import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** The last cells of the table: names of tests, or files of tests. */
const named = read("docs/system-calls.md")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| way ") && !line.startsWith("| ---"))
  .map((line) => line.split("|").at(-2)?.trim() ?? "");
const tests = [...read("e2e/guest/ways.guest-test.ts").matchAll(/^test\("([^"]+)"/gm)].map(
  ([, name]) => name,
);

test("every row of docs/system-calls.md is a test, and every test of a way has a row", () => {
  const files = named.filter((cell) => cell.startsWith("`"));
  expect(files.filter((cell) => !existsSync(join(ROOT, cell.slice(1, -1))))).toEqual([]);
  expect(named.filter((cell) => !files.includes(cell)).sort()).toEqual([...tests].sort());
});
