import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundlePrograms, takeBuiltins } from "./bundle.ts";

const take = (name: string) => `process.getBuiltinModule("node:${name}")`;

describe("takeBuiltins", () => {
  test.each([
    ['import { a, b as c$1 } from "node:http";', `const { a, b: c$1 } = ${take("http")};`],
    ['import * as os from "node:os";', `const os = ${take("os")};`],
    ['import os from "node:os";', `const os = ${take("os")};`],
    [
      'import http, { STATUS_CODES } from "node:http";',
      `const http = ${take("http")}; const { STATUS_CODES } = ${take("http")};`,
    ],
    ['import fs, * as all from "node:fs";', `const fs = ${take("fs")}; const all = ${take("fs")};`],
    ['import { Agent } from "https";', 'const { Agent } = process.getBuiltinModule("https");'],
    ['import "node:os";', ""],
    ['import { a } from "./a.js";', 'import { a } from "./a.js";'],
  ])("%s", (before, after) => {
    expect(takeBuiltins(`${before}\nrest();\n`)).toBe(`${after}\nrest();\n`);
  });

  test("throws for what it does not know", () => {
    expect(() => takeBuiltins('import source x from "node:os";')).toThrow("import source x");
  });
});

describe("joined programs", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "bundle-"));
    await bundlePrograms(".", directory);
    await writeFile(join(directory, "package.json"), '{ "type": "module" }');
  }, 60_000);
  afterAll(() => rm(directory, { recursive: true }));

  test.each([
    ["agent", "--version", "trigon-agent "],
    ["operator", "--help", "trigon operator: "],
  ])("the %s loads no web client", async (program, option, answer) => {
    const script = `
      process.on("exit", () => console.error(process.moduleLoadList.join("\\n")));
      process.argv.splice(1, process.argv.length, "main.js", "${option}");
      await import(${JSON.stringify(join(directory, program, "main.js"))});`;
    const { stdout, stderr } = await node("--input-type=module", "--eval", script);
    expect(stdout).toContain(answer);
    const loaded = stderr.split("\n");
    expect(loaded).toContain("NativeModule http");
    expect(loaded.filter((name) => name.includes("undici"))).toEqual([]);
  });

  test("the checks of policies that are made ahead find what those find that are made at run time", async () => {
    const validate = ["validate", "-o", "json", "crds/examples"];
    const [ahead, here] = await Promise.all([
      node(join(directory, "cli/main.js"), ...validate),
      node("cli/main.ts", ...validate),
    ]);
    expect(ahead).toEqual(here);
    expect(JSON.parse(here.stdout).invalid).toBeGreaterThan(50);
  }, 60_000);
});

async function node(
  ...args: string[]
): Promise<{ stdout: string; stderr: string; code: number | string | null }> {
  const { promise, resolve } = Promise.withResolvers<{
    stdout: string;
    stderr: string;
    code: number | string | null;
  }>();
  execFile(process.execPath, ["--no-warnings", ...args], (error, stdout, stderr) =>
    resolve({ stdout, stderr, code: error?.code ?? 0 }),
  );
  return promise;
}
