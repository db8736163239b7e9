import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Logger } from "../../../lib/logger.ts";
import { type FileSource, PolicyFileError, readPolicyFiles } from "./files.ts";

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
  source.close();
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

describe("a directory is watched", () => {
  const lines: string[] = [];
  const log = {
    warn: (text: string) => lines.push(text),
    error: (text: string) => lines.push(text),
  } as unknown as Logger;
  beforeEach(() => {
    lines.length = 0;
  });

  async function open(where: string = dir) {
    const source = await readPolicyFiles({ files: [], dir: where }, log);
    opened.push(source);
    const changes = { count: 0 };
    source.onChange(() => changes.count++);
    return { source, changes };
  }
  const opened: FileSource[] = [];
  afterEach(() => {
    for (const source of opened.splice(0)) source.close();
  });

  /** What each policy hooks, or "broken". */
  const state = (source: FileSource) =>
    Object.fromEntries(
      [...source.desired()].map(([key, policy]) => [
        key.replace("TracingPolicy/", ""),
        "spec" in policy ? policy.spec.hooks[0]?.call : "broken",
      ]),
    );
  const becomes = (source: FileSource, want: object) =>
    expect.poll(() => state(source), { timeout: 5_000 }).toEqual(want);

  test("a file that is new, changed or removed is an edit", async () => {
    await write("a.yaml", policy("a"));
    const { source } = await open();
    await write("b.yaml", policy("b"));
    await becomes(source, { a: "sys_setuid", b: "sys_setuid" });
    await write("a.yaml", policy("a", "sys_setgid"));
    await becomes(source, { a: "sys_setgid", b: "sys_setuid" });
    await rm(join(dir, "a.yaml"));
    await becomes(source, { b: "sys_setuid" });
    expect(lines).toEqual([]);
  });

  test("a row of changes is announced once, before it is read", async () => {
    const { source, changes } = await open();
    const announced: number[] = [];
    source.onAnnounced(() => announced.push(changes.count));
    await Promise.all(["a.yaml", "b.yaml", "c.yaml"].map((name) => write(name, policy(name[0] ?? ""))));
    await becomes(source, { a: "sys_setuid", b: "sys_setuid", c: "sys_setuid" });
    expect(announced[0]).toBe(0);
  });

  test("a file that is renamed goes on without a gap", async () => {
    await write("a.yaml", policy("a"));
    const { source } = await open();
    const seen: object[] = [];
    source.onChange(() => seen.push(state(source)));
    await rename(join(dir, "a.yaml"), join(dir, "b.yaml"));
    await expect.poll(() => seen, { timeout: 5_000 }).toEqual([{ a: "sys_setuid" }]);
  });

  test("a mounted ConfigMap, whose links are swapped", async () => {
    const version = async (name: string, call: string) => {
      await mkdir(join(dir, name));
      await write(`${name}/a.yaml`, policy("a", call));
    };
    await version("..1", "sys_setuid");
    await symlink("..1", join(dir, "..data"));
    await symlink("..data/a.yaml", join(dir, "a.yaml"));
    const { source } = await open();
    expect(state(source)).toEqual({ a: "sys_setuid" });
    await version("..2", "sys_setgid");
    await symlink("..2", join(dir, "..data_tmp"));
    await rename(join(dir, "..data_tmp"), join(dir, "..data"));
    await rm(join(dir, "..1"), { recursive: true });
    await becomes(source, { a: "sys_setgid" });
    expect(lines).toEqual([]);
  });

  test("a file that becomes invalid costs its own policies an edit, and is reported once", async () => {
    await write("a.yaml", policy("a"));
    await write("b.yaml", policy("b"));
    const { source } = await open();
    await write("a.yaml", policy("a", "sys_setuid", "integer"));
    await becomes(source, { a: "broken", b: "sys_setuid" });
    await write("b.yaml", policy("b", "sys_setgid"));
    await becomes(source, { a: "broken", b: "sys_setgid" });
    expect(lines).toEqual([expect.stringMatching(/a\.yaml:11:\d+: spec\.kprobes\[0\]\.args\[0\]\.type: /)]);
    await write("a.yaml", "spec: [");
    await becomes(source, { a: "broken", b: "sys_setgid" });
    await write("a.yaml", policy("a"));
    await becomes(source, { a: "sys_setuid", b: "sys_setgid" });
  });

  test("files that cannot be used at the start cost nothing but themselves", async () => {
    await symlink("nowhere.yaml", join(dir, "0-dangling.yaml"));
    await write("1-invalid.yaml", "spec: [");
    await write("2.yaml", policy("a"));
    await write("3-same.yaml", policy("a", "sys_setgid"));
    const { source } = await open();
    expect(state(source)).toEqual({ a: "sys_setuid" });
    expect(lines.map((line) => line.replaceAll(`${dir}/`, ""))).toEqual([
      expect.stringMatching(/^0-dangling\.yaml: ENOENT/),
      expect.stringMatching(/^1-invalid\.yaml:1:/),
      "file 3-same.yaml: TracingPolicy/a is already given by file 2.yaml",
    ]);
  });

  test("a link that is dangling for a while keeps its policy", async () => {
    await write("target", policy("a"));
    await symlink("target", join(dir, "a.yaml"));
    const { source } = await open();
    await rename(join(dir, "target"), join(dir, "away"));
    await becomes(source, { a: "broken" });
    await rename(join(dir, "away"), join(dir, "target"));
    await becomes(source, { a: "sys_setuid" });
  });

  test("a directory that is removed keeps its policies, and is read when it comes back", async () => {
    const inner = join(dir, "policies");
    await mkdir(inner);
    await write("policies/a.yaml", policy("a"));
    const { source } = await open(inner);
    await rename(inner, join(dir, "old"));
    await expect
      .poll(() => lines, { timeout: 5_000 })
      .toEqual([expect.stringMatching(/ENOENT.*its policies stay$/)]);
    expect(state(source)).toEqual({ a: "sys_setuid" });
    await mkdir(join(dir, "new"));
    await write("new/a.yaml", policy("a", "sys_setgid"));
    await rename(join(dir, "new"), inner);
    await becomes(source, { a: "sys_setgid" });
    await write("policies/b.yaml", policy("b"));
    await becomes(source, { a: "sys_setgid", b: "sys_setuid" });
  });

  test("nothing is read while nothing changes", async () => {
    await write("a.yaml", policy("a"));
    const { changes } = await open();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(changes.count).toBe(0);
  });
});
