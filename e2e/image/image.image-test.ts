/** The image that clusters of tests run, as buildah made it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { cacheDirectory } from "../cache.mjs";
import { assembleAgain } from "./build.ts";

const { version, dependencies } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"),
) as { version: string; dependencies: Record<string, string> };

let facts: Awaited<ReturnType<typeof assembleAgain>>;
before(async () => {
  facts = await assembleAgain(cacheDirectory(process.env), (line) => console.error(line));
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
