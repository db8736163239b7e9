import { describe, expect, test } from "vitest";
import { ARGUMENT_TYPES } from "../crds/argument-types.ts";
import { errorsOf, hooksOf, type Loose, makePolicy, warningsOf } from "./testing/policies.ts";

const tracepoint = (more: Loose = {}) =>
  makePolicy({ tracepoints: [{ subsystem: "syscalls", event: "sys_enter_setuid", ...more }] });
const rawTracepoint = (more: Loose = {}) =>
  tracepoint({ subsystem: "raw_syscalls", event: "sys_enter", raw: true, ...more });
const lsm = (more: Loose = {}) => makePolicy({ lsmhooks: [{ hook: "task_fix_setuid", ...more }] });
const returnFilter = [{ matchReturnArgs: [{ index: 0, operator: "Equal", values: ["0"] }] }];

describe("an index that is no field of a tracepoint's args", () => {
  const args = [
    { index: 4, type: "uint64" },
    { index: 5, type: "int" },
  ];
  const policy = (index: number) =>
    makePolicy({
      tracepoints: [
        {
          subsystem: "raw_syscalls",
          event: "sys_exit",
          args,
          selectors: [{ matchArgs: [{ index, operator: "Equal", values: ["1"] }] }],
        },
      ],
    });

  test.each([
    [4, 0],
    [5, 1],
    [0, 0],
    [1, 1],
  ])("%i means args[%i]", (index, arg) => {
    expect(hooksOf(policy(index))[0]?.selectors[0]?.filters).toMatchObject([{ match: "arg", arg }]);
  });

  test("is a position, with a warning that shows how to write it", () => {
    expect(warningsOf(policy(1))).toContain(
      "spec.tracepoints[0].selectors[0].matchArgs[0].index: 1 is no field that the hook reads: args[1], field 5, is meant; write args: [1]",
    );
  });

  test("is refused beyond the last entry", () => {
    expect(errorsOf(policy(2))).toEqual([
      "spec.tracepoints[0].selectors[0].matchArgs[0].index: there is no argument with index 2: the hook reads 4, 5",
    ]);
  });
});

describe("tracepoints", () => {
  test("are hooks on SUBSYSTEM/EVENT", () => {
    const policy = tracepoint({
      args: [{ index: 5, type: "uint32", label: "uid" }],
      message: "who",
      tags: ["aa"],
      selectors: [{ matchArgs: [{ index: 5, operator: "Equal", values: ["0"] }] }],
    });
    expect(hooksOf(policy)).toEqual([
      {
        path: "spec.tracepoints[0]",
        section: "tracepoints",
        call: "syscalls/sys_enter_setuid",
        tracepoint: { subsystem: "syscalls", event: "sys_enter_setuid", raw: false },
        syscall: false,
        ignoreCallNotFound: false,
        args: [{ index: 5, type: "uint32", label: "uid" }],
        selectors: [
          {
            filters: [{ match: "arg", arg: 0, negate: false, compare: "range", ranges: [["0", "0"]] }],
            actions: [],
          },
        ],
        message: "who",
        tags: ["aa"],
      },
    ]);
  });

  test.each(["auto", "syscall64", "nop", "string", "fd"])("read the type %s", (type) => {
    const args = [{ index: 4, type }];
    const ofEvent = tracepoint({ subsystem: "some", event: "event", args });
    for (const policy of [ofEvent, rawTracepoint({ event: "an_event", args })])
      expect(hooksOf(policy)[0]?.args).toEqual(args);
  });

  test("raw ones follow members", () => {
    const arg = { index: 0, type: "uint32", resolve: "cred.euid.val" };
    expect(hooksOf(rawTracepoint({ args: [arg] }))[0]).toMatchObject({
      args: [arg],
      tracepoint: { raw: true },
    });
  });

  const refused: Record<string, [more: Loose, error: string]> = {
    "no subsystem": [
      { subsystem: "" },
      "subsystem: is empty: name a subsystem below /sys/kernel/tracing/events",
    ],
    "no event": [{ event: "" }, "event: is empty: name an event below /sys/kernel/tracing/events"],
    "a path": [{ event: "a/b" }, `event: "a/b" is not the name of an event: letters, digits, "_" and "-"`],
    "a long name": [{ event: "x".repeat(255) }, `event: is too long: "syscalls/${"x".repeat(66)}..."`],
    "a field beyond any format": [
      { args: [{ index: 64, type: "int" }] },
      "args[0].index: is 64, out of bounds: 0 to 63",
    ],
    "a raw one that is none": [
      { raw: true },
      'raw: "syscalls/sys_enter_setuid" exists as a trace event only: leave raw out, or hook raw_syscalls/sys_enter and raw_syscalls/sys_exit',
    ],
    "a parameter beyond the registers": [
      { subsystem: "raw_syscalls", raw: true, args: [{ index: 5, type: "int" }] },
      "args[0].index: is 5, out of bounds: 0 to 4",
    ],
    "members of a field": [
      { args: [{ index: 5, type: "int", resolve: "a" }] },
      "args[0].resolve: fits tracepoints with raw: true only: fields of a trace event have no members",
    ],
    "a copy at return": [
      { args: [{ index: 5, type: "int", returnCopy: true }] },
      "args[0].returnCopy: does not fit a tracepoint, which has no return",
    ],
    "a filter on the return value": [
      { selectors: returnFilter },
      "selectors[0].matchReturnArgs: does not fit a tracepoint, which has no return",
    ],
    "a comparison of a value without a type": [
      {
        args: [{ index: 5, type: "auto" }],
        selectors: [{ matchArgs: [{ index: 5, operator: "Equal", values: ["0"] }] }],
      },
      "selectors[0].matchArgs[0].operator: Equal does not fit the type auto: auto has no order or value before it is resolved; give the argument its type",
    ],
    Override: [
      { selectors: [{ matchActions: [{ action: "Override", argError: -1 }] }] },
      "selectors[0].matchActions[0].action: Override does not fit tracepoints, which only report",
    ],
    "half of the address that a system call gets": [
      { event: "sys_enter_execve", args: [{ index: 5, type: "int" }] },
      "args[0].type: int does not fit parameter 0 of execve(const char *path, const char *const *argv, const char *const *envp): it is an address: write string or uint64",
    ],
    "a structure of a system call": [
      { args: [{ index: 5, type: "cred" }] },
      "args[0].type: cred is a structure of the kernel: no system call takes one",
    ],
    "changes of credentials": [
      { selectors: [{ matchCredChanges: [{ fields: ["any"], change: "Raised" }] }] },
      "selectors[0].matchCredChanges[0]: does not fit syscalls/sys_enter_setuid, which receives no new credentials: functions that do are found among kprobes, fentries and lsmhooks",
    ],
  };
  const unreadable = "a field that all events have and programs cannot read";
  const outside: Record<string, [more: Loose, error: string]> = {
    "a field that all events have": [
      { args: [{ index: 0, type: "int" }] },
      `is 0, ${unreadable}: the first parameter is 5`,
    ],
    "such a field at a return": [
      { event: "sys_exit_setuid", args: [{ index: 3, type: "int" }] },
      `is 3, ${unreadable}: ret is 5`,
    ],
    "such a field of another event": [
      { subsystem: "sched", event: "sched_process_exec", args: [{ index: 0, type: "string" }] },
      `is 0, ${unreadable}: its own begin at 4`,
    ],
    "a field beyond the parameters": [
      { args: [{ index: 6, type: "int" }] },
      "is 6, beyond the fields of sys_enter_setuid: the last index is 5",
    ],
    "a field beyond six parameters": [
      { event: "sys_enter_futex", args: [{ index: 11, type: "int" }] },
      "is 11, beyond the fields of sys_enter_futex: the last index is 10",
    ],
    "a field beyond what is returned": [
      { event: "sys_exit_setuid", args: [{ index: 6, type: "int" }] },
      "is 6, beyond the fields of sys_exit_setuid: the last index is 5",
    ],
  };
  test.each(Object.entries(outside))("refuse %s", (_name, [more, error]) => {
    expect(errorsOf(tracepoint(more))).toEqual([`spec.tracepoints[0].args[0].index: ${error}`]);
  });

  test.each(Object.entries(refused))("refuse %s", (_name, [more, error]) => {
    expect(errorsOf(tracepoint(more))).toEqual([`spec.tracepoints[0].${error}`]);
  });
});

test.each([
  [
    { event: "sys_enter_setiud" },
    `event: is about "setiud", which is no system call that Trigon knows: did you mean "setuid"?`,
  ],
  [
    { event: "sys_exit_setuid", subsystem: "syscall" },
    `subsystem: "syscall" has no event sys_exit_setuid: it is in syscalls`,
  ],
  [{ event: "sys_setuid" }, "event: is no event: write sys_enter_setuid or sys_exit_setuid"],
  [
    { event: "sys_enter_uname" },
    "event: is not what 64-bit programs reach by this call: write sys_enter_newuname",
  ],
  [
    { event: "sys_exit_umount2" },
    "event: is not what 64-bit programs reach by this call: write sys_exit_umount",
  ],
])("tracepoints warn of a slip in the name of a system call's: %o", (more, warning) => {
  expect(warningsOf(tracepoint(more))).toEqual([`spec.tracepoints[0].${warning}`]);
});

test.each([
  {
    event: "sys_enter_execve",
    args: [
      { index: 5, type: "string" },
      { index: 6, type: "uint64" },
    ],
  },
  { event: "sys_exit_execve", args: [{ index: 5, type: "int" }] },
  { event: "sys_enter_newfstatat" },
  { event: "sys_enter", subsystem: "raw_syscalls", args: [{ index: 4, type: "int64" }] },
])("tracepoints take %o", (more) => {
  expect(errorsOf(tracepoint(more))).toEqual([]);
  expect(warningsOf(tracepoint(more)).filter((warning) => !warning.includes("costs time"))).toEqual([]);
});

describe("LSM hooks", () => {
  test("are hooks by their own name", () => {
    const policy = lsm({ args: [{ index: 0, type: "cred" }], message: "who", tags: ["aa"] });
    expect(hooksOf(policy)).toEqual([
      {
        path: "spec.lsmhooks[0]",
        section: "lsmhooks",
        call: "task_fix_setuid",
        syscall: false,
        ignoreCallNotFound: false,
        args: [{ index: 0, type: "cred" }],
        selectors: [],
        message: "who",
        tags: ["aa"],
      },
    ]);
  });

  test("warn of a name that is nearly a known one, and of no other", () => {
    expect(warningsOf(lsm({ hook: "task_fix_setuids" }))).toEqual([
      `spec.lsmhooks[0].hook: "task_fix_setuids" is in none of the kernels 5.10, 6.1, 6.12 and 7.2: did you mean "task_fix_setuid"?`,
    ]);
    for (const hook of ["capget", "inode_setattr", "task_alloc", "file_open"])
      expect(warningsOf(lsm({ hook }))).toEqual([]);
  });

  const refused: Record<string, [more: Loose, error: string]> = {
    "no name": [{ hook: "" }, "hook: is empty: name a hook, such as bprm_check_security"],
    "a name that is none": [
      { hook: "task-fix" },
      `hook: "task-fix" is not the name of a hook: lower-case letters, digits and "_"`,
    ],
    "the name of the function": [
      { hook: "security_capset" },
      `hook: "security_capset" is the name of a function: write the hook's name, capset`,
    ],
    "the name of the program's function": [
      { hook: "bpf_lsm_capset" },
      `hook: "bpf_lsm_capset" is the name of a function: write the hook's name, capset`,
    ],
    "a function with another name than its hook": [
      { hook: "security_bprm_check" },
      `hook: "security_bprm_check" is the name of a function: write the hook's name, bprm_check_security`,
    ],
    "that name without its prefix": [
      { hook: "create_user_ns" },
      `hook: "create_user_ns" is the name of a function: write the hook's name, userns_create`,
    ],
    "a long name": [{ hook: "x".repeat(256) }, "hook: is longer than 255 characters"],
    "the type auto": [
      { args: [{ index: 0, type: "auto" }] },
      "args[0].type: auto does not fit an LSM hook: name the type, for example int",
    ],
    "an index beyond a known prototype": [
      { args: [{ index: 3, type: "int" }] },
      "args[0].index: is 3, beyond the parameters of int task_fix_setuid(struct cred *new, const struct cred *old, int flags): the last index is 2",
    ],
    "a copy at return": [
      { args: [{ index: 0, type: "cred", returnCopy: true }] },
      "args[0].returnCopy: does not fit an LSM hook, which has no return",
    ],
    "a filter on the return value": [
      { selectors: returnFilter },
      "selectors[0].matchReturnArgs: does not fit an LSM hook, which has no return",
    ],
    "Override where nothing is returned": [
      { hook: "bprm_committed_creds", selectors: [{ matchActions: [{ action: "Override", argError: -1 }] }] },
      "selectors[0].matchActions[0].action: Override does not fit bprm_committed_creds, which returns nothing",
    ],
  };
  test.each(Object.entries(refused))("refuse %s", (_name, [more, error]) => {
    expect(errorsOf(lsm(more))).toEqual([`spec.lsmhooks[0].${error}`]);
  });
});

test.each(ARGUMENT_TYPES)("the argument type %s is read or refused in every section", (type) => {
  const args = [{ index: 0, type, ...(type === "char_buf" ? { sizeArgIndex: 2 } : {}) }];
  const supported = /^(the argument type \w+ is not supported: |auto does not fit|syscall64 fits)/;
  const event = tracepoint({
    subsystem: "some",
    event: "event",
    args: args.map((arg) => ({ ...arg, index: 4 })),
  });
  for (const policy of [
    rawTracepoint({ event: "an_event", args }),
    event,
    lsm({ hook: "some_hook", args }),
  ]) {
    for (const error of errorsOf(policy))
      expect(error.replace(/^\S+\.args\[0\]\.type: /, "")).toMatch(supported);
  }
});
