import { describe, expect, test } from "vitest";
import type { ArgDef, FilterDef, HookDef, SelectorDef } from "../../../crds/hook-spec.ts";
import type { FieldPath } from "../../../policy/members/field-path.ts";
import { HookError } from "../hook-error.ts";
import { makeArgs, makeHook, makeSelector } from "../testing/hooks.ts";
import { type ConfigImage, encodeConfig } from "./encode.ts";
import type { BufferConfig } from "./filters.ts";
import {
  BUFFER_CONFIG,
  ENUMERATORS as E,
  EXPRESSION_STEP,
  FILTER_CONFIG,
  HOOK_CONFIG,
  SELECTOR_CONFIG,
  VALUE_CONFIG,
} from "./layout.ts";

const HOST_PID = 4_026_531_836;

function encode(def: Partial<HookDef>, fieldPaths: readonly FieldPath[] = []): ConfigImage {
  return encodeConfig(makeHook(def), {
    fieldPaths,
    hookId: 7,
    cpus: 1,
    limitSeed: [1n, 2n],
    hostNamespace: () => HOST_PID,
    followBit: () => 5,
    scopeBit: () => 3,
  });
}

function viewOf(image: ConfigImage): DataView {
  return new DataView(image.config.buffer);
}

function head(image: ConfigImage) {
  const view = viewOf(image);
  const { hook_id, flags, record_size, args, selectors } = HOOK_CONFIG.members;
  return {
    id: view.getUint32(hook_id, true),
    flags: view.getUint32(flags, true),
    recordSize: view.getUint32(record_size, true),
    args: view.getUint16(args, true),
    selectors: view.getUint16(selectors, true),
  };
}

function valueAt(image: ConfigImage, index: number) {
  const base = HOOK_CONFIG.members.arg + index * VALUE_CONFIG.size;
  const [kind, parameter, bits, flags] = image.config.subarray(base, base + 4);
  return { kind, parameter, bits, flags };
}

function filterAt(image: ConfigImage, index: number) {
  const view = viewOf(image);
  const base = HOOK_CONFIG.members.filter + index * FILTER_CONFIG.size;
  return {
    operand: view.getUint8(base),
    index: view.getUint8(base + 1),
    compare: view.getUint8(base + 2),
    negate: view.getUint8(base + 3),
    first: view.getUint32(base + 4, true),
    count: view.getUint32(base + 8, true),
  };
}

function selectorAt(image: ConfigImage, index: number) {
  const view = viewOf(image);
  const base = HOOK_CONFIG.members.selector + index * SELECTOR_CONFIG.size;
  return {
    first: view.getUint16(base, true),
    filters: view.getUint16(base + 2, true),
    flags: view.getUint16(base + 4, true),
    scope: view.getUint16(base + 6, true),
    limitNs: view.getBigUint64(base + 8, true),
  };
}

function rangeAt(image: ConfigImage, index: number): [bigint, bigint] {
  const base = HOOK_CONFIG.members.range + index * 16;
  return [viewOf(image).getBigUint64(base, true), viewOf(image).getBigUint64(base + 8, true)];
}

const onArg = (ranges: [string, string][], arg = 0): FilterDef => ({
  match: "arg",
  arg,
  negate: false,
  compare: "range",
  ranges,
});

describe("the record", () => {
  test("of fixed size is built in the ring", () => {
    const image = encode({ call: "fd_install", args: makeArgs("cred", "int", "nop") });
    expect(head(image)).toEqual({ id: 7, flags: 0, recordSize: 64 + 88 + 16 + 8, args: 3, selectors: 0 });
    expect(image.scratchBytes).toBe(0);
  });

  test("of a hook that receives new credentials carries both, read from where the hook has them", () => {
    const sourcesOf = (call: string) => {
      const image = encode({ call, args: makeArgs("nop") });
      expect(head(image)).toMatchObject({
        flags: E.HOOK_CRED_CHANGE | E.HOOK_IN_SYSCALL,
        recordSize: 64 + 8 + 504,
      });
      return [...image.config.subarray(HOOK_CONFIG.members.cred, HOOK_CONFIG.members.cred + 4)];
    };
    expect(sourcesOf("commit_creds")).toEqual([E.CRED_OF_CURRENT, 0, E.CRED_PARAMETER, 0]);
    expect(sourcesOf("security_task_fix_setuid")).toEqual([E.CRED_PARAMETER, 1, E.CRED_PARAMETER, 0]);
    expect(sourcesOf("security_bprm_committing_creds")).toEqual([E.CRED_OF_CURRENT, 0, E.CRED_OF_BPRM, 0]);
  });

  test("at the entry of every system call has the call", () => {
    const entry = { section: "tracepoints", call: "raw_syscalls/sys_enter" } as const;
    expect(head(encode({ ...entry, args: makeArgs("int64") })).flags).toBe(E.HOOK_IN_SYSCALL);
    expect(head(encode({ ...entry, call: "sched/sched_switch", args: makeArgs("int64") })).flags).toBe(0);
  });

  test("with a string is built aside, with room for the longest", () => {
    const image = encode({ args: makeArgs("string"), syscall: true });
    expect(head(image).flags).toBe(E.HOOK_SYSCALL | E.HOOK_SCRATCH | E.HOOK_IN_SYSCALL);
    expect(image.scratchBytes).toBe(64 + 8 + 4096 + 64);
  });

  test("looks for the pod of a process only if it or one of its selectors has a scope", () => {
    const scope = { pods: { matchLabels: { app: "web" } }, host: true };
    const scopeOf = (image: ConfigImage) => {
      const view = viewOf(image);
      const { scope, scope_flags } = HOOK_CONFIG.members;
      return [view.getUint16(scope, true), view.getUint8(scope_flags)];
    };
    const all = encode({ call: "fd_install" });
    expect([head(all).flags, ...scopeOf(all)]).toEqual([0, 0, 0]);
    const own = encode({ call: "fd_install", scope });
    expect([head(own).flags, ...scopeOf(own)]).toEqual([E.HOOK_SCOPED, 3, E.SCOPE_LIMITED | E.SCOPE_HOST]);
    const ofSelector = encode({ call: "fd_install", selectors: [{ ...makeSelector(), scope }] });
    expect([head(ofSelector).flags, ...scopeOf(ofSelector)]).toEqual([E.HOOK_SCOPED, 0, 0]);
  });

  test("that may be held back is built aside", () => {
    const rateLimit = { intervalMs: 60_000, scope: "process" } as const;
    const selectors = [{ filters: [], actions: [{ action: "Post", rateLimit } as const] }];
    const image = encode({ call: "fd_install", selectors });
    expect(head(image).flags).toBe(E.HOOK_SCRATCH);
    expect(image.rateLimited).toBe(true);
    expect(selectorAt(image, 0)).toMatchObject({ scope: E.LIMIT_PROCESS, limitNs: 60_000_000_000n });
  });
});

describe("buffers", () => {
  const told = { limit: 4096, parameter: 3, width: 8, signed: false } as const;
  const buffers = (def: Partial<HookDef>, ...configs: (BufferConfig | undefined)[]) =>
    encodeConfig(makeHook({ call: "fd_install", ...def }), {
      hookId: 7,
      cpus: 1,
      limitSeed: [1n, 2n],
      hostNamespace: () => 0,
      followBit: () => 0,
      scopeBit: () => 0,
      buffers: configs,
    });

  test("have room for their upper bound, and the location of their size", () => {
    const args = [
      { index: 0, type: "int" },
      { index: 2, type: "char_buf", maxData: true },
    ] as const;
    const image = buffers({ args: [...args] }, undefined, { ...told, limit: 16_384, signed: true });
    expect(head(image).recordSize).toBe(64 + 16 + 8 + 8 + 16_384);
    const base = HOOK_CONFIG.members.buffer + BUFFER_CONFIG.size;
    expect([viewOf(image).getUint32(base, true), ...image.config.subarray(base + 4, base + 7)]).toEqual([
      16_384,
      3,
      64,
      E.VALUE_SIGNED,
    ]);
  });

  test("of an unknown size are refused", () => {
    expect(() => buffers({ args: makeArgs("char_buf") })).toThrow(
      /args\[0\]: the size of the buffer is unknown/,
    );
  });

  test("that leave no room for the rest are refused", () => {
    const long = { index: 0, type: "char_buf", maxData: true } as const;
    const args = [long, long];
    expect(() => buffers({ args }, told, told)).toThrow(/take up to 32928 bytes, at most 32768/);
  });
});

describe("expressions", () => {
  const steps = [{ op: "arg", arg: 1 }, { op: "const", value: "-1" }, { op: "sle" }] as const;
  const filter: FilterDef = { match: "expression", steps: [...steps] };

  test("are steps, those of all filters one after the other", () => {
    const image = encode({ args: makeArgs("nop", "int"), selectors: [makeSelector(filter, filter)] });
    expect([filterAt(image, 0), filterAt(image, 1)]).toMatchObject([
      { operand: E.OPERAND_EXPRESSION, first: 0, count: 3 },
      { operand: E.OPERAND_EXPRESSION, first: 3, count: 3 },
    ]);
    const stepAt = (index: number) => {
      const base = HOOK_CONFIG.members.expression + index * EXPRESSION_STEP.size;
      return [viewOf(image).getBigInt64(base, true), ...image.config.subarray(base + 8, base + 10)];
    };
    expect([3, 4, 5].map(stepAt)).toEqual([
      [0n, E.EXPRESSION_ARG, 1],
      [-1n, E.EXPRESSION_CONST, 0],
      [0n, E.EXPRESSION_SLE, 0],
    ]);
  });

  test("over what is no number are refused", () => {
    const def = { args: makeArgs("nop", "string"), selectors: [makeSelector(filter)] };
    expect(() => encode(def)).toThrow(/an argument of type string has no number to compare/);
  });
});

describe("arguments", () => {
  test("carry width and sign of their type, and the parameter they are read from", () => {
    const image = encode({ args: [{ index: 3, type: "int16" }] });
    expect(valueAt(image, 0)).toEqual({ kind: 1, parameter: 3, bits: 16, flags: E.VALUE_SIGNED });
  });

  test("are as wide as the field that they are in, and have its sign", () => {
    const encodeField = (type: ArgDef["type"], field: Partial<FieldPath>) => {
      const args = [{ index: 0, type, resolve: "member" }];
      return valueAt(encode({ args }, [{ offsets: [0], load: 4, signed: false, ...field }]), 0);
    };
    const { VALUE_SIGNED, VALUE_NO_SIGN } = E;
    expect(encodeField("int", { load: 1 })).toMatchObject({ bits: 8, flags: VALUE_SIGNED | VALUE_NO_SIGN });
    expect(encodeField("int", { load: 2, signed: true })).toMatchObject({ bits: 16, flags: VALUE_SIGNED });
    expect(encodeField("int", {})).toMatchObject({ bits: 32, flags: VALUE_SIGNED });
    expect(encodeField("uint8", { bits: { shift: 2, count: 1 } })).toMatchObject({ bits: 1, flags: 0 });
  });

  test("of a system call are strings in user memory", () => {
    expect(valueAt(encode({ args: makeArgs("string"), syscall: true }), 0).flags).toBe(E.VALUE_USER);
    expect(valueAt(encode({ args: makeArgs("string") }), 0).flags).toBe(0);
  });
});

describe("filters", () => {
  const pid = { match: "pid", negate: true, values: [5, 6, 9] } as const;
  const cases: Record<string, { filter: FilterDef; want: object; ranges?: [bigint, bigint][] }> = {
    "on pids become the fewest ranges": {
      filter: { ...pid, values: [...pid.values], namespacePid: false, followForks: false },
      want: { operand: E.OPERAND_PID, compare: E.COMPARE_RANGES, negate: 1, count: 2 },
      ranges: [
        [5n, 6n],
        [9n, 9n],
      ],
    },
    "on pids in their namespace": {
      filter: { ...pid, values: [1], namespacePid: true, followForks: false },
      want: { operand: E.OPERAND_NAMESPACE_PID },
    },
    "on pids and what they fork": {
      filter: { ...pid, values: [1], namespacePid: false, followForks: true },
      want: { operand: E.OPERAND_PID_OR_ANCESTOR, index: 5 },
    },
    "on pids in their namespace and what they fork": {
      filter: { ...pid, values: [1], namespacePid: true, followForks: true },
      want: { operand: E.OPERAND_NAMESPACE_PID_OR_ANCESTOR, index: 5 },
    },
    "on namespaces resolve host_ns": {
      filter: { match: "namespace", negate: true, namespace: "Pid", values: ["host_ns"] },
      want: { operand: E.OPERAND_NAMESPACE, index: E.NAMESPACE_PID, negate: 1, count: 1 },
      ranges: [[BigInt(HOST_PID), BigInt(HOST_PID)]],
    },
    "on signed arguments are biased, so that -1 is below 0": {
      filter: onArg([["-1", "0"]]),
      want: { operand: E.OPERAND_ARG, index: 0, compare: E.COMPARE_RANGES },
      ranges: [[(1n << 63n) - 1n, 1n << 63n]],
    },
    "on unsigned arguments reach the last value": {
      filter: onArg([["18446744073709551615", "18446744073709551615"]], 1),
      want: { index: 1 },
      ranges: [[(1n << 64n) - 1n, (1n << 64n) - 1n]],
    },
    "on masks become one mask, unbiased": {
      filter: { match: "arg", arg: 0, negate: false, compare: "mask", masks: ["1", "8"] },
      want: { compare: E.COMPARE_MASKS, count: 1 },
      ranges: [[9n, 0n]],
    },
    "on capabilities of the current set": {
      filter: { match: "capability", negate: true, set: "Permitted", mask: "2097152", inNamespace: false },
      want: { operand: E.OPERAND_CAPABILITY, index: E.CAPABILITIES_PERMITTED, negate: 1, count: 1 },
      ranges: [[1n << 21n, 0n]],
    },
    "on capabilities inside a user namespace": {
      filter: { match: "capability", negate: false, set: "Effective", mask: "1", inNamespace: true },
      want: { operand: E.OPERAND_CAPABILITY, index: E.CAPABILITIES_EFFECTIVE | E.IN_NAMESPACE },
    },
    "NotIn on changes of capabilities look at the others": {
      filter: { match: "capabilityChange", negate: true, set: "Effective", mask: "1", inNamespace: false },
      want: { operand: E.OPERAND_CAPABILITY_CHANGE, compare: E.COMPARE_MASKS, negate: 0 },
      ranges: [[(1n << 64n) - 2n, 0n]],
    },
    "on changes of namespaces are a mask of kinds": {
      filter: { match: "namespaceChange", negate: false, namespaces: ["Uts", "User"] },
      want: { operand: E.OPERAND_NAMESPACE_CHANGE, first: 0b10_0000_0001, negate: 0 },
    },
    "NotIn on changes of namespaces look at the others": {
      filter: { match: "namespaceChange", negate: true, namespaces: ["Uts", "User"] },
      want: { operand: E.OPERAND_NAMESPACE_CHANGE, first: 0b01_1111_1110, negate: 0 },
    },
    "on the caller's ids are unsigned": {
      filter: { match: "currentCred", negate: false, field: "auid", ranges: [["1000", "4294967295"]] },
      want: { operand: E.OPERAND_CRED, index: E.CURRENT_AUID, compare: E.COMPARE_RANGES },
      ranges: [[1000n, 4_294_967_295n]],
    },
    "on changes of credentials are a mask of fields": {
      filter: { match: "credChange", fields: ["uid", "groups"], change: "Raised" },
      want: { operand: E.OPERAND_CRED_CHANGE, index: E.CRED_RAISED, first: 0b1000_0000_0000_0001 },
    },
    "on the ends of binaries": {
      filter: { match: "binary", negate: false, compare: "postfix", values: ["/su", "/sudo"] },
      want: { operand: E.OPERAND_EXE, compare: E.COMPARE_TAIL_PATTERNS, first: 0, count: 2 },
    },
  };

  test.each(Object.entries(cases))("%s", (_name, { filter, want, ranges = [] }) => {
    const image = encode({ args: makeArgs("int", "uint64"), selectors: [makeSelector(filter)] });
    expect(filterAt(image, 0)).toMatchObject(want);
    expect(ranges.map((_, index) => rangeAt(image, index))).toEqual(ranges);
  });

  test("of several selectors stand one after the other", () => {
    const filter = onArg([["1", "1"]]);
    const image = encode({
      args: makeArgs("int"),
      selectors: [makeSelector(filter, filter), makeSelector(filter)],
    });
    expect(selectorAt(image, 0)).toMatchObject({ first: 0, filters: 2 });
    expect(selectorAt(image, 1)).toMatchObject({ first: 2, filters: 1 });
    expect(filterAt(image, 2)).toMatchObject({ operand: E.OPERAND_ARG, first: 2, count: 1 });
  });

  const one = onArg([["1", "1"]]);
  const namespace: FilterDef = { match: "namespace", negate: true, namespace: "Pid", values: ["host_ns"] };
  const gates: Record<string, { selectors: SelectorDef[]; rest?: number }> = {
    "the first number of the only selector": { selectors: [makeSelector(one, one)], rest: 1 },
    "a namespace": { selectors: [makeSelector(namespace)], rest: 0 },
    "not the first of several selectors": { selectors: [makeSelector(one), makeSelector(one)] },
    "not a set of two ranges": {
      selectors: [
        makeSelector(
          onArg([
            ["1", "1"],
            ["3", "3"],
          ]),
        ),
      ],
    },
    "not a mask": {
      selectors: [makeSelector({ match: "arg", arg: 0, negate: false, compare: "mask", masks: ["1"] }, one)],
    },
    "not a filter that is compared at return": {
      selectors: [
        {
          ...makeSelector(),
          returnFilters: [{ match: "return", negate: false, compare: "range", ranges: [["1", "1"]] }],
        },
      ],
    },
    "not of a selector without filters": { selectors: [makeSelector()] },
  };

  test.each(Object.entries(gates))("compared before the selectors: %s", (_name, { selectors, rest }) => {
    const image = encode({ args: makeArgs("int"), returnArg: { type: "int" }, selectors });
    const filters = rest ?? selectors[0]?.filters.length;
    expect(selectorAt(image, 0)).toMatchObject({ first: rest === undefined ? 0 : 1, filters });
    expect(head(image).flags & E.HOOK_GATE).toBe(rest === undefined ? 0 : E.HOOK_GATE);
  });

  test("with many values go to a map, sorted", () => {
    const ranges = Array.from({ length: 40 }, (_, i): [string, string] => [
      `${200 - 2 * i}`,
      `${200 - 2 * i}`,
    ]);
    const image = encode({ args: makeArgs("uint32"), selectors: [makeSelector(onArg(ranges))] });
    expect(filterAt(image, 0)).toMatchObject({ compare: E.COMPARE_MANY_RANGES, first: 0, count: 40 });
    const lows = image.ranges.map((bytes) => new DataView(bytes.buffer).getBigUint64(0, true));
    expect(lows).toEqual(lows.toSorted((a, b) => Number(a - b)));
  });

  test("on whole binaries share one map, a bit per filter", () => {
    const equal = (values: string[]): FilterDef => ({
      match: "binary",
      negate: false,
      compare: "equal",
      values,
    });
    const image = encode({ selectors: [makeSelector(equal(["/a", "/b"])), makeSelector(equal(["/b"]))] });
    expect([...image.paths]).toEqual([
      ["/a", 1n],
      ["/b", 3n],
    ]);
    expect(filterAt(image, 1)).toMatchObject({ compare: E.COMPARE_PATHS, first: 1 });
  });

  test("keep room for a mask each, whatever sets there are", () => {
    const set = onArg(Array.from({ length: 16 }, (_, i): [string, string] => [`${4 * i}`, `${4 * i}`]));
    const mask: FilterDef = { match: "arg", arg: 0, negate: false, compare: "mask", masks: ["4"] };
    const image = encode({
      args: makeArgs("int"),
      selectors: [makeSelector(...Array(8).fill(set), ...Array(88).fill(mask))],
    });
    expect(filterAt(image, 3).compare).toBe(E.COMPARE_RANGES);
    expect(filterAt(image, 4).compare).toBe(E.COMPARE_MANY_RANGES);
    expect(rangeAt(image, filterAt(image, 95).first)).toEqual([4n, 0n]);
  });
});

test("filters on the return value stand behind the others of their selector", () => {
  const returned = { match: "return", negate: false, compare: "range", ranges: [["-13", "-1"]] } as const;
  const image = encode({
    args: makeArgs("int"),
    returnArg: { type: "int" },
    selectors: [
      {
        filters: [onArg([["1", "1"]])],
        returnFilters: [{ ...returned, ranges: [["-13", "-1"]] }],
        actions: [],
      },
      makeSelector(onArg([["2", "2"]])),
    ],
  });
  const base = HOOK_CONFIG.members.selector + SELECTOR_CONFIG.members.first_return_filter;
  expect([viewOf(image).getUint16(base, true), viewOf(image).getUint16(base + 2, true)]).toEqual([1, 1]);
  expect(filterAt(image, 1)).toMatchObject({ operand: E.OPERAND_ARG, index: 5 });
  expect(selectorAt(image, 1)).toMatchObject({ first: 2, filters: 1 });
});

test("a filter on changes makes its selector remember what it has found", () => {
  const change: FilterDef = { match: "namespaceChange", negate: false, namespaces: ["User"] };
  const image = encode({ selectors: [makeSelector(change), makeSelector()] });
  expect([selectorAt(image, 0).flags, selectorAt(image, 1).flags]).toEqual([E.SELECTOR_REMEMBERS, 0]);
  expect([image.remembers, encode({ selectors: [makeSelector()] }).remembers]).toEqual([true, false]);
});

describe("NoPost", () => {
  test("is a flag of its selector", () => {
    const image = encode({ selectors: [{ filters: [], actions: [{ action: "NoPost" }] }] });
    expect(selectorAt(image, 0).flags).toBe(E.SELECTOR_NO_POST);
  });
});

describe("a definition beyond the limits is refused", () => {
  const long = "x".repeat(256);
  const cases: Record<string, { def: Partial<HookDef>; message: RegExp }> = {
    "six arguments": {
      def: { args: Array(6).fill({ index: 0, type: "int" }) },
      message: /6 args, at most 5/,
    },
    "six selectors": { def: { selectors: Array(6).fill(makeSelector()) }, message: /6 selectors, at most 5/ },
    "97 filters": {
      def: { args: makeArgs("int"), selectors: [makeSelector(...Array(97).fill(onArg([["1", "1"]])))] },
      message: /97 filters in all selectors, at most 96/,
    },
    "a path that is too long": {
      def: {
        selectors: [makeSelector({ match: "binary", negate: false, compare: "equal", values: [long] })],
      },
      message: /256 bytes, at most 255/,
    },
    "an end that is too long": {
      def: {
        selectors: [
          makeSelector({ match: "binary", negate: false, compare: "postfix", values: [long.slice(128)] }),
        ],
      },
      message: /128 bytes, at most 127/,
    },
    "257 beginnings": {
      def: {
        selectors: [
          makeSelector({
            match: "binary",
            negate: false,
            compare: "prefix",
            values: Array(257).fill("/opt"),
          }),
        ],
      },
      message: /257 beginnings and ends of binaries and strings, at most 256/,
    },
    "more ranges than can be searched": {
      def: {
        args: makeArgs("uint64"),
        selectors: [
          makeSelector(
            onArg(Array.from({ length: 65_537 }, (_, i): [string, string] => [`${2 * i}`, `${2 * i}`])),
          ),
        ],
      },
      message: /65537 ranges of values, at most 65536/,
    },
    "changes of credentials where there are none": {
      def: {
        call: "fd_install",
        selectors: [makeSelector({ match: "credChange", fields: ["uid"], change: "Raised" })],
      },
      message: /fd_install receives no new credentials/,
    },
    "capabilities gained by a number": {
      def: {
        args: makeArgs("cap_effective", "cred"),
        selectors: [makeSelector({ match: "arg", arg: 0, newArg: 1, compare: "gained" })],
      },
      message: /type cred has no number/,
    },
    "a comparison of credentials": {
      def: { args: makeArgs("cred"), selectors: [makeSelector(onArg([["1", "1"]]))] },
      message: /type cred has no number/,
    },
  };

  test.each(Object.entries(cases))("%s", (_name, { def, message }) => {
    expect(() => encode(def)).toThrow(HookError);
    expect(() => encode(def)).toThrow(message);
  });
});
