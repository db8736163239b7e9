import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { entriesOf, functionsOf, readPieces } from "./kallsyms.ts";

const directory = mkdtempSync(join(tmpdir(), "kallsyms-"));
afterAll(() => rmSync(directory, { recursive: true }));

const KALLSYMS = `0000000000000000 A fixed_percpu_data
ffffffff810a0000 T commit_creds
ffffffff810a0100 t copy_creds.isra.0
ffffffff810a0200 T __x64_sys_setuid
ffffffff810a0210 t __ia32_compat_sys_execve
ffffffff810a0300 D init_cred
ffffffffc0a00000 t helper\t[module]
`;

test("functions are those of modules too, and no data", () => {
  expect([...functionsOf(KALLSYMS)]).toEqual([
    "commit_creds",
    "copy_creds.isra.0",
    "__x64_sys_setuid",
    "__ia32_compat_sys_execve",
    "helper",
  ]);
});

test("entries have their addresses", () => {
  expect([...entriesOf(KALLSYMS)]).toEqual([
    ["__x64_sys_setuid", "ffffffff810a0200"],
    ["__ia32_compat_sys_execve", "ffffffff810a0210"],
  ]);
});

describe("a file in pieces", () => {
  const lines = Array.from({ length: 20_000 }, (_, index) => `${index.toString(16)} T function_${index}\n`);
  const texts = {
    "that is empty": "",
    "of one line": "1 T a\n",
    "without a newline at its end": `${lines.join("")}1 T last`,
    "that is longer than a piece": lines.join(""),
  };
  test.each(Object.entries(texts))("%s is whole, and each piece ends with a line", (_name, text) => {
    const path = join(directory, "pieces");
    writeFileSync(path, text);
    const pieces = [...readPieces(path)];
    expect(pieces.join("")).toBe(text);
    expect(pieces.slice(0, -1).every((piece) => piece.endsWith("\n"))).toBe(true);
    expect(pieces.length).toBeGreaterThanOrEqual(Math.floor(text.length / (64 << 10)));
  });
});
