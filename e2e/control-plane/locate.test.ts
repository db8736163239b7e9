import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import type { WantedPackage } from "./debian.ts";
import { cachePath, KUBERNETES_MODULE } from "./go-modules.mjs";
import { locate, type Program, type Programs } from "./locate.ts";

const home = mkdtempSync(join(tmpdir(), "trigon-locate-"));
afterAll(() => rmSync(home, { recursive: true }));

const program = (debian?: string): Program => ({
  module: KUBERNETES_MODULE,
  package: "./program",
  ...(debian === undefined ? {} : { debian }),
  versionArgs: ["--version"],
  fits: /^version 2\./,
});
const PROGRAMS = {
  first: program("both"),
  second: program("both"),
  other: program("other"),
  ours: program(),
} satisfies Programs;

let directory = "";
let environment: NodeJS.ProcessEnv = {};
beforeEach(() => {
  directory = mkdtempSync(join(home, "test-"));
  environment = {
    KUBEBUILDER_ASSETS: join(directory, "assets"),
    PATH: `${join(directory, "bin")}:${process.env.PATH}`,
    TRIGON_CACHE: join(directory, "cache"),
  };
});

/** A program that prints its version. */
function install(path: string, version: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho version ${version}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Debian with packages that have these programs in the given versions; remembers what it was asked for. */
function makeDebian(packages: Record<string, Record<string, string>>) {
  const asked: string[] = [];
  const unpack = async (wanted: WantedPackage[]) => {
    for (const { name, root, fits } of wanted) {
      asked.push(name);
      const unpacked = mkdtempSync(join(directory, "unpacked-"));
      for (const [file, version] of Object.entries(packages[name] ?? {}))
        install(join(unpacked, "usr/bin", file), version);
      if (!(await fits(unpacked))) continue;
      for (const [file, version] of Object.entries(packages[name] ?? {}))
        install(join(root, "usr/bin", file), version);
    }
  };
  return { asked, unpack };
}

test("the machine's own programs come first, those in KUBEBUILDER_ASSETS before those on PATH", async () => {
  const first = install(join(directory, "assets/first"), "2.1");
  install(join(directory, "bin/first"), "2.2");
  const second = install(join(directory, "bin/second"), "2.2");
  const { asked, unpack } = makeDebian({});
  const found = await locate(PROGRAMS, ["first", "second"], environment, unpack);
  expect(found).toEqual(new Map(Object.entries({ first, second })));
  expect(asked).toEqual([]);
});

test("a program on the machine whose version does not fit is passed over", async () => {
  install(join(directory, "assets/other"), "1.9");
  const other = install(join(directory, "bin/other"), "2.0");
  const found = await locate(PROGRAMS, ["other"], environment, makeDebian({}).unpack);
  expect(found.get("other")).toBe(other);
});

test("what was built before comes before a package", async () => {
  const other = install(join(cachePath(KUBERNETES_MODULE, environment), "other"), "2.0");
  const { asked, unpack } = makeDebian({ other: { other: "2.5" } });
  const found = await locate(PROGRAMS, ["other"], environment, unpack);
  expect(found.get("other")).toBe(other);
  expect(asked).toEqual([]);
});

test("each package is asked for once, and its programs are found without it afterwards", async () => {
  const { asked, unpack } = makeDebian({ both: { first: "2.1", second: "2.1" }, other: { other: "2.7" } });
  const names = ["first", "second", "other"];
  const found = await locate(PROGRAMS, names, environment, unpack);
  expect([...found.keys()]).toEqual(names);
  expect(asked).toEqual(["both", "other"]);
  const again = makeDebian({});
  expect(await locate(PROGRAMS, names, environment, again.unpack)).toEqual(found);
  expect(again.asked).toEqual([]);
});

const unfit: Record<string, Record<string, Record<string, string>>> = {
  "has a version that does not fit": { both: { first: "2.1", second: "3.0" } },
  "lacks one of its programs": { both: { first: "2.1" } },
  "does not exist": {},
};

test.each(Object.entries(unfit))("none of a package's programs is used if it %s", async (_name, packages) => {
  const { asked, unpack } = makeDebian(packages);
  expect(await locate(PROGRAMS, ["first", "second"], environment, unpack)).toEqual(new Map());
  expect(asked).toEqual(["both"]);
});

test("a package that was unpacked for another version is not used", async () => {
  await locate(PROGRAMS, ["other"], environment, makeDebian({ other: { other: "2.7" } }).unpack);
  const newer = { ...PROGRAMS, other: { ...PROGRAMS.other, fits: /^version 3\./ } };
  const { asked, unpack } = makeDebian({ other: { other: "3.0" } });
  const found = await locate(newer, ["other"], environment, unpack);
  expect(found.size).toBe(1);
  expect(asked).toEqual(["other"]);
});

test("nothing is asked of Debian for a program that it does not have", async () => {
  const { asked, unpack } = makeDebian({});
  expect(await locate(PROGRAMS, ["ours"], environment, unpack)).toEqual(new Map());
  expect(asked).toEqual([]);
});
