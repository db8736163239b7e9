import { describe, expect, test } from "vitest";
import type { SelectorDef } from "../../crds/hook-spec.ts";
import { errorsOf, hooksOf, type Loose, makeProbePolicy } from "../testing/policies.ts";

const PROBE = "spec.kprobes[0]";
const SELECTOR = `${PROBE}.selectors[0]`;
const returning = (returnArg: Loose = {}, more: Loose = {}) =>
  makeProbePolicy({ return: true, returnArg: { index: 0, type: "int", ...returnArg }, ...more });
/** A system call returns a number. */
const OF_ANY = { call: "some_function", syscall: false, args: [] };
const selecting = (selector: Loose, returnArg: Loose = {}) =>
  returning(returnArg, { ...OF_ANY, selectors: [selector] });
const filtering = (entry: Loose, returnArg: Loose = {}) =>
  selecting({ matchReturnArgs: [{ index: 0, operator: "Equal", values: ["-1"], ...entry }] }, returnArg);

describe("a return value", () => {
  test("has a type and a label", () => {
    expect(hooksOf(returning({ label: "error" }))[0]?.returnArg).toEqual({ type: "int", label: "error" });
    expect(
      hooksOf(returning({ type: "file" }, { call: "f", syscall: false, args: [] }))[0]?.returnArg,
    ).toEqual({
      type: "file",
    });
  });

  test("is none where return is false", () => {
    expect(hooksOf(makeProbePolicy({ return: false }))[0]).not.toHaveProperty("returnArg");
  });

  test("is nop where only an argument is read at return", () => {
    const args = [{ index: 1, type: "char_buf", returnCopy: true }];
    expect(hooksOf(makeProbePolicy({ call: "sys_readlink", args }))[0]).toMatchObject({
      returnArg: { type: "nop" },
    });
  });

  const refused: Record<string, [policy: Loose, error: string]> = {
    "the type auto": [
      returning({ type: "auto" }),
      "returnArg.type: auto does not fit a return value: name the type, for example int",
    ],
    "a buffer": [
      returning({ type: "char_buf" }),
      "returnArg.type: char_buf does not fit a return value: its size is not known",
    ],
    "the number of a system call": [
      returning({ type: "syscall64" }),
      "returnArg.type: syscall64 fits tracepoints only",
    ],
    "a type outside of the subject": [
      returning({ type: "sock" }),
      "returnArg.type: the argument type sock is not supported: Trigon watches credentials",
    ],
    members: [returning({ resolve: "a" }), "returnArg.resolve: fits arguments only, not the return value"],
    "a long label": [returning({ label: "x".repeat(257) }), "returnArg.label: is longer than 256 characters"],
  };
  test.each(Object.entries(refused))("refuses %s", (_name, [policy, error]) => {
    expect(errorsOf(policy)).toEqual([`${PROBE}.${error}`]);
  });
});

describe("matchReturnArgs", () => {
  const selectorOf = (policy: Loose): SelectorDef | undefined => hooksOf(policy)[0]?.selectors[0];

  test.each([
    [
      "Equal",
      { values: ["-1", "-13"] },
      {
        negate: false,
        compare: "range",
        ranges: [
          ["-13", "-13"],
          ["-1", "-1"],
        ],
      },
    ],
    [
      "NotEqual",
      { operator: "NotEqual", values: ["0"] },
      { negate: true, compare: "range", ranges: [["0", "0"]] },
    ],
    [
      "LT",
      { operator: "LT", values: ["0"] },
      { negate: false, compare: "range", ranges: [["-2147483648", "-1"]] },
    ],
    ["Mask", { operator: "Mask", values: ["1", "4"] }, { negate: false, compare: "mask", masks: ["5"] }],
    [
      "without an index",
      { index: undefined, args: [0] },
      { negate: false, compare: "range", ranges: [["-1", "-1"]] },
    ],
    [
      "NotPrefix of a path",
      { operator: "NotPrefix", values: ["/usr/"] },
      { negate: true, compare: "text", how: "prefix", values: ["/usr/"] },
      "file",
    ],
    [
      "Equal of a string",
      { values: ["a\0", "b"] },
      { negate: false, compare: "text", how: "equal", values: ["a", "b"] },
      "string",
    ],
  ])("%s", (_name, entry, want, type = "int") => {
    expect(selectorOf(filtering(entry, { type }))).toEqual({
      filters: [],
      actions: [],
      returnFilters: [{ match: "return", ...want }],
    });
  });

  const refused: Record<string, [policy: Loose, error: string]> = {
    "another index": [
      filtering({ index: 1 }),
      "matchReturnArgs[0].index: is 1: there is one return value, index 0",
    ],
    "another position": [
      filtering({ args: [1] }),
      "matchReturnArgs[0].args: there is one return value: leave args out",
    ],
    "no values": [
      filtering({ values: [] }),
      "matchReturnArgs[0].values: is empty: Equal needs at least one value",
    ],
    "an operator of texts": [
      filtering({ operator: "Prefix" }),
      "matchReturnArgs[0].operator: Prefix does not fit the type int: use Equal, NotEqual, GT, GreaterThan, LT, LessThan, Mask, InRange, NotInRange, InMap, NotInMap",
    ],
    "a kind of file": [
      filtering({ operator: "FileType", values: ["reg"] }, { type: "file" }),
      "matchReturnArgs[0].operator: FileType does not fit a return value: numbers, strings and paths are compared",
    ],
    "a string that is too long": [
      filtering({ operator: "Postfix", values: ["a".repeat(128)] }, { type: "string" }),
      "matchReturnArgs[0].values[0]: is longer than 127 bytes",
    ],
    "six entries": [
      selecting({ matchReturnArgs: Array(6).fill({ index: 0, operator: "Equal", values: ["1"] }) }),
      "matchReturnArgs: has 6 entries: at most 5 are allowed",
    ],
    "no return": [
      makeProbePolicy({ selectors: [{ matchReturnArgs: [{ operator: "Equal", values: ["0"] }] }] }),
      "matchReturnArgs: needs return: true and a returnArg",
    ],
  };
  test.each(Object.entries(refused))("refuses %s", (_name, [policy, error]) => {
    expect(errorsOf(policy)).toEqual([`${SELECTOR}.${error}`]);
  });
});

describe("matchReturnActions", () => {
  test("stand beside the actions at entry", () => {
    const policy = selecting({
      matchActions: [{ action: "Post" }],
      matchReturnActions: [{ action: "Post", rateLimit: "1m", userStackTrace: true }, { action: "Sigkill" }],
    });
    expect(hooksOf(policy)[0]?.selectors).toEqual([
      {
        filters: [],
        actions: [{ action: "Post" }],
        returnActions: [
          { action: "Post", rateLimit: { intervalMs: 60_000, scope: "thread" }, userStackTrace: true },
          { action: "Sigkill" },
        ],
      },
    ]);
  });

  const refused: Record<string, [policy: Loose, error: string]> = {
    Override: [
      selecting({ matchReturnActions: [{ action: "Override", argError: -1 }] }),
      "matchReturnActions[0].action: Override does not fit matchReturnActions: the function has run already",
    ],
    "four of them": [
      selecting({
        matchReturnActions: ["Post", "Sigkill"]
          .map((action) => ({ action }))
          .concat([{ action: "Set" }, { action: "Set" }]),
      }),
      "matchReturnActions: has 4 entries: at most 3 are allowed",
    ],
    "no return": [
      makeProbePolicy({ selectors: [{ matchReturnActions: [{ action: "Post" }] }] }),
      "matchReturnActions: needs return: true and a returnArg",
    ],
  };
  test.each(Object.entries(refused))("refuses %s", (_name, [policy, error]) => {
    expect(errorsOf(policy)[0]).toBe(`${SELECTOR}.${error}`);
  });
});
