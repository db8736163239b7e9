import { describe, expect, test } from "vitest";
import type { ArgDef } from "../crds/hook-spec.ts";
import { resolveError } from "./probes/members.ts";
import { errorsOf, hooksOf, type Loose, makeProbePolicy, warningsOf } from "./testing/policies.ts";

const PROBE = "spec.kprobes[0]";
const FUNCTION = { call: "some_function", syscall: false };
const withArg = (arg: Loose, probe: Loose = {}) =>
  makeProbePolicy({ ...FUNCTION, args: [{ index: 0, type: "uint32", ...arg }], ...probe });
const withData = (...data: Loose[]) =>
  makeProbePolicy({
    data: data.map((entry) => ({
      index: 0,
      type: "uint32",
      source: "current_task",
      resolve: "cred.uid.val",
      ...entry,
    })),
  });
const argOf = (policy: Loose, position = 0): ArgDef | undefined => hooksOf(policy)[0]?.args[position];

describe("resolve", () => {
  test.each([
    "pid",
    "cred.euid.val",
    "user_ns.uid_map.extent[3].count",
    "[2]",
    "[0].next",
    "a[1][2].b",
    Array(10).fill("parent").join("."),
  ])("takes %s", (resolve) => {
    expect(resolveError(resolve)).toBeUndefined();
    expect(argOf(withArg({ resolve }))).toEqual({ index: 0, type: "uint32", resolve });
  });

  const syntax = "write names with dots between them and [n] for an entry of an array, such as cred.uid.val";
  test.each([
    ["euid->val", `"euid->val" is not a member: write euid.val`],
    ["euid->", `"euid->" is not a member: ${syntax}`],
    ["euid.", `has an empty member: ${syntax}`],
    [".euid", `has an empty member: ${syntax}`],
    ["a.[1]", `"[1]" is not a member: ${syntax}`],
    ["a[x]", `"a[x]" is not a member: ${syntax}`],
    ["a[-1]", `"a[-1]" is not a member: ${syntax}`],
    ["a[1", `"a[1" is not a member: ${syntax}`],
    ["1a", `"1a" is not a member: ${syntax}`],
    ["a b", `"a b" is not a member: ${syntax}`],
    [Array(11).fill("parent").join("."), "has 11 levels: at most 10 are followed"],
    ["x".repeat(256), "is longer than 255 characters"],
  ])("refuses %s", (resolve, error) => {
    expect(errorsOf(withArg({ resolve }))).toEqual([`${PROBE}.args[0].resolve: ${error}`]);
  });

  const refused: Record<string, [policy: Loose, error: string]> = {
    "the argument of a system call": [
      makeProbePolicy({ args: [{ index: 0, type: "int", resolve: "a" }] }),
      "args[0].resolve: does not fit the arguments of a system call: what they point to is not in the kernel",
    ],
    nop: [
      withArg({ type: "nop", resolve: "a" }),
      "args[0].resolve: has no effect with nop, which reads nothing: give the value its type",
    ],
    "a type of a source": [
      withData({ btfType: "cred" }),
      "data[0].btfType: fits arguments only: a source has a type of its own",
    ],
    "a type with its keyword": [
      withArg({ resolve: "a", btfType: "struct cred" }),
      `args[0].btfType: "struct cred" is not a type: write cred`,
    ],
    "a type that is none": [
      withArg({ resolve: "a", btfType: "cred *" }),
      `args[0].btfType: "cred *" is not a type: write the name of a structure, such as cred`,
    ],
    "a long type": [
      withArg({ resolve: "a", btfType: "x".repeat(256) }),
      "args[0].btfType: is longer than 255 characters",
    ],
    "a module without a type": [
      withArg({ resolve: "a", btfTypeModule: "kvm" }),
      "args[0].btfTypeModule: belongs to btfType, which is missing",
    ],
    "a module that is none": [
      withArg({ resolve: "a", btfType: "kvm", btfTypeModule: "kvm.ko" }),
      `args[0].btfTypeModule: "kvm.ko" is not the name of a kernel module`,
    ],
  };
  test.each(Object.entries(refused))("refuses %s", (_name, [policy, error]) => {
    expect(errorsOf(policy)).toEqual([`${PROBE}.${error}`]);
  });

  test("starts at another type where btfType says so", () => {
    const type = { resolve: "a", btfType: "kvm_vcpu", btfTypeModule: "kvm" };
    expect(argOf(withArg(type))).toEqual({ index: 0, type: "uint32", ...type });
  });

  test("btfType without resolve is left out, with a warning", () => {
    const policy = withArg({ btfType: "cred" });
    expect(argOf(policy)).toEqual({ index: 0, type: "uint32" });
    expect(warningsOf(policy)).toEqual([`${PROBE}.args[0].btfType: has no effect without resolve`]);
  });
});

describe("data", () => {
  test("stands behind the arguments, whatever its index", () => {
    const policy = withData({ index: 7, label: "uid" }, { source: "pt_regs", type: "uint64", resolve: "sp" });
    expect(hooksOf(policy)[0]?.args).toEqual([
      { index: 0, type: "int" },
      { index: 0, source: "current_task", type: "uint32", label: "uid", resolve: "cred.uid.val" },
      { index: 0, source: "pt_regs", type: "uint64", resolve: "sp" },
    ]);
  });

  const refused: Record<string, [policy: Loose, error: string]> = {
    "no source": [
      withData({ source: "" }),
      "data[0].source: is missing: an entry of data needs it: must be current_task or pt_regs",
    ],
    "another source": [
      withData({ source: "current" }),
      `data[0].source: "current" is not a source: must be current_task or pt_regs`,
    ],
    "no members": [
      withData({ resolve: "" }),
      "data[0].resolve: is missing: an entry of data needs it, for example cred.uid.val",
    ],
    "the type auto": [
      withData({ type: "auto" }),
      "data[0].type: auto does not fit a kernel function: name the type, for example int",
    ],
    "a copy at return": [
      withData({ returnCopy: true }),
      "data[0].returnCopy: fits arguments only, not entries of data",
    ],
    "a source of an argument": [
      withArg({ source: "current_task", resolve: "a" }),
      "args[0].source: belongs to entries of data: an argument has no source",
    ],
    "more than five with the arguments": [
      withData({}, { label: "b" }, { label: "c" }, { label: "d" }, { label: "e" }),
      "args: has 1 entries and 5 data: at most 5 can be read",
    ],
  };
  test.each(Object.entries(refused))("refuses %s", (_name, [policy, error]) => {
    expect(errorsOf(policy)).toEqual([`${PROBE}.${error}`]);
  });

  test("warns of an entry twice", () => {
    expect(warningsOf(withData({}, {}))).toEqual([`${PROBE}.data[1]: is the same as data[0]`]);
  });
});

describe("buffers", () => {
  test.each([
    ["with the size in a parameter", { sizeArgIndex: 2 }],
    ["longer than usual", { sizeArgIndex: 5, maxData: true }],
    ["with the size that is returned", { returnCopy: true }],
  ])("are read %s", (_name, members) => {
    expect(argOf(withArg({ type: "char_buf", ...members }))).toEqual({
      index: 0,
      type: "char_buf",
      ...members,
    });
  });

  test.each([
    [
      "a buffer without a size",
      { type: "char_buf" },
      "sizeArgIndex: is missing: give the number, from 1, of the parameter with the size, or set returnCopy: true: the size is then what the function returns",
    ],
    [
      "a size beyond the registers",
      { type: "char_buf", sizeArgIndex: 6 },
      "sizeArgIndex: is 6, out of bounds: 1 to 5",
    ],
  ])("refuses %s", (_name, arg, error) => {
    expect(errorsOf(withArg(arg))).toEqual([`${PROBE}.args[0].${error}`]);
  });

  test("an element of the supplementary groups is accepted: nodes know their number", () => {
    const args = [{ index: 0, type: "uint32", resolve: "group_info.gid[0].val" }];
    expect(errorsOf(makeProbePolicy({ call: "commit_creds", syscall: false, args }))).toEqual([]);
  });

  test("a size beyond a known prototype is refused", () => {
    const args = [{ index: 0, type: "char_buf", sizeArgIndex: 3 }];
    expect(errorsOf(makeProbePolicy({ call: "sys_setgroups", args }))).toEqual([
      `${PROBE}.args[0].sizeArgIndex: is 3, from 1, beyond the parameters of setgroups(int size, gid_t *list)`,
    ]);
  });
});
