/** The commands with which README installs Trigon: they parse, and what they name exists and fits together. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

const ROOT = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** Lines of the first block of code after a line of README. */
function commandsAfter(line: string): string[] {
  const [, rest = ""] = read("README.md").split(`\n${line}\n`);
  return /^\n```\n(.*?)\n```$/ms.exec(rest)?.[1]?.split("\n") ?? [];
}

const WAYS = { kind: commandsAfter("With kind:"), registry: commandsAfter("With a registry:") };

/** What a command after `&&` consists of. */
const words = (command: string) => command.split(/ && /).map((part) => part.split(" "));
/** The word that follows another one, in any command. */
function wordsAfter(commands: readonly string[], flag: string): string[] {
  const all = commands.flatMap(words);
  return all.flatMap((list) => list.filter((_, index) => list[index - 1] === flag));
}

describe.each(Object.entries(WAYS))("with %s", (_name, commands) => {
  test("it takes four lines, which a shell can parse", () => {
    expect(commands).toHaveLength(4);
    expect(spawnSync("sh", ["-n", "-c", commands.join("\n")], { encoding: "utf8" })).toMatchObject({
      status: 0,
      stderr: "",
    });
  });

  test("each file that a command names exists", () => {
    const files = ["--config", "--values", "trigon"].flatMap((flag) => wordsAfter(commands, flag));
    const ofProject = files.filter((name) => /^(kind-config|manifests)/.test(name));
    expect(ofProject).toContain("manifests/chart");
    expect(ofProject.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
    expect(existsSync(join(ROOT, "Dockerfile"))).toBe(true);
  });

  test("each script of npm exists", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const names = wordsAfter(commands, "run");
    expect(names).toContain("build");
    expect(names.filter((name) => scripts[name] === undefined)).toEqual([]);
  });
});

test("kind loads the image that is built, into the cluster of kind-config.yaml, and the chart runs it", () => {
  const [built] = wordsAfter(WAYS.kind, "-t");
  const { name } = parse(read("kind-config.yaml")) as { name: string };
  const { image } = parse(read("manifests/chart/values.yaml")) as {
    image: { repository: string; tag: string };
  };
  expect(wordsAfter(WAYS.kind, "docker-image")).toEqual([built]);
  expect(wordsAfter(WAYS.kind, "--name")).toEqual([name]);
  expect(`${image.repository}:${image.tag}`).toBe(built);
});

test("the registry gets the image that is built, and the chart runs it", () => {
  const [built] = wordsAfter(WAYS.registry, "-t");
  const settings = Object.fromEntries(
    wordsAfter(WAYS.registry, "--set").map((setting) => setting.split("=")),
  );
  expect(wordsAfter(WAYS.registry, "push")).toEqual([built]);
  expect(`${settings["image.repository"]}:${settings["image.tag"]}`).toBe(built);
  expect(settings["image.tag"]).toBe(JSON.parse(read("package.json")).version);
});
