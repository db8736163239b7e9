import { describe, expect, test } from "vitest";
import type { SelectorDef } from "../../crds/hook-spec.ts";
import { errorsOf, hooksOf, type Loose, makePolicy, makeProbe, warningsOf } from "../testing/policies.ts";

const notify = (more: object, parts: object = {}) => ({
  ...parts,
  matchActions: [{ action: "NotifyEnforcer", ...more }],
});
const EPERM = { argError: -1 };
const OVERRIDE = { action: "Override", error: -1 };
const lists = [{ name: "ids", type: "syscalls", values: ["sys_setuid", "sys_setgid"] }];
const inList = (operator = "InMap") => ({
  matchArgs: [{ index: 4, operator, values: ["list:ids"] }],
});
const AS_ROOT = { matchCurrentCred: [{ field: "uid", operator: "Equal", values: ["0"] }] };

/** A policy whose tracepoint decides about every system call. */
function deciding(calls: string[], ...selectors: object[]): Loose {
  const tracepoint = {
    subsystem: "raw_syscalls",
    event: "sys_enter",
    args: [{ index: 4, type: "syscall64" }],
    selectors,
  };
  return makePolicy({ tracepoints: [tracepoint], lists, enforcers: [{ calls }] });
}

function probing(call: string, calls: string[], more: object, probe: object = {}): Loose {
  const syscall = call.startsWith("sys_") || call.startsWith("list:");
  const kprobe = makeProbe({ call, syscall, args: [], selectors: [notify(more)], ...probe });
  return makePolicy({ kprobes: [kprobe], lists, enforcers: [{ calls }] });
}

describe("a hook at the call of an enforcer", () => {
  const rows: Record<string, [policy: Loose, actions: object[]]> = {
    "returns the error": [probing("sys_setuid", ["sys_setuid"], EPERM), [OVERRIDE]],
    "sends the signal": [
      probing("sys_setuid", ["sys_setuid"], { argSig: 10 }),
      [{ action: "Signal", signal: 10 }],
    ],
    "kills and returns the error": [
      probing("sys_setuid", ["sys_setgid", "sys_setuid"], { ...EPERM, argSig: 9 }),
      [OVERRIDE, { action: "Sigkill" }],
    ],
    "refuses a security function": [
      probing("security_task_fix_setuid", ["security_task_fix_setuid"], EPERM),
      [OVERRIDE],
    ],
    "acts on each call of a list": [probing("list:ids", ["list:ids"], EPERM), [OVERRIDE]],
  };
  test.each(Object.entries(rows))("%s", (_name, [policy, actions]) => {
    expect(errorsOf(policy)).toEqual([]);
    for (const hook of hooksOf(policy)) expect(hook.selectors).toEqual([{ filters: [], actions }]);
  });
});

describe("a tracepoint of every system call", () => {
  const uid = { match: "currentCred", field: "uid", negate: false, ranges: [["0", "0"]] };
  const at = (policy: Loose): Record<string, SelectorDef[]> =>
    Object.fromEntries(hooksOf(policy).map(({ call, selectors }) => [call, selectors]));

  test("posts as before, and hooks at the enforcers' calls act on the same processes", () => {
    const hooks = at(deciding(["list:ids"], notify(EPERM, { ...inList(), ...AS_ROOT })));
    const [posting] = hooks["raw_syscalls/sys_enter"] ?? [];
    expect([posting?.filters.length, posting?.actions]).toEqual([2, []]);
    const acting = [{ filters: [uid], actions: [{ action: "NoPost" }, OVERRIDE] }];
    const paths = hooksOf(deciding(["list:ids"], notify(EPERM, inList()))).map(({ path }) => path);
    expect(paths).toEqual([
      "spec.tracepoints[0]",
      "spec.enforcers[0].calls[0]",
      "spec.enforcers[0].calls[0]",
    ]);
    expect(hooks).toMatchObject({ sys_setuid: acting, sys_setgid: acting });
  });

  test("decides by the first selector that matches, at the enforcers' calls, too", () => {
    const exception = { ...AS_ROOT, matchActions: [{ action: "NoPost" }] };
    const hooks = at(deciding(["sys_setuid"], exception, notify(EPERM, inList())));
    expect(hooks.sys_setuid).toEqual([
      { filters: [uid], actions: [{ action: "NoPost" }] },
      { filters: [], actions: [{ action: "NoPost" }, OVERRIDE] },
    ]);
  });

  test("makes no hook at a call that no selector notifies of", () => {
    const only = deciding(["sys_setuid", "sys_umask"], notify(EPERM, inList()));
    expect(Object.keys(at(only))).toEqual(["raw_syscalls/sys_enter", "sys_setuid"]);
    const others = deciding(["sys_setuid", "sys_umask"], notify(EPERM, inList("NotInMap")));
    expect(Object.keys(at(others))).toEqual(["raw_syscalls/sys_enter", "sys_umask"]);
  });

  test("is warned of where it notifies of a call that no enforcer acts on", () => {
    const policy = deciding(["sys_setuid"], notify(EPERM, inList()));
    expect(warningsOf(policy)).toContain(
      "spec.tracepoints[0].selectors[0]: notifies of calls that no enforcer acts on, so that they are made: sys_setgid",
    );
  });

  test("keeps its own actions", () => {
    const hooks = at(
      deciding(["sys_setuid"], {
        matchActions: [
          { action: "Post", rateLimit: "1m" },
          { action: "NotifyEnforcer", ...EPERM },
        ],
      }),
    );
    expect(hooks["raw_syscalls/sys_enter"]?.[0]?.actions).toMatchObject([{ action: "Post" }]);
    expect(hooks.sys_setuid?.[0]?.actions).toEqual([{ action: "NoPost" }, OVERRIDE]);
  });
});

describe("enforcers are refused", () => {
  const SELECTOR = "spec.kprobes[0].selectors[0].matchActions[0]";
  const instead =
    "for this policy: kprobes with call: sys_setuid, syscall: true, the selectors that decide, and matchActions [{ action: Override, argError: -1 }]";
  const rows: Record<string, [policy: Loose, error: string]> = {
    "for a decision at another call, with what does the same": [
      probing("commit_creds", ["sys_setuid"], EPERM),
      `${SELECTOR}.action: NotifyEnforcer does not fit commit_creds: the enforcers act on another call, which may never come; ${instead}`,
    ],
    "for a filter on an argument that only the tracepoint has": [
      deciding(
        ["sys_setuid"],
        notify(EPERM, { matchArgs: [{ index: 4, operator: "Equal", values: ["105"] }] }),
      ),
      `spec.tracepoints[0].selectors[0].matchArgs: cannot decide for an enforcer, except InMap and NotInMap of a list of system calls; ${instead}`,
    ],
    "for what changes with each match": [
      deciding(
        ["sys_setuid"],
        notify(EPERM, { matchNamespaceChanges: [{ operator: "In", values: ["Mnt"] }] }),
      ),
      `spec.tracepoints[0].selectors[0].matchNamespaceChanges: cannot decide for an enforcer, except InMap and NotInMap of a list of system calls; ${instead}`,
    ],
    "that are not there": [
      makePolicy({ kprobes: [makeProbe({ selectors: [notify(EPERM)] })] }),
      `${SELECTOR}.action: NotifyEnforcer needs spec.enforcers with the calls that are to fail, or write Override or Signal`,
    ],
    "that do nothing": [
      probing("sys_setuid", ["sys_setuid"], { argError: 0 }),
      `${SELECTOR}: needs argError, argSig or both: the error that the call returns, a signal to the caller`,
    ],
    "that return no error": [
      probing("sys_setuid", ["sys_setuid"], { argError: 5 }),
      `${SELECTOR}.argError: is 5: must be the negative number of an error, -4095 to -1, for example -1 (EPERM)`,
    ],
    "on other functions": [
      probing("commit_creds", ["commit_creds"], EPERM),
      'spec.enforcers[0].calls[0]: "commit_creds" is not written like a system call (sys_NAME): set syscall: false for a kernel function',
    ],
    "at return": [
      probing("sys_setuid", ["sys_setuid"], EPERM, {
        return: true,
        returnArg: { index: 0, type: "int" },
        selectors: [{ matchReturnActions: [{ action: "NotifyEnforcer", ...EPERM }] }],
      }),
      "spec.kprobes[0].selectors[0].matchReturnActions[0].action: NotifyEnforcer does not fit matchReturnActions: the function has run already",
    ],
  };
  test.each(Object.entries(rows))("%s", (_name, [policy, error]) => {
    expect(errorsOf(policy)).toContain(error);
  });
});

test("enforcers that nothing notifies have no effect, and a warning says so", () => {
  const policy = makePolicy({ kprobes: [makeProbe()], enforcers: [{ calls: ["sys_setuid"] }] });
  expect(errorsOf(policy)).toEqual([]);
  expect(warningsOf(policy)).toContain(
    "spec.enforcers: has no effect: no selector has the action NotifyEnforcer, leave it out",
  );
});
