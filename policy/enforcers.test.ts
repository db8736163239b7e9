import { expect, test } from "vitest";
import { errorsOf, makePolicy, makeProbe } from "./testing/policies.ts";

const notify = (more: object) => [{ matchActions: [{ action: "NotifyEnforcer", ...more }] }];
const KPROBES =
  "spec.enforcers: enforcers is not supported: put Override, Sigkill or Signal into the selector that decides; for this policy: kprobes with";

const rows: Record<string, { calls: string[]; action: object; instead: string }> = {
  "an error of one call": {
    calls: ["sys_setuid"],
    action: { argError: -1 },
    instead:
      "call: sys_setuid, syscall: true, the selectors that decide, and matchActions [{ action: Override, argError: -1 }]",
  },
  "an error and SIGKILL of a list": {
    calls: ["list:ids"],
    action: { argError: -1, argSig: 9 },
    instead:
      "call: list:ids, syscall: true, the selectors that decide, and matchActions [{ action: Override, argError: -1 }, { action: Sigkill }]",
  },
  "a signal of a security function": {
    calls: ["security_task_fix_setuid"],
    action: { argSig: 10 },
    instead:
      "call: security_task_fix_setuid, syscall: false, the selectors that decide, and matchActions [{ action: Signal, argSig: 10 }]",
  },
  "several calls": {
    calls: ["sys_setuid", "sys_setgid"],
    action: { argError: -13 },
    instead:
      "one entry for each call of sys_setuid, sys_setgid, syscall: true, the selectors that decide, and matchActions [{ action: Override, argError: -13 }]",
  },
};
test.each(Object.entries(rows))("the refusal of enforcers names what does the same: %s", (_name, row) => {
  const tracepoint = { subsystem: "raw_syscalls", event: "sys_enter", selectors: notify(row.action) };
  for (const probes of [
    { kprobes: [makeProbe({ selectors: notify(row.action) })] },
    { tracepoints: [tracepoint] },
  ]) {
    const errors = errorsOf(
      makePolicy({
        ...probes,
        lists: [{ name: "ids", type: "syscalls", values: ["sys_setuid"] }],
        enforcers: [{ calls: row.calls }],
      }),
    );
    expect(errors).toContain(`${KPROBES} ${row.instead}`);
  }
});

test("the replacement that is named compiles", () => {
  const selectors = [{ matchActions: [{ action: "Override", argError: -1 }, { action: "Sigkill" }] }];
  expect(
    errorsOf(makePolicy({ kprobes: [makeProbe({ call: "sys_setuid", syscall: true, selectors })] })),
  ).toEqual([]);
});

test("enforcers that nothing notifies are refused without a replacement", () => {
  expect(errorsOf(makePolicy({ kprobes: [makeProbe()], enforcers: [{ calls: ["sys_setuid"] }] }))).toEqual([
    "spec.enforcers: enforcers is not supported: put Override, Sigkill or Signal into the selector that decides",
  ]);
});
