/**
 * Actions of hooks: signals, overrides, both modes, counters, and stack traces.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-actions.guest-test.ts
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { AttachedHook, Mode } from "../../agent/hooks/engine.ts";
import { makeArgs } from "../../agent/hooks/testing/hooks.ts";
import type { ActionDef, HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import { act, BY_KPROBE, type Hit, makeHookOn, NR, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

const SIGUSR1 = 10;
const EBUSY = 16;

/** Only prctl(PR_SET_CHILD_SUBREAPER, 0), which nothing in a guest does by itself. */
const selector = (...actions: ActionDef[]): SelectorDef => ({
  filters: [{ match: "arg", arg: 0, negate: false, compare: "range", ranges: [["36", "36"]] }],
  actions,
});
const onPrctl = (call: string, ...selectors: SelectorDef[]): HookDef =>
  makeHookOn(call, { args: makeArgs("int"), selectors });
const PRCTL = `${NR.prctl}:36:0`;

/** Runs `act` under a hook; returns how it ended, and its hits. */
function under(def: HookDef, steps: string, mode: Mode = "enforce") {
  const hook = engine.engine.attach(def, mode);
  assert.equal(hook.status.state, "Attached", hook.status.message);
  engine.takeRecords();
  const ran = act(steps);
  const told = engine.takeRecords().filter(({ kind, pid }) => kind === "hook" && pid === ran.pid);
  hook.detach();
  return { ...ran, hook, told: told.map(({ fields }) => fields.action) };
}

const counts = (hook: AttachedHook, index = 0) =>
  Object.fromEntries(Object.entries(hook.actions()[index] ?? {}).filter(([, count]) => count > 0));

describe("Sigkill", () => {
  for (const call of ["sys_prctl", "security_task_prctl"]) {
    test(`ends the process that calls ${call}`, () => {
      const { signal, told, hook } = under(onPrctl(call, selector({ action: "Sigkill" })), `call ${PRCTL}`);
      assert.deepEqual([signal, told, counts(hook)], ["SIGKILL", [3], { post: 1, signal: 1 }]);
    });
  }

  test("of an LSM hook ends the process", () => {
    const def = { ...onPrctl("task_prctl", selector({ action: "Sigkill" })), section: "lsmhooks" as const };
    const { signal, told } = under(def, `call ${PRCTL}`);
    assert.deepEqual([signal, told], ["SIGKILL", [3]]);
  });

  test("leaves processes alone that the filters do not match", () => {
    const { status, hook } = under(onPrctl("sys_prctl", selector({ action: "Sigkill" })), "exit 3");
    assert.deepEqual([status, counts(hook)], [3, {}]);
  });

  test("with NoPost ends it and posts nothing", () => {
    const def = onPrctl("sys_prctl", selector({ action: "Sigkill" }, { action: "NoPost" }));
    const { signal, told, hook } = under(def, `call ${PRCTL}`);
    assert.deepEqual([signal, told, counts(hook)], ["SIGKILL", [], { signal: 1, nopost: 1 }]);
  });

  test("after the return depends on the value", () => {
    const ofError = (value: string): SelectorDef => ({
      ...selector({ action: "Post" }),
      returnFilters: [{ match: "return", negate: false, compare: "range", ranges: [[value, value]] }],
      returnActions: [{ action: "Sigkill" }],
    });
    const withReturn = (value: string): HookDef => ({
      ...onPrctl("sys_prctl", ofError(value)),
      returnArg: { type: "int" },
    });
    assert.deepEqual(under(withReturn("-1"), `call ${PRCTL}`).signal, null);
    const { signal, told, hook } = under(withReturn("0"), `call ${PRCTL}`);
    assert.deepEqual([signal, told, counts(hook)], ["SIGKILL", [3], { post: 1, signal: 1 }]);
  });
});

describe("Signal", () => {
  test("sends the one that is named", () => {
    const def = onPrctl("sys_prctl", selector({ action: "Signal", signal: SIGUSR1 }));
    const { signal, told, hook } = under(def, `call ${PRCTL}`);
    assert.deepEqual([signal, told, counts(hook)], ["SIGUSR1", [10], { post: 1, signal: 1 }]);
  });
});

describe("Override", () => {
  const def = (call: string) => onPrctl(call, selector({ action: "Override", error: -EBUSY }));

  test("of a security function is done by fmod_ret", () => {
    const { status, told, hook } = under(def("security_task_prctl"), `errno ${PRCTL}`);
    assert.equal(hook.status.attach, "fmod_ret");
    assert.deepEqual([status, told, counts(hook)], [EBUSY, [5], { post: 1, override: 1 }]);
  });

  test("of a security function returns a positive result too", () => {
    const positive = onPrctl("security_task_prctl", selector({ action: "Override", error: 77 }));
    const { status, told, hook } = under(positive, `result ${PRCTL}`);
    assert.deepEqual([status, told, counts(hook)], [77, [5], { post: 1, override: 1 }]);
  });

  test("of a hook that reports at return gives one record, with the value that the caller got", () => {
    let ran = { pid: 0, status: null as number | null };
    const hits = engine.watch([{ ...def("security_task_prctl"), returnArg: { type: "int" } }], () => {
      ran = act(`errno ${PRCTL}`);
    });
    const own = hits.filter(({ pid }) => pid === ran.pid).map(({ action, returned }) => [action, returned]);
    assert.deepEqual([ran.status, own], [EBUSY, [[5, BigInt(-EBUSY)]]]);
  });

  test("of a system call is done where the kernel allows it, and else refused with the reasons", () => {
    const hook = engine.engine.attach(def("sys_prctl"));
    try {
      // By error injection, which distributions leave out, or since 7.0 by fmod_ret.
      if (hook.status.state === "Attached") {
        assert.ok(["kprobe", "fmod_ret"].includes(hook.status.attach ?? ""), hook.status.attach);
        assert.equal(act(`errno ${PRCTL}`).status, EBUSY);
        const returning = { ...def("sys_prctl"), returnArg: { type: "int" } as const };
        const hits = engine.watch([returning], () => act(`errno ${PRCTL}`));
        assert.deepEqual(
          hits.map(({ action, returned }) => [action, returned]),
          [[5, BigInt(-EBUSY)]],
        );
      } else {
        assert.match(hook.status.message ?? "", /fentry: it cannot override; kprobe: .*; fmod_ret: /);
      }
    } finally {
      hook.detach();
    }
  });

  test("together with Sigkill does both", () => {
    const both = selector({ action: "Override", error: -EBUSY }, { action: "Sigkill" });
    const { signal, hook } = under(onPrctl("security_task_prctl", both), `errno ${PRCTL}`);
    assert.deepEqual([signal, counts(hook)], ["SIGKILL", { post: 1, signal: 1, override: 1 }]);
  });
});

describe("the mode", () => {
  test("monitor counts the action instead of doing it, and posts the event", () => {
    const kill = under(onPrctl("sys_prctl", selector({ action: "Sigkill" })), `call ${PRCTL}`, "monitor");
    assert.deepEqual([kill.status, kill.told, counts(kill.hook)], [0, [1], { post: 1, monitor_signal: 1 }]);
    const override = selector({ action: "Override", error: -EBUSY });
    const deny = under(onPrctl("security_task_prctl", override), `errno ${PRCTL}`, "monitor");
    assert.deepEqual([deny.status, deny.told, counts(deny.hook)], [0, [1], { post: 1, monitor_override: 1 }]);
  });

  test("changes while the hook runs", () => {
    const hook = engine.attach(onPrctl("sys_prctl", selector({ action: "Sigkill" })));
    hook.setMode("monitor");
    assert.equal(act(`call ${PRCTL}`).signal, null);
    hook.setMode("enforce");
    assert.equal(act(`call ${PRCTL}`).signal, "SIGKILL");
    assert.deepEqual(counts(hook), { post: 2, signal: 1, monitor_signal: 1 });
    hook.detach();
    hook.setMode("monitor");
  });
});

describe("counters of actions", () => {
  test("belong to the selector that matched", () => {
    const other = selector({ action: "NoPost" });
    other.filters = [{ match: "arg", arg: 0, negate: false, compare: "range", ranges: [["37", "37"]] }];
    const def = onPrctl("sys_prctl", other, selector({ action: "Post" }));
    const { hook } = under(def, `call ${PRCTL} call ${PRCTL} call ${NR.prctl}:37:0`);
    assert.deepEqual([counts(hook), counts(hook, 1)], [{ nopost: 1 }, { post: 2 }]);
  });

  test("of a hook without selectors stand in the first place", () => {
    const { hook } = under(makeHookOn("sys_setfsuid"), `repeat 3 ${NR.setfsuid}:-1`);
    assert.deepEqual([hook.actions().length, counts(hook)], [1, { post: 3 }]);
  });
});

const onTracepoint = (raw: boolean) =>
  makeHookOn("raw_syscalls/sys_enter", {
    section: "tracepoints",
    tracepoint: { subsystem: "raw_syscalls", event: "sys_enter", raw },
  });

describe("stack traces", () => {
  const post: ActionDef = { action: "Post", kernelStackTrace: true, userStackTrace: true };
  const withStacks = (def: HookDef): Hit[] => {
    let pid = 0;
    const hits = engine.watch([def], () => {
      pid = act(`call ${PRCTL}`).pid;
    });
    return hits.filter((hit) => hit.pid === pid);
  };

  for (const call of ["sys_prctl", "security_task_prctl"]) {
    test(`of ${call} lead through the system call and the program`, () => {
      const [hit] = withStacks(onPrctl(call, selector(post)));
      assert.ok(hit);
      const functions = hit.kernelStack.map(symbolAt);
      assert.ok(
        functions.some((name) => /do_syscall_64|x64_sys_call/.test(name)),
        functions.join(" "),
      );
      assert.equal(functions[0]?.replace(/^__x64_/, ""), call, functions.join(" "));
      assert.ok(hit.kernelStack.length <= 64);
      // Without frame pointers in the C library only the innermost address is certain.
      assert.ok((hit.userStack[0] ?? 0n) > 0n && (hit.userStack[0] ?? 0n) < 1n << 47n);
    });
  }

  test("of a hook by kprobe are there too", () => {
    const selectors: SelectorDef[] = [{ filters: [], actions: [post] }];
    const def = makeHookOn("commit_creds", { args: BY_KPROBE, selectors });
    const hits = engine.watch([def], () => act(`call ${NR.setuid}:1001`));
    assert.ok(hits.length > 0 && hits.every((hit) => symbolAt(hit.kernelStack[0] ?? 0n) === "commit_creds"));
  });

  const kinds: Record<string, HookDef> = {
    "an LSM hook": makeHookOn("task_prctl", { section: "lsmhooks" }),
    "a hook that overrides": makeHookOn("security_task_prctl"),
    "a raw tracepoint with types": onTracepoint(true),
    "a trace event": onTracepoint(false),
  };
  for (const [name, def] of Object.entries(kinds)) {
    test(`of ${name} have no frames of programs`, (t) => {
      const actions: ActionDef[] =
        name === "a hook that overrides" ? [{ action: "Override", error: -1 }, post] : [post];
      const hook = engine.engine.attach({ ...def, selectors: [{ filters: [], actions }] });
      if (hook.status.reason === "KernelUnsupported") return t.skip(hook.status.message);
      assert.equal(hook.status.state, "Attached", hook.status.message);
      const hits = engine.hitsOf([hook], () => act(`call ${PRCTL}`));
      hook.detach();
      const functions = hits.map(({ kernelStack }) => kernelStack.map(symbolAt));
      assert.ok(functions.length > 0 && functions.every((names) => names.length > 2));
      assert.deepEqual(
        functions.flat().filter((symbol) => /^bpf_(prog|trampoline|trace_run)/.test(symbol)),
        [],
      );
    });
  }

  test("stand in records of the selector that asks for them only", () => {
    const other = selector({ action: "Post" });
    const [hit] = withStacks(onPrctl("sys_prctl", other, selector(post)));
    assert.deepEqual([hit?.kernelStack, hit?.userStack], [[], []]);
  });
});

let symbols: [bigint, string][] | undefined;

function symbolAt(address: bigint): string {
  symbols ??= [...readFileSync("/proc/kallsyms", "latin1").matchAll(/^([0-9a-f]+) [tTwW] (\S+)/gm)]
    .map(([, start, name]): [bigint, string] => [BigInt(`0x${start}`), name ?? ""])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  let low = 0;
  let high = symbols.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((symbols[middle]?.[0] ?? 0n) <= address) low = middle + 1;
    else high = middle;
  }
  return symbols[low - 1]?.[1] ?? "";
}
