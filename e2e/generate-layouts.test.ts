import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { generateLayouts } from "./generate-layouts.ts";
import { PROJECT } from "./runner/run-tests.ts";

describe("on a machine without a compiler", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "trigon-layouts-"));
    for (const part of [
      "bpf/layouts.bpf.c",
      "bpf/include",
      "agent/records",
      "agent/hooks/config/layout.gen.ts",
    ]) {
      cpSync(join(PROJECT, part), join(root, part), { recursive: true });
    }
  });
  afterEach(() => rmSync(root, { recursive: true }));

  async function generate(): Promise<string[]> {
    const lines: string[] = [];
    await generateLayouts(root, { PATH: "" }, (line) => lines.push(line));
    return lines;
  }

  function edit(file: string, from: string, to: string): void {
    const path = join(root, file);
    const source = readFileSync(path, "utf8");
    expect(source).toContain(from);
    writeFileSync(path, source.replace(from, to));
  }

  test("the committed layouts are those of the committed headers", async () => {
    expect(await generate()).toEqual([expect.stringContaining("make, clang, bpftool not installed")]);
  });

  test("a comment in a header changes nothing", async () => {
    edit("bpf/include/event.h", "enum record_kind {", "/* What happened. */\nenum record_kind {");
    expect(await generate()).toHaveLength(1);
  });

  test("a header that has changed is refused", async () => {
    edit("bpf/include/event.h", "__u32 tid;", "__u64 tid;");
    await expect(generate()).rejects.toThrow("bpf/include or agent/records/layout.gen.ts");
  });

  test("a generated file that has been edited is refused", async () => {
    edit("agent/hooks/config/layout.gen.ts", "hook_id: 0", "hook_id: 4");
    await expect(generate()).rejects.toThrow("npm run generate");
  });
});
