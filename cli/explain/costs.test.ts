/** What `trigon explain` says about attaching is what agents do. */
import { expect, test } from "vitest";
import { chooseAttach } from "../../agent/hooks/attach/choose.ts";
import { makeHook } from "../../agent/hooks/testing/hooks.ts";
import type { HookDef } from "../../crds/hook-spec.ts";
import { attachPlan } from "./costs.ts";

const everything = { fentry: true, kprobe: true, bpfLsm: true, reasons: {} };
const proto = { btfId: 1, params: [], returnType: "int" };
const event = { subsystem: "syscalls", event: "sys_enter_setuid", fields: [] };
const overriding: HookDef["selectors"] = [{ filters: [], actions: [{ action: "Override", error: -1 }] }];

const hooks: Record<string, Partial<HookDef>> = {
  "a function": { call: "commit_creds" },
  "a system call": { call: "__x64_sys_setuid", syscall: true },
  "a function of fentries": { section: "fentries", call: "commit_creds" },
  "an LSM hook": { section: "lsmhooks", call: "bprm_check_security" },
  "a tracepoint": {
    section: "tracepoints",
    tracepoint: { subsystem: "syscalls", event: "sys_enter_setuid", raw: false },
  },
  "a raw tracepoint": {
    section: "tracepoints",
    tracepoint: { subsystem: "task", event: "task_rename", raw: true },
  },
  "a system call that is overridden": { call: "__x64_sys_setuid", syscall: true, selectors: overriding },
  "a security function that is overridden": { call: "security_task_fix_setuid", selectors: overriding },
};

test.each(Object.entries(hooks))("%s", (_name, more) => {
  const hook = makeHook({ args: [], ...more });
  const kinds = (preemption: "none" | "full") =>
    chooseAttach(hook, { name: hook.call, proto, event }, { ...everything, preemption }).candidates;
  const { first, otherwise = "", note } = attachPlan(hook);
  const explained = [first, ...(otherwise.match(/\b(fmod_ret|kprobe|raw_tracepoint|tracepoint)\b/g) ?? [])];
  expect(explained).toEqual(kinds("none"));
  expect(note !== undefined && /^kprobe comes first/.test(note)).toBe(kinds("none")[0] !== kinds("full")[0]);
});
