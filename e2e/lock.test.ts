import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withLock } from "./lock.ts";

test("work under one lock never overlaps, and a failure frees the lock", async () => {
  const file = join(await mkdtemp(join(tmpdir(), "trigon-test-")), "lock");
  const log: string[] = [];
  const work = (name: string) =>
    withLock(file, async () => {
      log.push(`${name} in`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      log.push(`${name} out`);
      if (name === "a") throw new Error("failed");
    });
  const results = await Promise.allSettled([work("a"), work("b")]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  const first = log[0]?.[0];
  expect(log.map((line) => line[0])).toEqual(first === "a" ? ["a", "a", "b", "b"] : ["b", "b", "a", "a"]);
});
