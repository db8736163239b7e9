/**
 * Hooks that are attached while other work has its turn: no program is loaded and no link opened on the main thread, and
 * the hook is announced before its first record.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/hook-background.guest-test.ts
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { loadBinding } from "../../agent/bpf/binding.ts";
import type { LoadedHook } from "../../agent/hooks/engine.ts";
import { makeArgs } from "../../agent/hooks/testing/hooks.ts";
import type { HookDef } from "../../crds/hook-spec.ts";
import { act, BY_KPROBE, makeHookOn, QUIET, TestEngine } from "./test-engine.ts";

const SLOW = ["clone", "attachTracing", "attachKprobe", "attachTracepoint", "attachRawTracepoint"];

/** Calls of methods that keep the main thread waiting. */
let slowCalls = 0;
let engine: TestEngine;
before(() => {
  engine = new TestEngine({ bpf: counting(loadBinding()) });
});
after(() => engine.close());

/** The same handle, and handles of objects and programs that come from it, with slow calls counted. */
function counting<T extends object>(handle: T): T {
  return new Proxy(handle, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        if (SLOW.includes(name as string)) slowCalls++;
        const result: unknown = member.apply(target, args);
        return result instanceof Promise ? result.then(countingProgram) : countingProgram(result);
      };
    },
  });
}

function countingProgram<T>(result: T): T {
  const name = (result as object | undefined)?.constructor?.name ?? "";
  return ["BpfObject", "BpfProgram"].includes(name) ? (counting(result as object) as T) : result;
}

const tracepoint = (raw: boolean): Partial<HookDef> => ({
  section: "tracepoints",
  syscall: false,
  tracepoint: { subsystem: "raw_syscalls", event: "sys_enter", raw },
});

const defs: Record<string, HookDef> = {
  "a system call with all its entries": makeHookOn("sys_setfsuid", { args: makeArgs("int") }),
  "a call and its return": makeHookOn("sys_setfsuid", {
    args: makeArgs("int"),
    returnArg: { type: "int" },
  }),
  "a kprobe": makeHookOn("__x64_sys_setfsuid", { args: BY_KPROBE }),
  "a tracepoint": makeHookOn("sys_enter", tracepoint(false)),
  "a raw tracepoint": makeHookOn("sys_enter", tracepoint(true)),
};

for (const [name, def] of Object.entries(defs)) {
  test(`${name}: nothing slow on the main thread, announced before the first record`, async () => {
    const announced: LoadedHook[] = [];
    slowCalls = 0;
    const hook = await engine.engine.attachInBackground(def, "enforce", (loaded) => announced.push(loaded));
    assert.equal(hook.status.state, "Attached", hook.status.message);
    assert.equal(slowCalls, 0);
    assert.ok(engine.hitsOf([hook], () => act(QUIET)).length > 0);
    const { id, resolved, functionName } = hook;
    assert.deepEqual(announced.at(-1), { id, resolved, functionName });
    await hook.unlink();
    hook.detach();
  });
}

test("the same hook, attached here and now, is counted", () => {
  slowCalls = 0;
  engine.attach(makeHookOn("sys_setfsuid")).detach();
  assert.ok(slowCalls > 1, `${slowCalls}`);
});
