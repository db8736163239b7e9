/** The image that clusters of tests run, as buildah made it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { cacheDirectory } from "../cache.mjs";
import { assembleHere } from "./base.ts";
import { assembleAgain } from "./build.ts";

const PROJECT = join(import.meta.dirname, "../..");

const { version, dependencies } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8")) as {
  version: string;
  dependencies: Record<string, string>;
};

const progress = (line: string) => console.error(line);

let facts: Awaited<ReturnType<typeof assembleAgain>>;
before(async () => {
  facts = await assembleAgain(cacheDirectory(process.env), progress);
});

test("with what this machine compiled and by every stage of the Dockerfile, it has one digest", () => {
  assert.match(facts.first.digest, /^sha256:[0-9a-f]{64}$/);
  assert.equal(facts.second.digest, facts.first.digest);
});

test("has the labels of the OCI annotations", () => {
  const { labels } = facts.first;
  assert.equal(labels["org.opencontainers.image.title"], "trigon");
  assert.equal(labels["org.opencontainers.image.version"], version);
  assert.equal(labels["org.opencontainers.image.licenses"], "Apache-2.0");
});

test("lists what it is made of", () => {
  const { packages } = JSON.parse(facts.billOfMaterials) as { packages: { name: string }[] };
  const names = new Set(packages.map(({ name }) => name));
  const wanted = [...Object.keys(dependencies), "libbpf1", "libc6", "libstdc++6"];
  assert.deepEqual(
    wanted.filter((name) => !names.has(name)),
    [],
  );
});

describe("its programs take the compiled code that comes with it", () => {
  let work: string;
  before(async () => {
    work = mkdtempSync(join(tmpdir(), "image-"));
    await assembleHere(PROJECT, work, progress);
  });
  after(() => rmSync(work, { recursive: true }));

  for (const [user, program, ...args] of [
    ["0", "agent", "--version"],
    ["65532", "operator", "--help"],
    ["0", "cli", "validate", "/app/package.json"],
  ] as const) {
    test(`the ${program}, as user ${user}`, () => {
      const { environment } = facts.first;
      const env = { ...environment, PATH: process.env.PATH, NODE_DEBUG_NATIVE: "COMPILE_CACHE" };
      const node = ["/usr/local/bin/node", `/app/${program}/main.js`, ...args];
      const root = ["--userspec", user, join(work, "image")];
      const { stderr } = spawnSync("chroot", [...root, ...node], { env, encoding: "utf8" });
      const outcomes = [...stderr.matchAll(/V8 code cache for \S+ \S+ was (\w+)/g)].map(
        ([, outcome]) => outcome,
      );
      assert.ok(outcomes.length > 10, stderr);
      assert.deepEqual(new Set(outcomes), new Set(["accepted"]));
      // Nothing that it loads is missing.
      assert.doesNotMatch(stderr, /writing cache/);
    });
  }
});
