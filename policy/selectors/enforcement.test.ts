import { describe, expect, test } from "vitest";
import { errorsOf, hooksOf, type Loose, makePolicy, makeProbe, warningsOf } from "../testing/policies.ts";

const EPERM = { action: "Override", argError: -1 };
const policyOf = (action: Loose, probe: Loose = {}, section = "kprobes") =>
  makePolicy({ [section]: [makeProbe({ selectors: [{ matchActions: [action] }], ...probe })] });
const actionsOf = (policy: Loose) => hooksOf(policy)[0]?.selectors[0]?.actions;

test.each([
  ["Sigkill", { action: "Sigkill" }, { action: "Sigkill" }],
  ["Signal", { action: "Signal", argSig: 15 }, { action: "Signal", signal: 15 }],
  ["the last signal", { action: "Signal", argSig: 64 }, { action: "Signal", signal: 64 }],
  ["Override", EPERM, { action: "Override", error: -1 }],
  ["the largest error", { ...EPERM, argError: -4095 }, { action: "Override", error: -4095 }],
  [
    "the kernel's stack",
    { action: "Post", kernelStackTrace: true },
    { action: "Post", kernelStackTrace: true },
  ],
  [
    "both stacks",
    { action: "Post", kernelStackTrace: true, userStackTrace: true },
    { action: "Post", kernelStackTrace: true, userStackTrace: true },
  ],
])("takes %s", (_name, action, want) => {
  expect(actionsOf(policyOf(action))).toEqual([want]);
});

describe("Override", () => {
  const kernelFunction = (call: string) => ({ call, syscall: false, args: [] });
  const lsmPolicy = (hook: string, action: Loose) =>
    makePolicy({ lsmhooks: [{ hook, selectors: [{ matchActions: [action] }] }] });

  test.each([
    ["a system call", { call: "sys_keyctl" }, "kprobes"],
    ["a security_ function", kernelFunction("security_capset"), "kprobes"],
  ])("fits %s", (_name, probe, section) => {
    expect(actionsOf(policyOf(EPERM, probe, section))).toEqual([{ action: "Override", error: -1 }]);
  });

  test("fits an LSM hook", () => {
    const hook = { hook: "userns_create", selectors: [{ matchActions: [EPERM, { action: "Post" }] }] };
    expect(actionsOf(makePolicy({ lsmhooks: [hook] }))).toEqual([
      { action: "Override", error: -1 },
      { action: "Post" },
    ]);
  });

  const positive = (argError: number) => ({ action: "Override", argError });
  const crash = (name: string) =>
    `callers of ${name} expect 0 or a negative error, and the kernel may crash: write one, for example -1 (EPERM)`;
  const refused = (name: string) =>
    `kernels from 6.12 on refuse it of the LSM hook ${name}: write security_${name} under kprobes`;
  test.each([
    ["1", "a security_ function", policyOf(positive(1), kernelFunction("security_task_prctl")), 1, []],
    [
      "4095",
      "a security_ function",
      policyOf(positive(4095), kernelFunction("security_task_prctl")),
      4095,
      [],
    ],
    [
      "1",
      "one whose callers know errors only",
      policyOf(positive(1), kernelFunction("security_file_alloc")),
      1,
      [`spec.kprobes[0].selectors[0].matchActions[0].argError: is 1: ${crash("security_file_alloc")}`],
    ],
    ["1", "an LSM hook that answers by a boolean", lsmPolicy("audit_rule_known", positive(1)), 1, []],
    [
      "2",
      "an LSM hook",
      lsmPolicy("task_prctl", positive(2)),
      2,
      [`spec.lsmhooks[0].selectors[0].matchActions[0].argError: is 2: ${refused("task_prctl")}`],
    ],
    [
      "1",
      "an LSM hook whose callers know errors only",
      lsmPolicy("file_open", positive(1)),
      1,
      [`spec.lsmhooks[0].selectors[0].matchActions[0].argError: is 1: ${crash("file_open")}`],
    ],
  ])("may return %s from %s", (_value, _name, policy, error, warnings) => {
    expect(actionsOf(policy)).toEqual([{ action: "Override", error }]);
    expect(warningsOf(policy)).toEqual(warnings);
  });

  const range = "must be the negative number of an error, -4095 to -1, for example -1 (EPERM)";
  test.each([
    ["no number", { action: "Override" }, "is missing"],
    ["0", positive(0), "is 0"],
    ["4096", positive(4096), "is 4096"],
    ["-4096", positive(-4096), "is -4096"],
  ])("of a function may not return %s", (_name, action, found) => {
    const message = `argError: ${found}: ${range}, or a positive result, 1 to 4095`;
    expect(errorsOf(policyOf(action, kernelFunction("security_task_prctl")))).toEqual([
      `spec.kprobes[0].selectors[0].matchActions[0].${message}`,
    ]);
    expect(errorsOf(lsmPolicy("task_prctl", action))).toEqual([
      `spec.lsmhooks[0].selectors[0].matchActions[0].${message}`,
    ]);
  });

  const only = "Override fits system calls, security_ functions and LSM hooks only, not";
  test.each([
    [
      "another function",
      { call: "commit_creds", syscall: false, args: [] },
      "kprobes",
      `${only} commit_creds`,
    ],
    [
      "the inner function of a system call",
      { call: "__sys_setuid", syscall: false },
      "kprobes",
      `${only} __sys_setuid`,
    ],
    [
      "a function that returns nothing",
      { call: "security_bprm_committing_creds", syscall: false, args: [] },
      "kprobes",
      "Override does not fit security_bprm_committing_creds, which returns nothing",
    ],
    ["fentries", {}, "fentries", "Override does not fit fentries: write the hook under kprobes"],
  ])("does not fit %s", (_name, probe, section, error) => {
    expect(errorsOf(policyOf(EPERM, probe, section))).toEqual([
      `spec.${section}[0].selectors[0].matchActions[0].action: ${error}`,
    ]);
  });
});

test.each(["sys_setns", "security_inode_copy_up_xattr"])(
  "Override and return: true go together on %s",
  (call) => {
    const probe = {
      call,
      syscall: call.startsWith("sys_"),
      args: [],
      return: true,
      returnArg: { index: 0, type: "int" },
    };
    const [hook] = hooksOf(policyOf(EPERM, probe));
    expect(hook).toMatchObject({
      returnArg: { type: "int" },
      selectors: [{ actions: [{ action: "Override" }] }],
    });
  },
);

test("fentries may kill and signal", () => {
  expect(actionsOf(policyOf({ action: "Sigkill" }, {}, "fentries"))).toEqual([{ action: "Sigkill" }]);
  expect(actionsOf(policyOf({ action: "Signal", argSig: 1 }, {}, "fentries"))).toHaveLength(1);
});

const ERROR = "must be the negative number of an error, -4095 to -1, for example -1 (EPERM)";
test.each([
  ["Override without a number", { action: "Override" }, `argError: is missing: ${ERROR}`],
  ["a positive result of a system call", { action: "Override", argError: 1 }, `argError: is 1: ${ERROR}`],
  ["no error", { action: "Override", argError: 0 }, `argError: is 0: ${ERROR}`],
  ["an error below all", { action: "Override", argError: -4096 }, `argError: is -4096: ${ERROR}`],
  [
    "Signal without a number",
    { action: "Signal" },
    "argSig: is missing: must be the number of a signal, 1 to 64",
  ],
  ["signal 0", { action: "Signal", argSig: 0 }, "argSig: is 0: must be the number of a signal, 1 to 64"],
  ["signal 65", { action: "Signal", argSig: 65 }, "argSig: is 65: must be the number of a signal, 1 to 64"],
  [
    "a limit of Sigkill",
    { action: "Sigkill", rateLimit: "1m" },
    "rateLimit: fits the action Post only, not Sigkill",
  ],
  [
    "a stack of Override",
    { ...EPERM, userStackTrace: true },
    "userStackTrace: fits the action Post only, not Override",
  ],
  [
    "a hash elsewhere",
    { action: "Post", imaHash: true },
    "imaHash: fits lsmhooks only: elsewhere the hash cannot be asked for",
  ],
])("refuses %s", (_name, action, error) => {
  expect(errorsOf(policyOf(action))).toEqual([`spec.kprobes[0].selectors[0].matchActions[0].${error}`]);
});

test.each([
  ["an error of Sigkill", { action: "Sigkill", argError: -1 }, "argError: has no effect on Sigkill"],
  ["a signal of Override", { ...EPERM, argSig: 9 }, "argSig: has no effect on Override"],
  ["a socket of Signal", { action: "Signal", argSig: 9, argSock: 1 }, "argSock: has no effect on Signal"],
  ["a symbol of Override", { ...EPERM, argNewSymbol: "x" }, "argNewSymbol: has no effect on Override"],
])("warns of %s", (_name, action, warning) => {
  expect(warningsOf(policyOf(action))).toContain(`spec.kprobes[0].selectors[0].matchActions[0].${warning}`);
});

test("several actions stand together, in order", () => {
  const actions = [EPERM, { action: "Sigkill" }, { action: "NoPost" }];
  const policy = makePolicy({ kprobes: [makeProbe({ selectors: [{ matchActions: actions }] })] });
  expect(actionsOf(policy)).toEqual([
    { action: "Override", error: -1 },
    { action: "Sigkill" },
    { action: "NoPost" },
  ]);
});
