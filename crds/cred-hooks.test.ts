import { expect, test } from "vitest";
import { type CredHook, credHookNames, credHookOf } from "./cred-hooks.ts";
import type { HookDef } from "./hook-spec.ts";

type Hook = Pick<HookDef, "section" | "call" | "syscall">;

const cases: Record<string, [hook: Hook, want: CredHook | undefined]> = {
  "commit_creds replaces those of the task": [
    { section: "kprobes", call: "commit_creds", syscall: false },
    { new: 0, old: "current" },
  ],
  "a security function has both": [
    { section: "fentries", call: "security_task_fix_setuid", syscall: false },
    { new: 0, old: 1 },
  ],
  "security_capset is called before the new ones are filled in": [
    { section: "fentries", call: "security_capset", syscall: false },
    undefined,
  ],
  "its LSM hook comes after that": [
    { section: "lsmhooks", call: "capset", syscall: false },
    { new: 0, old: 1 },
  ],
  "an exec has them in its program": [
    { section: "lsmhooks", call: "bprm_committing_creds", syscall: false },
    { new: { newOfBprm: 0 }, old: "current" },
  ],
  "a system call of the same name has none": [
    { section: "kprobes", call: "sys_capset", syscall: true },
    undefined,
  ],
  "an LSM hook's name is no function": [{ section: "kprobes", call: "capset", syscall: false }, undefined],
  "a tracepoint has none": [
    { section: "tracepoints", call: "syscalls/sys_enter_capset", syscall: false },
    undefined,
  ],
  "a member of every object is no hook": [
    { section: "kprobes", call: "toString", syscall: false },
    undefined,
  ],
};

test.each(Object.entries(cases))("%s", (_name, [hook, want]) => {
  expect(credHookOf(hook)).toEqual(want);
});

test("every name of a section is a hook of it", () => {
  for (const section of ["kprobes", "fentries", "lsmhooks"] as const) {
    for (const call of credHookNames(section)) {
      expect(credHookOf({ section, call, syscall: false })).toBeDefined();
    }
  }
  expect(credHookNames("tracepoints")).toEqual([]);
});
