/**
 * Callers of the 32-bit ABI pass no hook unseen, and events have the system call that a task was in.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/syscall-abi.guest-test.ts
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { makeArgs, makeSelector } from "../../agent/hooks/testing/hooks.ts";
import type { ArgType } from "../../crds/argument-types.ts";
import type { FilterDef, HookDef } from "../../crds/hook-spec.ts";
import { SYSCALL_32_BIT } from "../../crds/syscall-abis.ts";
import { since } from "./lacking.ts";
import { act, CALL_32, type Hit, makeHookOn, NR, type Ran, run, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

/** What a hook sees while call-32 makes these calls. */
function watch32(def: HookDef, ...calls: string[]): { hits: Hit[]; ran: Ran } {
  let ran: Ran | undefined;
  const hits = engine.watch([def], () => {
    ran = run(CALL_32, calls);
  });
  assert.ok(ran);
  const { pid } = ran;
  return { hits: hits.filter((hit) => hit.pid === pid), ran };
}

/** A hook on every system call, and a filter on the calls of these names. */
const enter = (...filters: FilterDef[]) =>
  makeHookOn("raw_syscalls/sys_enter", {
    section: "tracepoints",
    path: "spec.tracepoints[0]",
    syscall: false,
    tracepoint: { subsystem: "raw_syscalls", event: "sys_enter", raw: false },
    args: [{ index: 4, type: "syscall64" }],
    selectors: [makeSelector(...filters)],
  });
const named = (...syscalls: string[]): FilterDef => {
  return { match: "arg", arg: 0, negate: false, compare: "range", ranges: [], syscalls };
};

/** A call of a policy, and as the 32-bit ABI makes it: `NUMBER:ARGUMENT...` with 32-bit ids, and with 16-bit ids. */
const SET_IDS: Record<string, { by32: string; by16: string; values: bigint[] }> = {
  sys_setuid: { by32: "213:-1", by16: "23:65535", values: [-1n] },
  sys_setgid: { by32: "214:7", by16: "46:7", values: [7n] },
  sys_setreuid: { by32: "203:-1:0", by16: "70:65535:0", values: [-1n, 0n] },
  sys_setregid: { by32: "204:7:-1", by16: "71:7:65535", values: [7n, -1n] },
  sys_setresuid: { by32: "208:0:-1:0", by16: "164:0:65535:0", values: [0n, -1n, 0n] },
  sys_setresgid: { by32: "210:7:8:9", by16: "170:7:8:9", values: [7n, 8n, 9n] },
  sys_setfsuid: { by32: "215:1003", by16: "138:1003", values: [1003n] },
  sys_setfsgid: { by32: "216:-1", by16: "139:-1", values: [-1n] },
};

describe("calls by int 0x80, by the vDSO and by 16-bit ids are seen with their ids", () => {
  for (const [call, { by32, by16, values }] of Object.entries(SET_IDS)) {
    test(call, () => {
      const def = makeHookOn(call, { args: makeArgs(...values.map((): ArgType => "int")) });
      const { hits } = watch32(def, by32, `sysenter:${by32}`, by16);
      assert.deepEqual(
        hits.map((hit) => hit.values),
        [values, values, values],
      );
      const numbers = [by32, by32, by16].map((text) => SYSCALL_32_BIT + Number.parseInt(text, 10));
      assert.deepEqual(
        hits.map(({ syscall }) => syscall),
        numbers,
      );
    });
  }
});

test("a hook of fentries sees them at entry and at return, also where 5.10 lets it read no parameter", () => {
  const def = { section: "fentries", args: makeArgs("int") } as const;
  for (const more of [{}, { returnArg: { type: "int" } } as const]) {
    const hook = makeHookOn("sys_setuid", { ...def, ...more });
    const { hits } = watch32(hook, "213:-1", "23:65535");
    assert.deepEqual(
      hits.map(({ values, returned }) => [values, returned]),
      Array(2).fill([[-1n], "returnArg" in more ? -22n : undefined]),
    );
  }
  const hook = engine.attach(makeHookOn("sys_setuid", def));
  const byKprobe = /; by kprobes at __ia32_sys_setuid16, which fentry cannot read$/;
  assert.equal(byKprobe.test(hook.status.message ?? ""), !since(5, 11), hook.status.message);
  hook.detach();
});

test("a hook counts once, whichever entry its hits came by, and names the entries", () => {
  const hook = engine.attach(makeHookOn("sys_setuid", { args: makeArgs("int") }));
  assert.equal(hook.status.function, "__x64_sys_setuid");
  assert.match(hook.status.message ?? "", /also at __ia32_sys_setuid, __ia32_sys_setuid16/);
  const before = hook.stats();
  run(CALL_32, ["213:0", "23:0"]);
  act(`call ${NR.setuid}:0`);
  const { hits, posted } = hook.stats();
  assert.deepEqual([hits - before.hits, posted - before.posted], [3, 3]);
  hook.detach();
  assert.equal(hook.stats().hits, hits);
});

test("a call without parameters has one entry for all ABIs, and is counted once", () => {
  assert.equal(watch32(makeHookOn("sys_getpid"), "20", "sysenter:20").hits.length, 2);
});

test("longs are extended as the kernel extends them: by their sign where it has a compat entry", () => {
  const lseek = makeHookOn("sys_lseek", { args: makeArgs("int", "long") });
  assert.deepEqual(watch32(lseek, "19:99:-2:0").hits[0]?.values, [99n, -2n]);
  const prctl = makeHookOn("sys_prctl", { args: makeArgs("int", "ulong") });
  assert.deepEqual(watch32(prctl, "172:3:-2").hits[0]?.values, [3n, 0xffff_fffen]);
});

test("filters compare what events show", () => {
  const filter: FilterDef = { match: "arg", arg: 0, negate: false, compare: "range", ranges: [["-1", "-1"]] };
  const def = makeHookOn("sys_setuid", { args: makeArgs("int"), selectors: [makeSelector(filter)] });
  assert.equal(watch32(def, "213:-1", "213:0", "23:65535", "23:0").hits.length, 2);
});

/** Calls of the 32-bit ABI by entries that have other names than most. */
const OTHER_NAMES: Record<string, number[]> = {
  sys_process_vm_writev: [348],
  sys_setsockopt: [366],
  sys_epoll_pwait: [319],
  sys_sendfile64: [187, 239],
  sys_fcntl: [55, 221],
  sys_getrlimit: [76, 191],
  sys_newfstatat: [300],
  sys_recvmmsg: [337, 417],
  sys_rt_sigtimedwait: [177, 421],
  sys_clock_settime: [264, 404],
  sys_setgroups: [81, 206],
};

test("calls are seen at each of their entries, whatever its name", () => {
  const defs = Object.keys(OTHER_NAMES).map((call) => makeHookOn(call));
  const numbers = Object.values(OTHER_NAMES);
  let pid = 0;
  const hits = engine.watch(defs, () => {
    pid = run(
      CALL_32,
      numbers.flat().map((number) => `${number}:-1:-1:-1:-1:-1`),
    ).pid;
  });
  const found = hits
    .filter((hit) => hit.pid === pid && hit.syscall >= SYSCALL_32_BIT)
    .map(({ hook, syscall }) => `${hook} ${syscall}`);
  const want = numbers.flatMap((of, hook) => of.map((number) => `${hook} ${SYSCALL_32_BIT + number}`));
  assert.deepEqual(found, want);
});

test("a hook names the entries of other arguments, at which it does not see callers", () => {
  const hook = engine.attach(makeHookOn("sys_connect"));
  assert.match(hook.status.message ?? "", /not at __ia32_compat_sys_socketcall, where arguments are others/);
  hook.detach();
});

test("a return hook has the result of each", () => {
  const def = makeHookOn("sys_setuid", { args: makeArgs("int"), returnArg: { type: "int" } });
  const { hits } = watch32(def, "213:-1", "23:0");
  assert.deepEqual(
    hits.map(({ values, returned }) => [...values, returned]),
    [
      [-1n, -22n],
      [0n, 0n],
    ],
  );
});

for (const call of ["213:0", "sysenter:213:0", "23:0"]) {
  test(`a signal reaches the caller of ${call}`, () => {
    const selectors = [{ filters: [], actions: [{ action: "Sigkill" as const }] }];
    const { ran } = watch32(makeHookOn("sys_setuid", { args: makeArgs("int"), selectors }), call);
    assert.equal(ran.signal, "SIGKILL");
  });
}

describe("callers of the x32 ABI", () => {
  const X32 = 0x4000_0000;
  const [IOCTL, EXECVE] = [514, 520];
  const withX32 = (name: string, run: () => void) =>
    test(name, (t) => {
      // getpid: the number of an error, or what comes after the call
      if (act(`errno ${X32 + NR.getpid}:0 exit 99`).status !== 99) return t.skip("the kernel has no x32 ABI");
      run();
    });
  const seenBy = (def: HookDef, call: string) => {
    let pid = 0;
    const hits = engine.watch([def], () => {
      pid = act(`call ${call}`).pid;
    });
    return hits.filter((hit) => hit.pid === pid && hit.syscall >= X32);
  };

  withX32("are seen at the entry of the native one, where they use it", () => {
    const [hit, ...others] = seenBy(
      makeHookOn("sys_setuid", { args: makeArgs("int") }),
      `${X32 + NR.setuid}:0`,
    );
    assert.deepEqual([hit?.values, hit?.syscall, others], [[0n], X32 + NR.setuid, []]);
  });

  withX32("are seen by a list of calls at raw_syscalls", () => {
    const [hit, ...others] = seenBy(enter(named("setuid")), `${X32 + NR.setuid}:0`);
    assert.deepEqual([hit?.values, others], [[BigInt(X32 + NR.setuid)], []]);
  });

  withX32("count once, at either entry", () => {
    const is99: FilterDef = { match: "arg", arg: 0, negate: false, compare: "range", ranges: [["99", "99"]] };
    const def = makeHookOn("sys_ioctl", { args: makeArgs("int"), selectors: [makeSelector(is99)] });
    const hook = engine.attach(def);
    const before = hook.stats().posted;
    act(`call ${NR.ioctl}:99:1:7 call ${X32 + IOCTL}:99:1:7`);
    assert.equal(hook.stats().posted - before, 2);
    hook.detach();
  });

  withX32("pass no filter by the upper half of a register, which the kernel ignores", () => {
    const filter: FilterDef = { match: "arg", arg: 2, negate: false, compare: "range", ranges: [["7", "7"]] };
    const args = makeArgs("int", "uint32", "uint64");
    const def = makeHookOn("sys_ioctl", { args, selectors: [makeSelector(filter)] });
    const [hit, ...others] = seenBy(def, `${X32 + IOCTL}:0x100000063:1:0x100000007`);
    assert.deepEqual([hit?.values, others], [[99n, 1n, 7n], []]);
  });

  withX32("are seen at an entry of their own, where they have one", () => {
    const def = makeHookOn("sys_execve", { args: makeArgs("string") });
    const hook = engine.attach(def);
    assert.match(hook.status.message ?? "", /__x(32|64)_compat_sys_execve/);
    hook.detach();
    const [hit, ...others] = seenBy(def, `${X32 + EXECVE}:@/no/such:0:0`);
    assert.deepEqual([hit?.values, hit?.syscall, others], [["/no/such"], X32 + EXECVE, []]);
  });
});

describe("credential changes have the call that made them", () => {
  const commit = makeHookOn("commit_creds", { args: makeArgs("nop") });

  test("by the 32-bit ABI", () => {
    const { hits } = watch32(commit, "213:0");
    assert.deepEqual(
      hits.filter(({ inExec }) => !inExec).map(({ syscall }) => syscall),
      [SYSCALL_32_BIT + 213],
    );
  });

  test("by the native one, and by an exec", () => {
    let pid = 0;
    const hits = engine.watch([commit], () => {
      pid = act(`call ${NR.setgid}:0`).pid;
    });
    assert.deepEqual(
      hits.filter((hit) => hit.pid === pid).map(({ syscall, inExec }) => [syscall, inExec]),
      [
        [59, true],
        [NR.setgid, false],
      ],
    );
  });
});

describe("the number of a call at raw_syscalls has its ABI", () => {
  const masked: FilterDef = {
    match: "arg",
    arg: 0,
    negate: false,
    compare: "mask",
    masks: [String(SYSCALL_32_BIT)],
  };
  const numbers = (hits: Hit[]) => hits.map(({ values }) => values);

  test("so that a list does not match the other ABI's number", () => {
    assert.deepEqual(numbers(watch32(enter(named("epoll_create")), "213:0").hits), []);
  });

  test("and matches the same call of both", () => {
    const want = [[BigInt(SYSCALL_32_BIT + 213)], [BigInt(SYSCALL_32_BIT + 23)]];
    assert.deepEqual(numbers(watch32(enter(named("setuid")), "213:0", "23:0").hits), want);
  });

  test("and a mask selects the 32-bit ABI", () => {
    const { hits } = watch32(enter(masked), "213:0");
    assert.ok(numbers(hits).some(([value]) => value === BigInt(SYSCALL_32_BIT + 213)));
  });
});
