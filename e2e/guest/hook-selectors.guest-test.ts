/**
 * Every selector and operator, evaluated in the kernel: once where it matches, once where it does not.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-selectors.guest-test.ts
 *
 * @kernels 5.10, latest: the oldest verifier and the newest; the same programs match the same on the kernels between
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readlinkSync } from "node:fs";
import { getPriority, setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { makeArgs, makeSelector } from "../../agent/hooks/testing/hooks.ts";
import type { ArgType } from "../../crds/argument-types.ts";
import type { FilterDef, HookDef } from "../../crds/hook-spec.ts";
import type { NamespaceName } from "../../crds/linux.ts";
import { compileExpression } from "../../policy/expressions/compile.ts";
import { ACT, act, BY_KPROBE, type Hit, makeHookOn, NR, QUIET, run, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

const UNKNOWN_PRCTL = 0x7000_0001;

/** How often a hook of setfsuid with one selector of these filters posts while `trigger` runs. */
function count(filters: FilterDef[], trigger: () => unknown): number {
  return engine.watch([makeHookOn("sys_setfsuid", { selectors: [makeSelector(...filters)] })], trigger)
    .length;
}

/** Both kinds of program must agree: the second hook's arguments suit a kprobe only. */
function countByBothKinds(filters: FilterDef[], trigger: () => unknown): [fentry: number, kprobe: number] {
  const selectors = [makeSelector(...filters)];
  const hits = engine.watch(
    [
      makeHookOn("security_task_prctl", { selectors }),
      makeHookOn("commit_creds", { args: BY_KPROBE, selectors }),
    ],
    trigger,
  );
  return [hits.filter((hit) => hit.hook === 0).length, hits.filter((hit) => hit.hook === 1).length];
}

const inum = (name: string) => Number(/\[(\d+)\]/.exec(readlinkSync(`/proc/self/ns/${name}`))?.[1]);

describe("matchPIDs", () => {
  const pid = (values: number[], parts: Partial<Extract<FilterDef, { match: "pid" }>> = {}): FilterDef => ({
    match: "pid",
    negate: false,
    values,
    namespacePid: false,
    followForks: false,
    ...parts,
  });
  const here = () => act(QUIET);

  test("In and NotIn, for a process that runs already", async () => {
    const waiting = spawn("sh", ["-c", `read go; exec ${ACT} ${QUIET}`], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    const pids = Array.from({ length: 30 }, (_, i) => 1_000_000 + 2 * i);
    const defs = [
      pid([waiting.pid as number]),
      pid([waiting.pid as number], { negate: true }),
      pid([...pids, waiting.pid as number]),
      pid(pids),
    ].map((filter) => makeHookOn("sys_setfsuid", { selectors: [makeSelector(filter)] }));
    const hooks = defs.map((def) => engine.attach(def));
    const ended = new Promise((resolve) => waiting.once("exit", resolve));
    waiting.stdin.end("go\n");
    await ended;
    assert.deepEqual(
      hooks.map((hook) => hook.stats().posted),
      [1, 0, 1, 0],
    );
    for (const hook of hooks) hook.detach();
  });

  test("isNamespacePID: the pid inside", () => {
    const inside = () => run("unshare", ["-pf", ACT, ...QUIET.split(" ")]);
    assert.equal(count([pid([1], { namespacePid: true })], inside), 1);
    assert.equal(count([pid([1], { namespacePid: true, negate: true })], inside), 0);
    assert.equal(count([pid([1])], inside), 0);
    assert.equal(count([pid([1], { namespacePid: true })], here), 0);
  });

  test("followForks: what a process of the list has started", () => {
    const deep = () => act(`fork fork fork fork ${QUIET}`);
    assert.equal(count([pid([process.pid], { followForks: true })], deep), 1);
    assert.equal(count([pid([process.pid], { followForks: true, negate: true })], deep), 0);
    assert.equal(count([pid([process.pid])], deep), 0);
    const strangers = Array.from({ length: 20 }, (_, i) => 1_000_000 + 2 * i);
    assert.equal(count([pid(strangers, { followForks: true })], deep), 0);
    assert.equal(count([pid([...strangers, process.pid], { followForks: true })], deep), 1);
  });

  test("followForks with isNamespacePID: from the init process of a namespace", () => {
    const inside = () => run("unshare", ["-pf", ACT, "fork", ...QUIET.split(" ")]);
    assert.equal(count([pid([1], { namespacePid: true, followForks: true })], inside), 1);
    assert.equal(count([pid([77], { namespacePid: true, followForks: true })], inside), 0);
  });
});

describe("matchNamespaces", () => {
  const ns = (namespace: NamespaceName, values: (number | "host_ns")[], negate = false): FilterDef => ({
    match: "namespace",
    namespace,
    values,
    negate,
  });
  const unshared: [NamespaceName, string[]][] = [
    ["Uts", ["-u"]],
    ["Ipc", ["-i"]],
    ["Mnt", ["-m"]],
    ["Pid", ["-pf"]],
    ["PidForChildren", ["-pf"]],
    ["Net", ["-n"]],
    ["Time", ["-T", "--fork"]],
    ["TimeForChildren", ["-T"]],
    ["Cgroup", ["-C"]],
    ["User", ["-U"]],
  ];
  for (const [name, options] of unshared) {
    test(`${name}: host_ns, In and NotIn, outside and inside`, () => {
      const outside = () => act(QUIET);
      const inside = () => run("unshare", [...options, ACT, ...QUIET.split(" ")]);
      const counts = (trigger: () => unknown) => {
        const defs = [false, true].map((negate) =>
          makeHookOn("sys_setfsuid", { selectors: [makeSelector(ns(name, ["host_ns"], negate))] }),
        );
        const hits = engine.watch(defs, trigger);
        return [0, 1].map((hook) => hits.filter((hit) => hit.hook === hook).length);
      };
      assert.deepEqual(counts(outside), [1, 0]);
      assert.deepEqual(counts(inside), [0, 1]);
    });
  }

  test("numbers, one of several", () => {
    const here = inum("net");
    assert.equal(
      count([ns("Net", [1, here, 3])], () => act(QUIET)),
      1,
    );
    assert.equal(
      count([ns("Net", [1, 3])], () => act(QUIET)),
      0,
    );
    assert.equal(
      count([ns("Net", [1, here], true)], () => act(QUIET)),
      0,
    );
  });

  test("by a kprobe as by fentry", () => {
    // Each runs prctl once and commits the credentials of one exec.
    const inside = () => run("unshare", ["-pf", ACT, "call", `${NR.prctl}:${UNKNOWN_PRCTL}`]);
    assert.deepEqual(countByBothKinds([ns("Pid", ["host_ns"], true)], inside), [1, 1]);
    const outside = () => act(`call ${NR.prctl}:${UNKNOWN_PRCTL}`);
    assert.deepEqual(countByBothKinds([ns("Pid", ["host_ns"], true)], outside), [0, 0]);
  });

  test("two filters are both needed", () => {
    const inside = () => run("unshare", ["-u", ACT, ...QUIET.split(" ")]);
    assert.equal(count([ns("Uts", ["host_ns"], true), ns("Net", ["host_ns"])], inside), 1);
    assert.equal(count([ns("Uts", ["host_ns"], true), ns("Net", ["host_ns"], true)], inside), 0);
  });
});

describe("matchBinaries", () => {
  const directory = mkdtempSync(join(tmpdir(), "binaries-"));
  const other = join(directory, "other-binary");
  copyFileSync(ACT, other);
  const deep = join(directory, "d".repeat(200), "e".repeat(100));
  const binary = (compare: "equal" | "prefix" | "postfix", values: string[], negate = false): FilterDef => ({
    match: "binary",
    compare,
    values,
    negate,
  });
  const byAct = () => act(QUIET);
  const byOther = () => run(other, QUIET.split(" "));

  const cases: Record<string, { filter: FilterDef; act: number; other: number }> = {
    "In: the whole path": { filter: binary("equal", ["/no/such", ACT]), act: 1, other: 0 },
    "NotIn: the whole path": { filter: binary("equal", ["/no/such", ACT], true), act: 0, other: 1 },
    "In: no part of a path": {
      filter: binary("equal", [ACT.slice(0, -1), "act", `${ACT}x`]),
      act: 0,
      other: 0,
    },
    "Prefix: one of several": {
      filter: binary("prefix", ["/no/such", `${directory}/oth`]),
      act: 0,
      other: 1,
    },
    "Prefix: the whole path, no more": { filter: binary("prefix", [ACT, `${other}x`]), act: 1, other: 0 },
    NotPrefix: { filter: binary("prefix", [directory], true), act: 1, other: 0 },
    "Postfix: one of several": { filter: binary("postfix", ["/bin/no", "-binary"]), act: 0, other: 1 },
    "Postfix: the whole path, no more": { filter: binary("postfix", [ACT, `x${other}`]), act: 1, other: 0 },
    NotPostfix: { filter: binary("postfix", ["/act"], true), act: 0, other: 1 },
  };
  for (const [name, { filter, ...want }] of Object.entries(cases)) {
    test(name, () => {
      assert.deepEqual({ act: count([filter], byAct), other: count([filter], byOther) }, want);
    });
  }

  test("a child that has not executed has its parent's", () => {
    assert.equal(
      count([binary("equal", [ACT])], () => act(`fork fork ${QUIET}`)),
      1,
    );
  });

  test("a path longer than 255 bytes equals none, and its beginning and its end are known", () => {
    run("mkdir", ["-p", deep]);
    const long = join(deep, "act");
    copyFileSync(ACT, long);
    const byLong = () => run(long, QUIET.split(" "));
    assert.equal(count([binary("equal", [long.slice(0, 255)])], byLong), 0);
    assert.equal(count([binary("prefix", [long.slice(0, 255)])], byLong), 1);
    assert.equal(count([binary("postfix", [long.slice(-127)])], byLong), 1);
  });

  test("a process that ran before matches once the scan has reported it", () => {
    const told = binary("equal", ["/told/by/scan"]);
    const setNice = makeHookOn("security_task_setnice", { selectors: [makeSelector(told)] });
    const renice = () => setPriority(getPriority());
    assert.equal(engine.watch([setNice], renice).length, 0);
    engine.engine.seedImage(process.pid, "/told/by/scan");
    assert.equal(engine.watch([setNice], renice).length, 1);
  });

  test("an exec record replaces the result of the scan", async () => {
    const told = (path: string) =>
      makeHookOn("sys_setfsuid", { selectors: [makeSelector(binary("equal", [path]))] });
    const waiting = spawn("sh", ["-c", `read go; exec ${ACT} ${QUIET}`], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    const pid = waiting.pid as number;
    const hooks = ["/told/by/scan", ACT].map((path) => engine.attach(told(path)));
    engine.engine.seedImage(pid, "/told/by/scan");
    const ended = new Promise((resolve) => waiting.once("exit", resolve));
    waiting.stdin.end("go\n");
    await ended;
    assert.deepEqual(
      hooks.map((hook) => hook.stats().posted),
      [0, 1],
    );
    for (const hook of hooks) hook.detach();
  });
});

describe("matchArgs on integers", () => {
  const arg = (ranges: [string, string][], negate = false): FilterDef => ({
    match: "arg",
    arg: 0,
    compare: "range",
    ranges,
    negate,
  });
  const mask = (masks: string[], negate = false): FilterDef => ({
    match: "arg",
    arg: 0,
    compare: "mask",
    masks,
    negate,
  });
  const many = (from: number): [string, string][] =>
    Array.from({ length: 300 }, (_, i) => [`${from + 3 * i}`, `${from + 3 * i + 1}`]);

  /** Which of the values pass a filter on the second argument of prctl(). */
  function passing(type: ArgType, filter: FilterDef, values: string[], call = "sys_prctl"): string[] {
    const def: HookDef = makeHookOn(call, { args: [{ index: 1, type }], selectors: [makeSelector(filter)] });
    const steps = values.map((value) => `call ${NR.prctl}:${UNKNOWN_PRCTL}:${value}`).join(" ");
    return engine.watch([def], () => act(steps)).map((hit) => String(hit.values[0]));
  }

  const cases: Record<string, { type: ArgType; filter: FilterDef; values: string[]; want: string[] }> = {
    Equal: { type: "int", filter: arg([["5", "5"]]), values: ["4", "5", "6"], want: ["5"] },
    NotEqual: { type: "int", filter: arg([["5", "5"]], true), values: ["4", "5", "6"], want: ["4", "6"] },
    "Equal to one of several": {
      type: "uint64",
      filter: arg([
        ["1", "1"],
        ["3", "3"],
        ["9", "9"],
      ]),
      values: ["0", "1", "2", "3", "9", "10"],
      want: ["1", "3", "9"],
    },
    "a negative value": {
      type: "int",
      filter: arg([["-1", "-1"]]),
      values: ["-1", "1", "4294967295"],
      want: ["-1", "-1"],
    },
    "a range across zero": {
      type: "long",
      filter: arg([["-2", "2"]]),
      values: ["-3", "-2", "0", "2", "3"],
      want: ["-2", "0", "2"],
    },
    "an unsigned range above 2^31": {
      type: "uint32",
      filter: arg([["2147483648", "4294967294"]]),
      values: ["2147483647", "2147483648", "4294967294", "4294967295"],
      want: ["2147483648", "4294967294"],
    },
    "an unsigned range up to the last value": {
      type: "uint64",
      filter: arg([["9223372036854775808", "18446744073709551615"]]),
      values: ["9223372036854775807", "9223372036854775808", "18446744073709551615"],
      want: ["9223372036854775808", "18446744073709551615"],
    },
    NotInRange: {
      type: "uint32",
      filter: arg([["10", "20"]], true),
      values: ["9", "10", "20", "21"],
      want: ["9", "21"],
    },
    "300 ranges": {
      type: "uint32",
      filter: arg(many(1000)),
      values: ["999", "1000", "1001", "1002", "1450", "1451", "1452", "1897", "1898", "1899"],
      want: ["1000", "1001", "1450", "1451", "1897", "1898"],
    },
    "not in 300 ranges": {
      type: "uint32",
      filter: arg(many(1000), true),
      values: ["999", "1000", "1002", "1898", "1899"],
      want: ["999", "1002", "1899"],
    },
    "only the bits of the type count": {
      type: "uint8",
      filter: arg([["5", "5"]]),
      values: ["0x105", "0x104"],
      want: ["5"],
    },
    Mask: {
      type: "uint32",
      filter: mask(["16", "1"]),
      values: ["1", "2", "16", "18"],
      want: ["1", "16", "18"],
    },
    "not Mask": {
      type: "uint32",
      filter: mask(["16", "1"], true),
      values: ["1", "2", "16", "18"],
      want: ["2"],
    },
    "Mask on a signed type": {
      type: "long",
      filter: mask(["1"]),
      values: ["-1", "-2", "1", "2"],
      want: ["-1", "1"],
    },
  };
  for (const [name, { type, filter, values, want }] of Object.entries(cases)) {
    test(name, () => {
      assert.deepEqual(passing(type, filter, values), want);
      // Its parameters are longs.
      if (["uint64", "ulong", "size_t", "long", "int64", "sint64"].includes(type))
        assert.deepEqual(passing(type, filter, values, "security_task_prctl"), want);
    });
  }

  test("on capability sets, by bits and as a whole", () => {
    const setpcap = String(1 << 8);
    const args = [{ index: 2, type: "cap_effective" as const }];
    const hook = (filter: FilterDef) =>
      makeHookOn("security_capset", { args, selectors: [makeSelector(filter)] });
    const countCapset = (filter: FilterDef) => engine.watch([hook(filter)], () => act("drop 0")).length;
    assert.equal(countCapset(mask(["1"])), 0);
    assert.equal(countCapset(mask([setpcap])), 1);
    assert.equal(countCapset(arg([["0", "0"]])), 0);
    assert.equal(countCapset(arg([["0", "0"]], true)), 1);
  });
});

describe("CelExpr", () => {
  const args = makeArgs("int", "long", "uint64", "long");
  const compiled = (...texts: string[]): FilterDef => {
    const [first, ...others] = texts.map((text) => compileExpression(text, args));
    return {
      match: "expression",
      steps: [...(first ?? []), ...others.flatMap((steps) => [...steps, { op: "or" } as const])],
    };
  };
  const cases: [text: string, values: string, matches: boolean][] = [
    ["arg1 == -5", "-5:0:0", true],
    ["arg1 == -5", "-4:0:0", false],
    ["arg1 + 1 < 0 || arg2 > 9223372036854775807u", "0:9223372036854775808:0", true],
    ["arg1 + 1 < 0 || arg2 > 9223372036854775807u", "-1:9:0", false],
    ["arg3 / 2 == -3 && arg3 % 2 == -1", "0:0:-7", true],
    ["arg3 / 2 == -3 && arg3 % 2 == -1", "0:0:-6", false],
    ["-arg1 * 3 == arg3 - 1", "2:0:-5", true],
    ["-arg1 * 3 == arg3 - 1", "2:0:-6", false],
    ["arg2 / 4096 == 2 && arg2 % 4096 == 1", "0:8193:0", true],
    ["arg2 / 4096 == 2 && arg2 % 4096 == 1", "0:8194:0", false],
    ["arg1 in [1, 3, 5] && !(arg2 <= 7)", "3:8:0", true],
    ["arg1 in [1, 3, 5] && !(arg2 <= 7)", "2:8:0", false],
    ["(arg1 >= arg3) == (arg2 != 0)", "2:1:1", true],
    ["(arg1 >= arg3) == (arg2 != 0)", "2:0:1", false],
    ["(arg1 < 0 ? -arg1 : arg1) > 5", "-6:0:0", true],
    ["(arg1 < 0 ? -arg1 : arg1) > 5", "5:0:0", false],
  ];
  for (const call of ["sys_prctl", "security_task_prctl"]) {
    test(`over the arguments of ${call}`, () => {
      const defs = cases.map(([text]) =>
        makeHookOn(call, { args, selectors: [makeSelector(compiled(text))] }),
      );
      for (const [n, [text, values, matches]] of cases.entries()) {
        const hits = engine.watch([defs[n] as HookDef], () =>
          act(`call ${NR.prctl}:${UNKNOWN_PRCTL}:${values}`),
        );
        assert.equal(hits.length, matches ? 1 : 0, `${text} of ${values}`);
      }
    });
  }

  test("holds if one of several does, beside other filters", () => {
    const selector = makeSelector(compiled("arg1 == 1", "arg1 == 2", "arg1 == 3"), {
      match: "arg",
      arg: 2,
      negate: false,
      compare: "range",
      ranges: [["7", "7"]],
    });
    const def = makeHookOn("sys_prctl", { args, selectors: [selector] });
    const steps = ["2:7", "2:8", "4:7", "3:7"].map((values) => `call ${NR.prctl}:${UNKNOWN_PRCTL}:${values}`);
    const hits = engine.watch([def], () => act(steps.join(" ")));
    assert.deepEqual(
      hits.map(({ values }) => values.slice(1, 3)),
      [
        [2n, 7n],
        [3n, 7n],
      ],
    );
  });

  test("as long as it may be", () => {
    const sum = Array.from({ length: 31 }, () => "arg1").join(" + ");
    const def = makeHookOn("sys_prctl", { args, selectors: [makeSelector(compiled(`${sum} == 62`))] });
    const hits = engine.watch([def], () =>
      act(`call ${NR.prctl}:${UNKNOWN_PRCTL}:2 call ${NR.prctl}:${UNKNOWN_PRCTL}:3`),
    );
    assert.deepEqual(
      hits.map(({ values }) => values[1]),
      [2n],
    );
  });
});

describe("selectors", () => {
  const equals = (value: number): FilterDef => ({
    match: "arg",
    arg: 0,
    negate: false,
    compare: "range",
    ranges: [[`${value}`, `${value}`]],
  });
  const args = [{ index: 1, type: "int" as const }];
  const prctl = (...values: number[]) =>
    act(values.map((value) => `call ${NR.prctl}:${UNKNOWN_PRCTL}:${value}`).join(" "));
  const told = (hits: Hit[]) => hits.map((hit) => [hit.selector, Number(hit.values[0])]);

  test("are alternatives, and the first that matches is reported", () => {
    const selectors = [
      makeSelector(equals(1)),
      makeSelector(equals(2)),
      makeSelector(equals(1)),
      makeSelector(equals(3)),
    ];
    const hits = engine.watch([makeHookOn("sys_prctl", { args, selectors })], () => prctl(3, 1, 4, 2));
    assert.deepEqual(told(hits), [
      [3, 3],
      [0, 1],
      [1, 2],
    ]);
  });

  test("a hook without selectors posts every hit", () => {
    const hits = engine.watch([makeHookOn("sys_prctl", { args })], () => prctl(3, 1));
    assert.deepEqual(told(hits), [
      [0xffff, 3],
      [0xffff, 1],
    ]);
  });

  test("NoPost ends the search without a record", () => {
    const selectors = [{ filters: [equals(1)], actions: [{ action: "NoPost" as const }] }, makeSelector()];
    const hits = engine.watch([makeHookOn("sys_prctl", { args, selectors })], () => prctl(1, 2));
    assert.deepEqual(told(hits), [[1, 2]]);
  });
});
