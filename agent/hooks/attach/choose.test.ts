import { describe, expect, test } from "vitest";
import type { HookDef, SelectorDef } from "../../../crds/hook-spec.ts";
import type { Target } from "../targets/targets.ts";
import { makeArgs, makeHook } from "../testing/hooks.ts";
import { type Choice, chooseAttach } from "./choose.ts";

const all = { fentry: true, kprobe: true, bpfLsm: true, preemption: "voluntary", reasons: {} } as const;
const commitCreds: Omit<Target, "def"> = {
  name: "commit_creds",
  proto: { btfId: 1, params: [{ name: "new", type: "struct cred *" }], returnType: "int" },
};
const sysEnter = { subsystem: "syscalls", event: "sys_enter_setuid", fields: [] };
const override: SelectorDef = { filters: [], actions: [{ action: "Override", error: -1 }] };

const cases: Record<
  string,
  {
    def?: Partial<HookDef>;
    target?: Omit<Target, "def">;
    features?: object;
    candidates: string[];
    refusal?: string;
    also?: string;
  }
> = {
  "fentry comes before kprobe": { candidates: ["fentry", "kprobe"] },
  "kprobe comes before fentry where the kernel preempts": {
    features: { preemption: "lazy" },
    candidates: ["kprobe", "fentry"],
    refusal: "a task that is preempted in it hides the calls of others (preemption: lazy)",
  },
  "a hook of fentries has a message about missed calls where the kernel preempts": {
    def: { section: "fentries" },
    features: { preemption: "full" },
    candidates: ["fentry"],
    refusal: "a task that is preempted in it hides the calls of others (preemption: full)",
  },
  "a function without BTF gets a kprobe for that reason": {
    target: { name: "commit_creds" },
    features: { preemption: "lazy" },
    candidates: ["kprobe"],
    refusal: "kernel BTF does not describe commit_creds",
  },
  "a function without BTF gets a kprobe": {
    target: { name: "commit_creds" },
    candidates: ["kprobe"],
    refusal: "kernel BTF does not describe commit_creds",
  },
  "a pointer read as a number gets a kprobe": {
    def: { args: makeArgs("uint64") },
    candidates: ["kprobe"],
    refusal: "it would see a pointer where the policy reads a number",
  },
  "a kernel that refuses fentry gets a kprobe, with its reason": {
    features: { fentry: false, reasons: { fentry: "EPERM" } },
    candidates: ["kprobe"],
    refusal: "EPERM",
  },
  "a hook of fentries gets no kprobe": {
    def: { section: "fentries" },
    candidates: ["fentry"],
    refusal: "the policy asks for fentry",
  },
  "a system call has its trace event too": {
    def: { call: "sys_setuid", syscall: true },
    target: { ...commitCreds, name: "__x64_sys_setuid", event: sysEnter },
    candidates: ["fentry", "kprobe", "tracepoint"],
  },
  "a system call where tracing programs are refused has nothing else": {
    def: { call: "sys_setuid", syscall: true },
    target: { ...commitCreds, name: "__x64_sys_setuid", event: sysEnter },
    features: { fentry: false, kprobe: false, reasons: { fentry: "EPERM", kprobe: "EPERM" } },
    candidates: ["tracepoint"],
    refusal: "EPERM",
  },
  "a hook that posts at return takes a trampoline with its parameters only": {
    def: { returnArg: { type: "int" } },
    target: {
      name: "f",
      proto: { btfId: 1, params: Array(7).fill({ name: "", type: "int" }), returnType: "int" },
    },
    candidates: ["kprobe"],
    refusal: "f has more than 6 parameters",
  },
  "a security function is overridden by fmod_ret": {
    def: { selectors: [override] },
    target: { ...commitCreds, name: "security_capset" },
    candidates: ["fmod_ret"],
    refusal: "it cannot override",
  },
  "an override of a security function has a message about the gap where the kernel preempts": {
    def: { selectors: [override] },
    target: { ...commitCreds, name: "security_capset" },
    features: { preemption: "lazy" },
    candidates: ["fmod_ret"],
    refusal: "it cannot override",
    also: "a task that is preempted in it lets the calls of others pass, unlike an LSM hook (preemption: lazy)",
  },
  "another function is overridden by error injection": {
    def: { selectors: [override] },
    candidates: ["kprobe", "fmod_ret"],
    refusal: "it cannot override",
  },
  "an LSM hook is one": {
    def: { section: "lsmhooks" },
    candidates: ["lsm"],
  },
  "an LSM hook without BPF LSM is nothing": {
    def: { section: "lsmhooks" },
    features: { bpfLsm: false, reasons: { bpfLsm: "bpf is not among the active LSMs" } },
    candidates: [],
    refusal: "bpf is not among the active LSMs",
  },
  "an LSM hook that returns nothing cannot be overridden": {
    def: { section: "lsmhooks", selectors: [override] },
    target: { name: "bprm_committing_creds", proto: { btfId: 1, params: [], returnType: "void" } },
    candidates: [],
    refusal: "bprm_committing_creds returns void",
  },
  "a raw tracepoint has types, or else none": {
    def: { section: "tracepoints", tracepoint: { subsystem: "sched", event: "e", raw: true } },
    candidates: ["tp_btf", "raw_tracepoint"],
  },
  "a trace event is one": {
    def: { section: "tracepoints", tracepoint: { subsystem: "sched", event: "e", raw: false } },
    candidates: ["tracepoint"],
  },
  "a kernel that refuses both leaves nothing": {
    features: { fentry: false, kprobe: false, reasons: { fentry: "EPERM" } },
    candidates: [],
    refusal: "EPERM",
  },
};

describe("chooseAttach", () => {
  test.each(Object.entries(cases))("%s", (_name, { def, target, features, candidates, refusal, also }) => {
    const choice: Choice = chooseAttach(makeHook(def), target ?? commitCreds, { ...all, ...features });
    expect(choice.candidates).toEqual(candidates);
    expect(choice.refusals[0]?.reason).toBe(refusal);
    if (also !== undefined) expect(choice.refusals.map(({ reason }) => reason)).toContain(also);
  });
});
