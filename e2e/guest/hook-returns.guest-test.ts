/**
 * Return values: one record per call, with what it returned, when it returned.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-returns.guest-test.ts
 *
 * @kernels 5.10, 6.12: before and after 6.7, since when the kernel counts calls that a kretprobe missed
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { makeArgs } from "../../agent/hooks/testing/hooks.ts";
import type {
  HookDef,
  ReturnDef,
  ReturnFilterDef,
  SelectorDef,
  TextComparison,
} from "../../crds/hook-spec.ts";
import { since } from "./lacking.ts";
import { ACT, act, BY_KPROBE, makeHookOn, NR, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

const EPERM = -1n;
const countsNoMisses = !since(6, 7) && "the kernel counts calls that a kretprobe missed since 6.7";
const INT: ReturnDef = { type: "int" };
const SETUID = makeHookOn("sys_setuid", { args: makeArgs("int"), returnArg: INT });
/** Where an fentry would be possible, too. */
const asKprobe = (def: HookDef): HookDef => ({ ...def, args: BY_KPROBE });

/** Return values of the program's hits, with the first argument. */
function returned(def: HookDef, steps: string, options: { uid?: number } = {}) {
  let pid = 0;
  const hits = engine.watch([def], () => {
    pid = act(steps, options).pid;
  });
  return hits.filter((hit) => hit.pid === pid).map(({ values, returned: value }) => [values[0], value]);
}

describe("a call that returns", () => {
  test("gives one record, with its arguments and what it returned", () => {
    assert.deepEqual(returned(SETUID, `call ${NR.setuid}:1001 call ${NR.setuid}:0`), [
      [1001n, 0n],
      [0n, EPERM],
    ]);
  });

  test("is attached as a pair, and the status reports it", () => {
    const hook = engine.attach(SETUID);
    // On 5.10 the verifier refuses fentry at one of the entries of the system call.
    const refused = hook.status.message?.startsWith("fentry: load program hook_fentry: EACCES") ?? false;
    assert.ok(!refused || !since(5, 11), hook.status.message);
    const pair = engine.entryKind() === "fentry" && !refused ? "fexit" : "kretprobe";
    assert.equal(hook.status.attach, pair, hook.status.message);
    hook.detach();
    const kprobe = engine.attach(asKprobe(makeHookOn("commit_creds", { returnArg: INT })));
    assert.equal(kprobe.status.attach, "kretprobe", kprobe.status.message);
    kprobe.detach();
  });

  test("is seen by a kprobe pair too", () => {
    const def = asKprobe(makeHookOn("security_task_fix_setuid", { returnArg: INT }));
    const values = returned(def, `call ${NR.setuid}:1001`);
    assert.deepEqual(
      values.map(([, value]) => value),
      [0n],
    );
  });

  test("is posted if it does not return to its caller", () => {
    const def = makeHookOn("sys_execve", { args: makeArgs("string"), returnArg: INT });
    const hits = engine.watch([def], () => act("exit 0"));
    assert.ok(hits.some((hit) => String(hit.values[0]).endsWith("/act") && hit.returned === 0n));
  });

  test("of another type has the value of that type", () => {
    const def = makeHookOn("prepare_creds", { returnArg: { type: "cred" } });
    const uids = returned(def, `call ${NR.setuid}:0`).map(([, value]) => (value as { uid: number }).uid);
    assert.equal(uids[0], 0);
  });
});

describe("filters on what is returned", () => {
  const selector = (...returnFilters: ReturnFilterDef[]): SelectorDef => ({
    filters: [],
    actions: [{ action: "Post" }],
    returnFilters,
  });
  const steps = `call ${NR.setuid}:1001 call ${NR.setuid}:0`;
  const cases: [string, SelectorDef[], [bigint, bigint][]][] = [
    ["a range that the value is in", [selector(range("-1", "-1"))], [[0n, EPERM]]],
    ["a range that it is not in", [selector(range("1", "5"))], []],
    ["a negated range", [selector({ ...range("0", "0"), negate: true })], [[0n, EPERM]]],
    ["a range of successes", [selector(range("0", "10"))], [[1001n, 0n]]],
    ["a mask with a common bit", [selector(mask("8"))], [[0n, EPERM]]],
    ["two filters that both match", [selector(range("-5", "0"), mask("1"))], [[0n, EPERM]]],
    ["two filters of which one does not", [selector(range("0", "0"), mask("1"))], []],
  ];
  for (const [name, selectors, want] of cases) {
    test(name, () => assert.deepEqual(returned({ ...SETUID, selectors }, steps), want));
  }

  const long = `/tmp/${"a".repeat(120)}/${"b".repeat(160)}`;
  const texts: [how: TextComparison, value: string, negate: boolean, opened: string[]][] = [
    ["equal", "/etc/hostname", false, ["/etc/hostname"]],
    ["equal", "/etc/hostname", true, ["/etc/passwd", long]],
    ["prefix", "/etc/", false, ["/etc/hostname", "/etc/passwd"]],
    ["postfix", "name", false, ["/etc/hostname"]],
    ["substring", "c/p", false, ["/etc/passwd"]],
    ["substringIgnoreCase", "passwd", false, ["/etc/passwd"]],
    ["equal", long, false, [long]],
    ["prefix", long.slice(0, -9), false, [long]],
  ];
  const open = (...paths: string[]) => paths.map((path) => `call ${NR.openat}:-100:@${path}:0`).join(" ");
  const OPENED = makeHookOn(since(7, 0) ? "do_file_open" : "do_filp_open", { returnArg: { type: "file" } });

  for (const [by, args] of [
    ["fexit", []],
    ["kretprobe", BY_KPROBE],
  ] as const) {
    test(`a path, by ${by}`, () => {
      mkdirSync(dirname(long), { recursive: true });
      writeFileSync(long, "");
      const defs = texts.map(([how, value, negate]) => ({
        ...OPENED,
        args: [...args],
        selectors: [selector({ match: "return", negate, compare: "text", how, values: [value] })],
      }));
      let pid = 0;
      const hits = engine.watch(defs, () => {
        pid = act(open("/etc/hostname", "/etc/passwd", "/no/such", long)).pid;
      });
      const opened = texts.map((_, hook) =>
        hits.flatMap((hit) => (hit.pid === pid && hit.hook === hook ? [String(hit.returned)] : [])),
      );
      // What is opened to execute the program: the program itself, its loader and its libraries.
      const isLoading = (path: string) => path === ACT || /^\/(usr|lib|etc\/ld)/.test(path);
      const ours = opened.map((paths) => paths.filter((path) => !isLoading(path)));
      assert.deepEqual(
        ours,
        texts.map(([, , , paths]) => paths),
      );
    });
  }

  test("a string, in the first of five selectors that matches", () => {
    const is = (how: TextComparison, value: string) =>
      selector({ match: "return", negate: false, compare: "text", how, values: [value] });
    const def = makeHookOn("d_path", { returnArg: { type: "string" } });
    const selectors = [
      is("equal", "/act"),
      is("substring", "guest/actor"),
      is("prefix", `${ACT}/`),
      is("substringIgnoreCase", "guest/ac"),
      is("postfix", "act"),
    ];
    let pid = 0;
    const hits = engine.watch([{ ...def, selectors }], () => {
      pid = act(`call ${NR.readlink}:@/proc/self/exe:@${"_".repeat(200)}:200`).pid;
    });
    assert.deepEqual(
      hits.filter((hit) => hit.pid === pid).map((hit) => [hit.selector, hit.returned]),
      [[3, ACT]],
    );
  });

  test("belong to the selector that matched at entry", () => {
    const ofUid = (uid: string, ...returnFilters: ReturnFilterDef[]): SelectorDef => ({
      ...selector(...returnFilters),
      filters: [{ match: "arg", arg: 0, negate: false, compare: "range", ranges: [[uid, uid]] }],
    });
    const selectors = [ofUid("0", range("-1", "-1")), ofUid("1001", range("-1", "-1"))];
    assert.deepEqual(returned({ ...SETUID, selectors }, steps), [[0n, EPERM]]);
  });

  const ofUid = (uid: string, of: SelectorDef): SelectorDef => ({
    ...of,
    filters: [{ match: "arg", arg: 0, negate: false, compare: "range", ranges: [[uid, uid]] }],
  });
  const others = selector(range("5", "5"));
  const denied = selector(range("-1", "-1"));
  const excepted: SelectorDef = { ...selector(range("0", "0")), actions: [{ action: "NoPost" }] };
  const leaving: [string, SelectorDef[], [selector: number, uid: bigint][]][] = [
    [
      "to one that does not look at it",
      [denied, selector()],
      [
        [1, 1001n],
        [0, 0n],
      ],
    ],
    ["to one that matches it", [others, ofUid("0", denied)], [[1, 0n]]],
    ["to none that did not match at entry", [others, ofUid("1001", denied)], []],
    ["to what an exception leaves", [excepted, selector()], [[1, 0n]]],
    ["to the last of five", [others, others, others, others, denied], [[4, 0n]]],
  ];
  for (const [name, selectors, want] of leaving) {
    test(`leave a call that they do not match ${name}`, () => {
      const hits = engine.watch([{ ...SETUID, selectors }], () => act(steps));
      assert.deepEqual(
        hits.map(({ selector, values }) => [selector, values[0]]),
        want,
      );
    });
  }

  test("leave a call with the stack that the next selector asks for", () => {
    const traced: SelectorDef = { ...selector(), actions: [{ action: "Post", kernelStackTrace: true }] };
    const [hit] = engine.watch([{ ...SETUID, selectors: [denied, traced] }], () => act(steps));
    assert.notEqual(hit?.kernelStack.length, 0);
  });

  test("do not start the window of a rate limit", () => {
    const limited: SelectorDef = {
      ...selector(range("0", "0")),
      actions: [{ action: "Post", rateLimit: { intervalMs: 60_000, scope: "global" } }],
    };
    const def = { ...makeHookOn("sys_setfsuid", { returnArg: INT }), selectors: [limited] };
    // setfsuid returns the id that was: 0, then 7, then 7 again.
    const values = returned(def, `call ${NR.setfsuid}:7 call ${NR.setfsuid}:0 call ${NR.setfsuid}:0`);
    assert.deepEqual(
      values.map(([, value]) => value),
      [0n],
    );
  });
});

describe("values that are read at return", () => {
  test("show what the call wrote, and the others what was there before", () => {
    const args: HookDef["args"] = [
      { index: 0, type: "string", returnCopy: true },
      { index: 0, type: "string" },
      { index: 1, type: "uint64" },
    ];
    const def = makeHookOn("sys_getcwd", { args, returnArg: INT });
    let pid = 0;
    const hits = engine
      .watch([def], () => {
        pid = act(`call ${NR.getcwd}:@before----------:12`, { cwd: "/usr/bin" }).pid;
      })
      .filter((hit) => hit.pid === pid);
    assert.deepEqual(
      hits.map((hit) => [...hit.values, hit.returned]),
      [["/usr/bin", "before----------", 12n, 9n]],
    );
  });
});

describe("calls at the same time", () => {
  test("of many threads each get their own value", () => {
    const def = makeHookOn("sys_setfsgid", { args: makeArgs("int"), returnArg: INT });
    const steps = Array.from({ length: 12 }, (_, n) => `thread ${NR.setfsgid}:${n + 1}`).join(" ");
    const values = returned(def, steps);
    assert.equal(values.length, 12);
    for (const [id] of values) assert.ok(Number(id) >= 1);
  });

  test("of one function within itself each get their own", () => {
    // A path of symbolic links: each step looks up the next within the walk of the one before.
    const def = makeHookOn("security_inode_permission", { returnArg: INT });
    const hook = engine.attach(def);
    engine.takeRecords();
    act(`call ${NR.openat}:-100:@/proc/self/cwd/etc/hostname:0`, { cwd: "/" });
    const { hits, posted, lost } = hook.stats();
    assert.deepEqual([hits - posted, lost], [0, 0]);
    hook.detach();
  });

  test("that are too many for a kretprobe are counted", { skip: countsNoMisses }, async () => {
    const hook = engine.attach(asKprobe(makeHookOn("do_nanosleep", { returnArg: INT })));
    assert.equal(hook.status.attach, "kretprobe", hook.status.message);
    const sleepers = Array.from({ length: 40 }, () => spawn("sleep", ["1000"]));
    while (hook.stats().hits < sleepers.length) await delay(100);
    for (const sleeper of sleepers) sleeper.kill();
    await Promise.all(sleepers.map((sleeper) => once(sleeper, "exit")));
    const { posted, missed } = hook.stats();
    assert.ok(missed > 0, `${posted} of ${sleepers.length} posted`);
    assert.ok(posted + missed >= sleepers.length, `${posted} posted, ${missed} missed`);
    hook.detach();
    assert.ok(hook.stats().missed >= missed);
  });

  test("that never return leave no room taken", () => {
    const hook = engine.attach(makeHookOn("sys_exit_group", { returnArg: INT }));
    const before = hook.memoryBytes();
    for (let i = 0; i < 3; i++) act("exit 0");
    const { hits, posted, lost } = hook.stats();
    assert.deepEqual([hits >= 3, posted, lost], [true, 0, 0]);
    assert.ok(hook.memoryBytes() <= before + 16 * 1024, `${before} bytes became ${hook.memoryBytes()}`);
    hook.detach();
  });
});

function range(low: string, high: string): Extract<ReturnFilterDef, { compare: "range" }> {
  return { match: "return", negate: false, compare: "range", ranges: [[low, high]] };
}

function mask(bits: string): ReturnFilterDef {
  return { match: "return", negate: false, compare: "mask", masks: [bits] };
}
