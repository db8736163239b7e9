/**
 * Policies in the mode count: matches are counted in the kernel, by process, and nothing is posted or enforced. And hooks
 * that are off, which do nothing until they are detached.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/hook-count.guest-test.ts
 *
 * @kernels 5.10, 6.1: matches are counted by the same programs
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { makeSelector } from "../../agent/hooks/testing/hooks.ts";
import type { FilterDef, HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import { exitOf } from "../../lib/testing/child-process.ts";
import { ACT, act, makeHookOn, NR, QUIET, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());
beforeEach(() => {
  engine.takeRecords();
  engine.engine.takeHitCounts();
});

const hookOn = (parts: Partial<HookDef> = {}) => makeHookOn("sys_setfsuid", parts);
const CALLS = 25;
const STEPS = Array.from({ length: CALLS }, () => QUIET).join(" ");

const MODES = ["monitor", "enforce", "count"] as const;
/** Does nothing to a process that runs. */
const SIGCONT = 18;

const kill: SelectorDef = { filters: [], actions: [{ action: "Sigkill" }] };
const forms: Record<string, { parts: Partial<HookDef>; want: number }> = {
  "a hook without selectors": { parts: {}, want: CALLS },
  "a hook that would kill": { parts: { selectors: [kill] }, want: CALLS },
  "a hook that posts when the function returns": {
    parts: { selectors: [makeSelector()], returnArg: { type: "int" } },
    want: CALLS,
  },
};

for (const [name, { parts, want }] of Object.entries(forms)) {
  test(`${name} counts each call under its process, and posts none`, () => {
    const hook = engine.engine.attach(hookOn(parts), "count");
    assert.equal(hook.status.state, "Attached", hook.status.message);
    let pid = 0;
    const hits = engine.hitsOf([hook], () => {
      const ran = act(STEPS);
      assert.equal(ran.signal, null);
      pid = ran.pid;
    });
    const counted = engine.engine.takeHitCounts().map(({ seq: _, ...counts }) => counts);
    const [actions] = hook.actions();
    hook.detach();
    assert.deepEqual(hits, []);
    assert.deepEqual([actions?.count, actions?.post, actions?.signal], [want, 0, 0]);
    assert.deepEqual(counted, [{ hookId: hook.id, pid, count: want }]);
    assert.deepEqual(engine.engine.takeHitCounts(), []);
  });
}

test("while the mode changes between count, monitor and enforce, each call is either posted or counted", async () => {
  const wakes: SelectorDef = { filters: [], actions: [{ action: "Signal", signal: SIGCONT }] };
  const hook = engine.engine.attach(hookOn({ selectors: [wakes] }), "count");
  const caller = spawn(ACT, ["count-up", String(NR.setfsuid)], { stdio: ["pipe", "pipe", "inherit"] });
  caller.stdin.write("start\n");
  for (let n = 0; n < 20; n++) {
    await delay(20);
    hook.setMode(MODES[n % MODES.length] ?? "count");
  }
  caller.stdin.end("stop\n");
  const [output] = await once(caller.stdout, "data");
  await exitOf(caller);
  engine.takeRecords();
  const { posted, lost } = hook.stats();
  const { count = 0, signal = 0 } = hook.actions()[0] ?? {};
  hook.detach();
  assert.equal(posted + lost + count, Number(String(output)));
  assert.ok(count > 0 && posted > signal, `${count} counted, ${posted} posted`);
  assert.ok(signal > 0, "none was enforced on");
});

const limited: SelectorDef = {
  filters: [],
  actions: [{ action: "Post", rateLimit: { intervalMs: 60_000, scope: "global" } }],
};
const off = { ...forms, "a hook with a rate limit": { parts: { selectors: [limited] }, want: CALLS } };

for (const [name, { parts }] of Object.entries(off)) {
  for (const before of ["enforce", "count"] as const) {
    test(`${name} that is off neither posts nor counts nor enforces; it was in the mode ${before}`, () => {
      const hook = engine.engine.attach(hookOn(parts), before);
      assert.equal(hook.status.state, "Attached", hook.status.message);
      hook.setMode("off");
      const hits = engine.hitsOf([hook], () => assert.equal(act(STEPS).signal, null));
      const [actions] = hook.actions();
      hook.detach();
      assert.deepEqual(hits, []);
      assert.deepEqual([actions?.count, actions?.post, actions?.signal], [0, 0, 0]);
      assert.deepEqual(engine.engine.takeHitCounts(), []);
    });
  }
}

test("a call that has begun when the hook is turned off is posted when it returns, and none after it", async () => {
  const cat = spawn("cat", { stdio: ["pipe", "pipe", "inherit"] });
  const echo = (text: string) => {
    cat.stdin.write(text);
    return once(cat.stdout, "data");
  };
  const pid: FilterDef = {
    match: "pid",
    negate: false,
    values: [cat.pid ?? 0],
    namespacePid: false,
    followForks: false,
  };
  await echo("it runs");
  const selectors = [makeSelector(pid)];
  const hook = engine.attach(makeHookOn("sys_read", { selectors, returnArg: { type: "int" } }));
  try {
    await echo("this read has begun before the hook was there");
    while (hook.stats().hits === 0) await delay(1); // it reads again
    hook.setMode("off");
    await echo("this one after it");
    await echo("and this one when it was off");
    const records = engine.takeRecords().filter(({ fields }) => fields.hook_id === hook.id);
    assert.equal(records.length, 1);
  } finally {
    hook.detach();
    cat.stdin.end();
    await exitOf(cat);
  }
});
