import { describe, expect, test } from "vitest";
import { hooksOf, type Loose, makePolicy, makeProbe } from "../testing/policies.ts";

const CAPABILITIES = { matchCapabilityChanges: [{ operator: "In", values: ["CAP_SYS_ADMIN"] }] };
const NAMESPACES = { matchNamespaceChanges: [{ operator: "In", values: ["Mnt"] }] };
const capabilityChange = { match: "capabilityChange", set: "Effective", mask: "2097152" };
const namespaceChange = { match: "namespaceChange", namespaces: ["Mnt"] };

const hookOf = (call: string, selector: Loose, more: Loose = {}) =>
  hooksOf(
    makePolicy({
      kprobes: [
        makeProbe({ call, syscall: call.startsWith("sys_"), args: [], selectors: [selector], ...more }),
      ],
    }),
  )[0];

describe("a change by the call itself", () => {
  const moved: Record<string, { call: string; selector: Loose; change: object }> = {
    "of capabilities by a system call": {
      call: "sys_setuid",
      selector: CAPABILITIES,
      change: capabilityChange,
    },
    "of capabilities by an exec": { call: "sys_execve", selector: CAPABILITIES, change: capabilityChange },
    "of capabilities by new credentials": {
      call: "commit_creds",
      selector: CAPABILITIES,
      change: capabilityChange,
    },
    "of namespaces by a system call": { call: "sys_unshare", selector: NAMESPACES, change: namespaceChange },
    "of namespaces by a function": {
      call: "switch_task_namespaces",
      selector: NAMESPACES,
      change: namespaceChange,
    },
  };
  test.each(Object.entries(moved))("%s is compared at return", (_name, { call, selector, change }) => {
    expect(hookOf(call, selector)).toMatchObject({
      returnArg: { type: "nop" },
      selectors: [{ filters: [], returnFilters: [change] }],
    });
  });

  const kept: Record<string, { call: string; selector: Loose }> = {
    "at a call that makes none": { call: "sys_openat", selector: CAPABILITIES },
    "at a function that makes none": { call: "fd_install", selector: CAPABILITIES },
    "of namespaces by a call that changes capabilities": { call: "sys_setuid", selector: NAMESPACES },
    "that decides whether the call is made": {
      call: "sys_setuid",
      selector: { ...CAPABILITIES, matchActions: [{ action: "Override", argError: -1 }] },
    },
  };
  test.each(Object.entries(kept))("%s is compared at entry", (_name, { call, selector }) => {
    const hook = hookOf(call, selector);
    expect(hook).not.toHaveProperty("returnArg");
    expect(hook?.selectors[0]?.filters).toHaveLength(1);
  });

  test("decides about signals, which are sent at return", () => {
    const selector = { ...CAPABILITIES, matchActions: [{ action: "Sigkill" }, { action: "NoPost" }] };
    expect(hookOf("sys_setuid", selector)?.selectors[0]).toMatchObject({
      actions: [{ action: "NoPost" }],
      returnActions: [{ action: "Sigkill" }],
    });
  });

  test("comes before the comparison of the returned value, whose type the policy has named", () => {
    const selector = { ...CAPABILITIES, matchReturnArgs: [{ index: 0, operator: "Equal", values: ["0"] }] };
    const hook = hookOf("sys_setuid", selector, { return: true, returnArg: { index: 0, type: "int" } });
    expect(hook?.returnArg).toEqual({ type: "int" });
    expect(hook?.selectors[0]?.returnFilters?.map(({ match }) => match)).toEqual([
      "capabilityChange",
      "return",
    ]);
  });
});
