import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import * as layout from "./layout.ts";

const header = new URL("../../bpf/include/event.h", import.meta.url).pathname;
const compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].find((path) => existsSync(path));
const scratch = mkdtempSync(join(tmpdir(), "record-layout-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A program that prints `NAME VALUE` for each expression, compiled against event.h. */
function evaluate(expressions: Record<string, string>): Record<string, number> {
  const lines = Object.entries(expressions).map(
    ([name, expression]) => `printf("%s %lu\\n", "${name}", (unsigned long)(${expression}));`,
  );
  const source = join(scratch, "layout.c");
  writeFileSync(
    source,
    `#include <stddef.h>\n#include <stdio.h>\n#include <linux/types.h>\n#include "${header}"\nint main(void){${lines.join("\n")}return 0;}\n`,
  );
  const program = join(scratch, "layout");
  execFileSync(compiler as string, ["-o", program, source]);
  const output = execFileSync(program, { encoding: "utf8" }).trim().split("\n");
  return Object.fromEntries(
    output.map((line) => line.split(" ")).map(([name, value]) => [name, Number(value)]),
  );
}

/** Names of the members of each struct as event.h declares them, so that none is left out of the table. */
function declaredMembers(struct: string): string[] {
  const body = readFileSync(header, "utf8").match(new RegExp(`struct ${struct} \\{([^}]*)\\}`))?.[1] ?? "";
  const code = body.replace(/\/\*[\s\S]*?\*\//g, "");
  return code
    .split(";")
    .flatMap((declaration) =>
      declaration
        .trim()
        .replace(/^(struct )?\w+\s+/, "")
        .split(","),
    )
    .map((name) => name.trim().replace(/\[.*/, ""))
    .filter((name) => name !== "");
}

describe.skipIf(compiler === undefined)("record layout against a C compiler", () => {
  const structs = Object.entries(layout.STRUCTS);

  test.each(structs)("struct %s has the compiler's size and offsets", (name, { size, members }) => {
    const fields = Object.keys(members);
    const values = evaluate({
      size: `sizeof(struct ${name})`,
      ...Object.fromEntries(fields.map((field) => [field, `offsetof(struct ${name}, ${field})`])),
    });
    expect({ size, ...members }).toEqual(values);
  });

  test.each(structs)("struct %s has every member in the table", (name, { members }) => {
    expect(Object.keys(members)).toEqual(declaredMembers(name));
  });

  test("enumerators have the compiler's values", () => {
    const fields = layout.CRED_FIELD_NAMES.map((name, i) => [`CRED_FIELD_${name.toUpperCase()}`, i] as const);
    const named = Object.entries(layout).filter(
      ([name]) => /^(RECORD|ARG|MAX|EXEC)_/.test(name) && name !== "EXEC_SIZE",
    );
    const constants = [...named, ...fields];
    expect(constants.length).toBeGreaterThan(40);
    const values = evaluate(Object.fromEntries(constants.map(([name]) => [name, name])));
    expect(Object.fromEntries(constants)).toEqual(values);
  });
});

test("flags of a path are those of its walk", () => {
  const source = readFileSync(new URL("../../bpf/include/path.h", import.meta.url), "utf8");
  const declared = [...source.matchAll(/(WALK_[A-Z]+) = 1 << (\d)/g)].map(([, name, bit]) => [
    name,
    1 << Number(bit),
  ]);
  expect(Object.fromEntries(declared)).toEqual({
    WALK_TRUNCATED: layout.WALK_TRUNCATED,
    WALK_FAILED: layout.WALK_FAILED,
  });
});
