import { setImmediate as turn } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { makeLargePolicy, makeWrongPolicy } from "../testing/large-policies.ts";
import { makePolicyObject } from "../testing/world.ts";
import { compileAndEncode } from "./compiled.ts";
import { type Compiler, makeCompiler } from "./compiler.ts";

const PROGRAM = new URL("./compiler-thread.ts", import.meta.url);
const asPolicy = (parts: object) => ({
  apiVersion: "cilium.io/v1alpha1",
  kind: "TracingPolicy",
  ...parts,
});

let compiler: Compiler;
function start(options: { program?: URL; inlineChars?: number; idleMs?: number } = {}): Compiler {
  compiler = makeCompiler({ program: PROGRAM, ...options });
  return compiler;
}
afterEach(() => compiler.close());

describe("what comes out of the thread is what is compiled in place", () => {
  test.each([
    ["a large policy", asPolicy(makeLargePolicy("a"))],
    ["a large policy with mistakes", asPolicy(makeWrongPolicy("b", 100_000))],
  ])("%s", async (_name, policy) => {
    const compiled = await start().compile(policy);
    expect(compiled).toEqual(compileAndEncode(policy));
  });
});

test("a small policy starts no thread", async () => {
  const missing = new URL("./no-such-program.ts", import.meta.url);
  const compiled = await start({ program: missing }).compile(makePolicyObject("sys_setuid"));
  expect(compiled.ok).toBe(true);
});

test("timers and requests get their turns while eight large policies are compiled", async () => {
  const policies = Array.from({ length: 8 }, (_, n) => asPolicy(makeLargePolicy(`p${n}`)));
  start();
  let turns = 0;
  const turnsAt = policies.map(async (policy) => {
    const compiled = await compiler.compile(policy);
    expect(compiled.ok).toBe(true);
    return turns;
  });
  let isDone = false;
  const done = Promise.all(turnsAt).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await turn();
    turns++;
  }
  const between = (await done).map((at, n, all) => at - (all[n - 1] ?? 0));
  expect(Math.min(...between)).toBeGreaterThan(5);
});

test("a thread that ended for want of work is started again", async () => {
  start({ inlineChars: 0, idleMs: 0 });
  for (let round = 0; round < 3; round++) {
    const compiled = await compiler.compile(makePolicyObject("sys_setuid"));
    expect(compiled.ok).toBe(true);
    await new Promise((later) => setTimeout(later, 20));
  }
});

test("a thread that cannot start is an error of each policy that needs it, and of no other", async () => {
  start({ program: new URL("./no-such-program.ts", import.meta.url), inlineChars: 1_000 });
  const large = asPolicy(makeLargePolicy("a", 50_000));
  await expect(compiler.compile(large)).rejects.toThrow("the compiler's thread ended");
  await expect(compiler.compile(large)).rejects.toThrow("the compiler's thread ended");
  expect((await compiler.compile(makePolicyObject("sys_setuid"))).ok).toBe(true);
});

test("what is being compiled when the operator stops is rejected", async () => {
  const compiling = start().compile(asPolicy(makeLargePolicy("a")));
  const rejected = expect(compiling).rejects.toThrow("the operator stops");
  await turn();
  await compiler.close();
  await rejected;
});
