/**
 * matchBinaries and matchPIDs beyond the process itself: what a process is followed to, evaluated in the kernel.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-follow.guest-test.ts
 *
 * @kernels 5.10, 6.12: processes are followed by the same programs; process-sensors runs on every kernel
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, copyFileSync, mkdtempSync, openSync, readlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import type { FollowedList } from "../../agent/hooks/config/filters.ts";
import { readRunning } from "../../agent/hooks/processes/running.ts";
import { makeSelector } from "../../agent/hooks/testing/hooks.ts";
import type { FilterDef } from "../../crds/hook-spec.ts";
import { exitOf } from "../../lib/testing/child-process.ts";
import { ACT, act, makeHookOn, QUIET, run, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

describe("matchBinaries beyond the process itself", () => {
  const directory = mkdtempSync(join(tmpdir(), "relatives-"));
  const other = join(directory, "other-binary");
  copyFileSync(ACT, other);
  const byOther = (steps: string) => () => run(other, steps.split(" "));
  const related = (parts: Partial<Extract<FilterDef, { match: "binary" }>>): FilterDef => ({
    match: "binary",
    compare: "equal",
    values: [other],
    negate: false,
    ...parts,
  });
  /** Long enough for the parent to be gone. */
  const PAUSE = "call 7:0:0:300";

  const started: Record<string, { act: () => unknown; children: number; parent: number }> = {
    "the process itself": { act: byOther(QUIET), children: 1, parent: 0 },
    "none of them": { act: () => act(`fork ${QUIET}`), children: 0, parent: 0 },
    "a child that executed": { act: byOther(`fork exec ${ACT} ${QUIET}`), children: 1, parent: 1 },
    "a grandchild": { act: byOther(`fork exec ${ACT} fork ${QUIET}`), children: 1, parent: 0 },
    "a child whose parent has ended": {
      act: byOther(`orphan ${PAUSE} exec ${ACT} ${QUIET}`),
      children: 1,
      parent: 0,
    },
    "a process that executed something else since": {
      act: byOther(`exec ${ACT} exec ${ACT} ${QUIET}`),
      children: 1,
      parent: 0,
    },
  };
  for (const [name, { act: trigger, children, parent }] of Object.entries(started)) {
    test(`${name}: followChildren, not followed, and the parent's`, () => {
      const filters = [
        related({ followChildren: true }),
        related({ followChildren: true, negate: true }),
        related({ of: "parent" }),
      ];
      const defs = filters.map((filter) => makeHookOn("sys_setfsuid", { selectors: [makeSelector(filter)] }));
      const hits = engine.watch(defs, trigger);
      const counts = defs.map((_def, index) => hits.filter(({ hook }) => hook === index).length);
      assert.deepEqual(counts, [children, 1 - children, parent]);
    });
  }

  test("a process that executed before the hook was there is followed, too", async () => {
    const waiting = spawn(other, ["read", "exec", ACT, "exec", ACT, ...QUIET.split(" ")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(waiting.stdout, "data");
    const filter = related({ followChildren: true });
    const hook = engine.attach(makeHookOn("sys_setfsuid", { selectors: [makeSelector(filter)] }));
    waiting.stdin.end("go\n");
    await exitOf(waiting);
    assert.equal(hook.stats().posted, 1);
    hook.detach();
  });
});

describe("followForks and followChildren, of processes that have ended", () => {
  const directory = mkdtempSync(join(tmpdir(), "followed-"));
  const listed = join(directory, "listed");
  copyFileSync(ACT, listed);
  const fifo = join(directory, "fifo");
  run("mkfifo", [fifo]);

  /** Hooks with In and NotIn; `counts` is what they have posted since. */
  function attachBoth({ by, values }: FollowedList) {
    const filter = (negate: boolean): FilterDef =>
      by === "path"
        ? { match: "binary", compare: "equal", values: [...values], followChildren: true, negate }
        : {
            match: "pid",
            values: [...values],
            namespacePid: by === "namespacePid",
            followForks: true,
            negate,
          };
    const hooks = [false, true].map((negate) =>
      engine.attach(makeHookOn("sys_setfsuid", { selectors: [makeSelector(filter(negate))] })),
    );
    return {
      counts: () => hooks.map((hook) => hook.stats().posted),
      detach: () => hooks.map((hook) => hook.detach()),
    };
  }

  /** A program that waits at `read` for `go`, as what it starts does; `said` waits for words of theirs. */
  function start(program: string, args: readonly string[]) {
    const stdin = openSync(fifo, "r+"); // a pipe would be closed as soon as the program itself ends
    const child = spawn(program, args, { stdio: [stdin, "pipe", "ignore"] });
    const stdout = child.stdout as Readable;
    const go = () => writeSync(stdin, "go\n");
    let output = "";
    stdout.on("data", (data) => {
      output += data;
    });
    const said = async (...words: string[]) => {
      while (!words.every((word) => output.includes(word))) await once(stdout, "data");
    };
    /** Until the last of them has ended. */
    const finish = async () => {
      const closed = once(stdout, "close");
      go();
      await closed;
      closeSync(stdin);
    };
    return { child, pid: child.pid as number, said, go, finish };
  }

  function childOf(pid: number): number {
    const child = readRunning("/proc", { by: "pid", values: [] }).find(({ parentPid }) => parentPid === pid);
    assert.ok(child, `process ${pid} has no child`);
    return child.pid;
  }

  const lists: Record<string, { list: (pid: number) => FollowedList; further: string }> = {
    "of a pid": { list: (pid) => ({ by: "pid", values: [pid] }), further: "" },
    "of a binary": { list: () => ({ by: "path", values: [listed] }), further: ` exec ${ACT}` },
  };
  for (const [name, { list, further }] of Object.entries(lists)) {
    test(`${name}: a grandchild, when its parent and grandparent have ended, and no other process`, async () => {
      const steps = `read fork${further} orphan read ${QUIET}`;
      const { child, pid, said, go, finish } = start(listed, steps.split(" "));
      await said("ready");
      const hooks = attachBoth(list(pid));
      go();
      await said("ready\nready");
      await exitOf(child);
      act(QUIET);
      assert.deepEqual(hooks.counts(), [0, 1]);
      await finish();
      assert.deepEqual(hooks.counts(), [1, 1]);
      hooks.detach();
    });

    test(`${name}: a process that ran before the hook and has only lost its ancestors`, async () => {
      const { child, pid, said, finish } = start(listed, `fork${further} fork read ${QUIET}`.split(" "));
      await said("ready");
      const hooks = attachBoth(list(pid));
      process.kill(childOf(pid), "SIGKILL");
      await exitOf(child); // it has waited for that child
      act(QUIET);
      assert.deepEqual(hooks.counts(), [0, 1]);
      await finish();
      assert.deepEqual(hooks.counts(), [1, 1]);
      hooks.detach();
    });
  }

  const own: Record<string, FollowedList> = {
    pid: { by: "pid", values: [process.pid] },
    binary: { by: "path", values: [readlinkSync("/proc/self/exe")] },
  };
  for (const [name, list] of Object.entries(own)) {
    test(`of a ${name} of a process that ran before the sensors`, async () => {
      const hooks = attachBoth(list);
      const { child, said, finish } = start(ACT, `orphan read ${QUIET}`.split(" "));
      await said("ready");
      await exitOf(child);
      await finish();
      assert.deepEqual(hooks.counts(), [1, 0]);
      hooks.detach();
    });
  }

  test("of a pid that a later process gets", async () => {
    const { pid: last } = run("true", []);
    const values = Array.from({ length: 40 }, (_, i) => last + 1 + i);
    const hooks = attachBoth({ by: "pid", values });
    const { child, pid, said, go, finish } = start(ACT, `read orphan read ${QUIET}`.split(" "));
    assert.ok(values.includes(pid));
    await said("ready");
    run("sh", ["-c", "for i in $(seq 50); do (:); done"]); // the child has none of these pids
    assert.ok(run("true", []).pid > (values.at(-1) as number));
    go();
    await said("ready\nready");
    await exitOf(child);
    await finish();
    assert.deepEqual(hooks.counts(), [1, 0]);
    hooks.detach();
  });

  /** A shell with pid 1 in its namespace starts a process with pid 2, whose child has pid 3. */
  const inside = (steps: string) => {
    const waits = "while kill -0 3 2>/dev/null; do sleep 0.1; done";
    return start("unshare", ["-pf", "sh", "-c", `${ACT} ${steps} ${QUIET}; echo gone; ${waits}`]);
  };
  const second: FollowedList = { by: "namespacePid", values: [2] };

  test("of a pid in its namespace that a later process gets", async () => {
    const hooks = attachBoth(second);
    const { said, finish } = inside("orphan read");
    await said("ready", "gone");
    await finish();
    assert.deepEqual(hooks.counts(), [1, 0]);
    hooks.detach();
  });

  test("of a pid in its namespace, of what ran before the hook", async () => {
    const { pid, said, finish } = inside("fork read");
    await said("ready");
    const hooks = attachBoth(second);
    process.kill(childOf(childOf(pid)), "SIGKILL");
    await said("gone");
    await finish();
    assert.deepEqual(hooks.counts(), [1, 0]);
    hooks.detach();
  });
});
