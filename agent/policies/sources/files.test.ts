import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Logger } from "../../../lib/logger.ts";
import { PolicyFileError, readPolicyFiles } from "./files.ts";

const logger = { warn: vi.fn() } as unknown as Logger;
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "trigon-files-"));
});
afterEach(() => rm(dir, { recursive: true }));

function policy(name: string, call = "sys_setuid", type = "int"): string {
  return `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: ${name}
spec:
  kprobes:
    - call: ${call}
      syscall: true
      args:
        - index: 0
          type: ${type}
`;
}

async function write(name: string, text: string): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, text);
  return file;
}

async function linesOf(promise: Promise<unknown>): Promise<readonly string[]> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof PolicyFileError)) throw new Error(`not refused: ${error}`);
  return error.lines.map((line) => line.replaceAll(`${dir}/`, ""));
}

test("files are read and compiled", async () => {
  const source = await readPolicyFiles({ files: [await write("a.yaml", policy("a.with.dots"))] }, logger);
  const found = source.desired()?.get("TracingPolicy/a.with.dots");
  expect(found).toMatchObject({ origin: `file ${dir}/a.yaml`, spec: { hooks: [{ call: "sys_setuid" }] } });
});

test("a file that is not UTF-8 is refused: its patterns would match nothing", async () => {
  const file = join(dir, "latin1.yaml");
  await writeFile(file, policy("a").replace("sys_setuid", "sys_caf\u00e9"), "latin1");
  expect(await linesOf(readPolicyFiles({ files: [file] }, logger))).toEqual([
    "latin1.yaml:7:20: is not UTF-8: save it as UTF-8",
  ]);
});

test("a file may hold several policies", async () => {
  const file = await write("two.yaml", `${policy("a")}---\n${policy("b")}`);
  const source = await readPolicyFiles({ files: [file] }, logger);
  expect([...(source.desired()?.keys() ?? [])]).toEqual(["TracingPolicy/a", "TracingPolicy/b"]);
});

test("a file may be a List, whose errors name the item", async () => {
  const item = (text: string) => `-\n${text.replace(/^/gm, "  ")}\n`;
  const list = (...items: string[]) => `apiVersion: v1\nkind: List\nitems:\n${items.map(item).join("")}`;
  const file = await write("list.yaml", list(policy("a"), policy("b")));
  const source = await readPolicyFiles({ files: [file] }, logger);
  expect([...(source.desired()?.keys() ?? [])]).toEqual(["TracingPolicy/a", "TracingPolicy/b"]);
  const wrong = await write("wrong.yaml", list(policy("a"), policy("b", "setuid")));
  expect(await linesOf(readPolicyFiles({ files: [wrong] }, logger))).toEqual([
    expect.stringMatching(/^wrong\.yaml:24:9: items\[1\]\.spec\.kprobes\[0\]\.call: "setuid" is not written/),
  ]);
});

test("of a directory, YAML and JSON files are read in the order of their names", async () => {
  for (const name of ["2.yml", "1.yaml", "3.json"]) await write(name, policy(`p${name[0]}`));
  await write("README.md", "not a policy");
  execFileSync("mkfifo", [join(dir, "nobody-writes.yaml")]);
  await mkdir(join(dir, "more.yaml"));
  const source = await readPolicyFiles({ files: [], dir }, logger);
  expect([...(source.desired()?.values() ?? [])].map(({ ref }) => ref.name)).toEqual(["p1", "p2", "p3"]);
});

describe("refused with file, line and field", () => {
  const texts: Record<string, { text: string; says: RegExp }> = {
    "a wrong argument type": {
      text: policy("a", "sys_setuid", "integer"),
      says: /^f\.yaml:11:\d+: spec\.kprobes\[0\]\.args\[0\]\.type: .*integer/,
    },
    "an unknown field": {
      text: policy("a").replace("syscall:", "sycall:"),
      says: /^f\.yaml:8:\d+: spec\.kprobes\[0\]\.sycall: /,
    },
    "a text that is not YAML": { text: "spec: [", says: /^f\.yaml:1:\d+: / },
    "an empty file": { text: "", says: /^f\.yaml:1:1: .*empty/ },
    "another kind": {
      text: "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n",
      says: /^f\.yaml:\d+:\d+: .*Pod/,
    },
  };
  test.each(Object.entries(texts))("%s", async (_name, { text, says }) => {
    const [first] = await linesOf(readPolicyFiles({ files: [await write("f.yaml", text)] }, logger));
    expect(first).toMatch(says);
  });

  test("a file that is not there", async () => {
    expect(await linesOf(readPolicyFiles({ files: [join(dir, "no.yaml")] }, logger))).toEqual([
      expect.stringMatching(/^no\.yaml: ENOENT/),
    ]);
  });

  test("a link to nothing in a directory costs that file only", async () => {
    await mkdir(join(dir, "links"));
    await write("links/a.yaml", policy("a"));
    await symlink("/nonexistent.yaml", join(dir, "links/b.yaml"));
    const source = await readPolicyFiles({ files: [], dir: join(dir, "links") }, logger);
    expect([...(source.desired()?.keys() ?? [])]).toEqual(["TracingPolicy/a"]);
    expect(logger.warn).toHaveBeenCalledWith(
      expect.stringMatching(/links\/b\.yaml: ENOENT.*: the file is left out/),
    );
  });

  test("a directory that is not there", async () => {
    const lines = await linesOf(readPolicyFiles({ files: [], dir: join(dir, "no") }, logger));
    expect(lines[0]).toMatch(/^no: ENOENT/);
  });

  test("the same policy in two files", async () => {
    const files = [await write("a.yaml", policy("p")), await write("b.yaml", policy("p"))];
    expect(await linesOf(readPolicyFiles({ files }, logger))).toEqual([
      "file b.yaml: TracingPolicy/p is already given by file a.yaml",
    ]);
  });

  test("all files, not only the first", async () => {
    const bad = policy("p", "sys_setuid", "integer");
    const files = [await write("a.yaml", bad), await write("b.yaml", bad)];
    const lines = await linesOf(readPolicyFiles({ files }, logger));
    expect(lines.map((line) => line.slice(0, 6))).toEqual(["a.yaml", "b.yaml"]);
  });
});
