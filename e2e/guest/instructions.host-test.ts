/** What hooks cost in the kernel does not creep: instructions, as a guest's clock counts them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { committedCounts, count, differences } from "../../bench/instructions.ts";

test("hooks add the instructions that bench/instructions.json has", async () => {
  const found = differences(await count("6.1"), committedCounts("6.1"));
  const advice = "`npm run bench -- instructions --write` writes the new table";
  assert.deepEqual(found, [], `if this is meant, ${advice}`);
});
