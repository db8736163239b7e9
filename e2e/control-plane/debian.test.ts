import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { unpackPackages, type WantedPackage } from "./debian.ts";

const home = mkdtempSync(join(tmpdir(), "trigon-debian-"));
afterAll(() => rmSync(home, { recursive: true }));
let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(home, "test-"));
});

/** A package that fits in version 2. */
const want = (name: string): WantedPackage => ({
  name,
  root: join(directory, `${name}.root`),
  fits: async (root) => readFileSync(join(root, "version"), "utf8") === "2",
});

/** An archive with packages in these versions; remembers what was fetched. */
function makeArchive(versions: Record<string, string>) {
  const fetched: string[] = [];
  const fetch = async (names: string[], work: string) => {
    fetched.push(...names);
    const roots = names.filter((name) => name in versions).map((name) => [name, join(work, name)] as const);
    for (const [name, root] of roots) {
      mkdirSync(root);
      writeFileSync(join(root, "version"), versions[name] as string);
    }
    return new Map(roots);
  };
  return { fetched, fetch };
}

test("packages that fit are kept, and the others are returned", async () => {
  const { fetch } = makeArchive({ new: "2", old: "1" });
  const wanted = [want("new"), want("old"), want("unknown")];
  expect(await unpackPackages(wanted, directory, fetch)).toEqual(["old", "unknown"]);
  expect(wanted.map(({ root }) => existsSync(root))).toEqual([true, false, false]);
});

test("what another process has unpacked is not fetched again", async () => {
  const first = makeArchive({ one: "2", two: "2" });
  await unpackPackages([want("one")], directory, first.fetch);
  const second = makeArchive({ one: "2", two: "2" });
  expect(await unpackPackages([want("one"), want("two")], directory, second.fetch)).toEqual([]);
  expect(second.fetched).toEqual(["two"]);
});

test("nothing but the packages is left, and nothing if the archive cannot be reached", async () => {
  await unpackPackages([want("old")], directory, makeArchive({ old: "1" }).fetch);
  const fails = () => Promise.reject(new Error("no route to the archive"));
  await expect(unpackPackages([want("one")], directory, fails)).rejects.toThrow("no route");
  expect(readdirSync(directory)).toEqual(["lock"]);
});
