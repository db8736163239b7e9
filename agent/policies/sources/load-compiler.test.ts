import { expect, test } from "vitest";
import { prepareRules } from "../../../policy/schema/rules.ts";
import { loadCompiler } from "./load-compiler.ts";

test("the event loop turns for each part and for each rule, and the compiler is loaded once", async () => {
  let turns = 0;
  const count = () => {
    turns++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  const loading = loadCompiler();
  expect(loadCompiler()).toBe(loading);
  const { compileFile } = await loading;
  clearImmediate(counting);
  expect(turns).toBeGreaterThan([...prepareRules()].length);
  expect((await compileFile("a.yaml", "hash", Buffer.from("kind: Pod"))).errors).not.toEqual([]);
});
