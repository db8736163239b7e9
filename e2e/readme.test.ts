/** Rooms, arrows and files that README names exist: a move that makes README wrong fails here. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import imports from "../.dependency-cruiser.mjs";

const ROOT = join(import.meta.dirname, "..");
const README = readFileSync(join(ROOT, "README.md"), "utf8");
const ARCHITECTURE = /^## Architecture$(.*?)^## /ms.exec(README)?.[1] ?? "";

const NOT_ROOMS = new Set(["build", "docs", "node_modules"]);

const rooms = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && !NOT_ROOMS.has(entry.name))
  .map(({ name }) => name);
const roomsOfTable = [...ARCHITECTURE.matchAll(/^\| `(\w+)\/`/gm)].map((match) => match[1]);
const arrows = [...ARCHITECTURE.matchAll(/([\w/]+) +<- +(?=([\w/]+))/g)].map(([, to = "", from = ""]) => ({
  from,
  to,
}));

/** Paths in backquotes: those inside a room, and files in the section on architecture. */
const paths = [
  ...README.matchAll(new RegExp(`\`((?:${rooms.join("|")})/[\\w./-]*)\``, "g")),
  ...ARCHITECTURE.matchAll(/`([\w-]+\/[\w./-]+\.\w+)`/g),
].map((match) => match[1] ?? "");

interface Arrows {
  name: string;
  to: { pathNot: string[] };
}

/** Whether the rules on imports let a room, or a room inside it, import from another one. */
function allows({ from, to }: { from: string; to: string }): boolean {
  const targets = [`^${to}/`, `^agent/${to}/`];
  return (imports as { forbidden: Arrows[] }).forbidden
    .filter(({ name }) => new RegExp(`^arrows of (agent/)?${from}(/|$)`).test(name))
    .some((rule) => targets.some((target) => rule.to.pathNot.includes(target)));
}

describe("README's section on architecture", () => {
  test("has a table of all rooms", () => {
    expect(roomsOfTable.toSorted()).toEqual(rooms.toSorted());
  });

  test("draws arrows that the rules on imports allow", () => {
    expect(arrows).not.toEqual([]);
    expect(arrows.filter((arrow) => !allows(arrow))).toEqual([]);
  });
});

test.each([...new Set(paths)])("README names a path that exists: %s", (path) => {
  expect(existsSync(join(ROOT, path))).toBe(true);
});

/** Commands about policies in files need neither a cluster nor an agent. */
const commands = [...README.matchAll(/^npx (trigon (?:validate|explain) [^#\n]*?) *(?:#.*)?$/gm)].map(
  ([, command = ""]) => command,
);

test("README shows commands about policies in files", () => {
  expect(commands.map((command) => command.split(" ")[1])).toEqual(["validate", "explain"]);
});

test.each(commands)("README's command does what it says: %s", (command) => {
  const line = command.replace(/^trigon/, `"${process.execPath}" cli/trigon.mjs`);
  const { status, stdout, stderr } = spawnSync("sh", ["-c", line], { cwd: ROOT, encoding: "utf8" });
  const isRefused = command.includes("/invalid/");
  expect({ status, stderr: isRefused ? "" : stderr }).toEqual({ status: isRefused ? 1 : 0, stderr: "" });
  expect(stdout).toMatch(isRefused ? /^\S+\.yaml:\d+:\d+: spec\S*: \S/m : /selectors\[0\]: in the kernel/);
});

test.each(["github", "sarif", "json"])("README's form of findings exists: %s", (form) => {
  expect(README).toMatch(new RegExp(`trigon validate -o (\\w+\\|)*${form}\\b`));
  const args = ["cli/trigon.mjs", "validate", "-o", form, "crds/examples/invalid/wrong-operator.yaml"];
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
  expect(status).toBe(1);
  expect(stdout).toContain("matchNamespaces[0].operator");
});
