import { describe, expect, test } from "vitest";
import type { HookDef, Range } from "../../../crds/hook-spec.ts";
import { SYSCALL_NAMES } from "../../../crds/syscall-table.ts";
import { numberSyscalls } from "./syscall-values.ts";

function makeHook(ranges: Range[], syscalls?: string[]): HookDef {
  return {
    path: "spec.tracepoints[0]",
    section: "tracepoints",
    call: "raw_syscalls/sys_enter",
    tracepoint: { subsystem: "raw_syscalls", event: "sys_enter", raw: false },
    syscall: false,
    ignoreCallNotFound: false,
    args: [{ index: 4, type: "syscall64" }],
    selectors: [
      {
        filters: [
          { match: "arg", arg: 0, negate: true, compare: "range", ranges, ...(syscalls ? { syscalls } : {}) },
        ],
        actions: [],
      },
    ],
  };
}

describe("names of system calls become numbers", () => {
  test.each<[architecture: string, syscalls: string[], ranges: Range[]]>([
    [
      "x64",
      ["setuid"],
      [
        ["105", "105"],
        ["1073741929", "1073741929"],
        ["2147483671", "2147483671"],
        ["2147483861", "2147483861"],
      ],
    ],
    ["arm64", ["setuid"], [["146", "146"]]],
    [
      "x64",
      ["capset", "gettid", "epoll_create"],
      [
        ["126", "126"],
        ["186", "186"],
        ["213", "213"],
        ["1073741950", "1073741950"],
        ["1073742010", "1073742010"],
        ["1073742037", "1073742037"],
        ["2147483833", "2147483833"],
        ["2147483872", "2147483872"],
        ["2147483902", "2147483902"],
      ],
    ],
    ["arm64", ["open", "openat"], [["56", "56"]]],
    [
      "x64",
      ["fchmodat2", "fstat", "newfstatat"],
      [
        ["5", "5"],
        ["262", "262"],
        ["452", "452"],
        ["1073741829", "1073741829"],
        ["1073742086", "1073742086"],
        ["1073742276", "1073742276"],
        ["2147483756", "2147483756"],
        ["2147483845", "2147483845"],
        ["2147483948", "2147483948"],
        ["2147484100", "2147484100"],
      ],
    ],
  ])("on %s %j", (architecture, syscalls, ranges) => {
    expect(numberSyscalls(makeHook([["7", "7"]], syscalls), architecture)).toEqual(
      makeHook([["7", "7"], ...ranges]),
    );
  });

  test("a hook without names stays as it is", () => {
    const hook = makeHook([["1", "2"]]);
    expect(numberSyscalls(hook, "s390x")).toBe(hook);
  });

  test.each([
    ["arm64", ["open", "fork"], "none of the system calls open, fork exists on arm64"],
    ["s390x", ["setuid"], "the numbers of system calls are not known on s390x"],
  ])("on %s %j are refused", (architecture, syscalls, message) => {
    expect(() => numberSyscalls(makeHook([], syscalls), architecture)).toThrow(message);
  });

  test("all of them are few ranges", () => {
    const [selector] = numberSyscalls(makeHook([], [...SYSCALL_NAMES]), "x64").selectors;
    const filter = selector?.filters[0];
    expect(filter && "ranges" in filter && filter.ranges.length).toBeLessThan(64);
  });
});
