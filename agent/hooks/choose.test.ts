import { describe, expect, test } from "vitest";
import type { HookDef } from "../../crds/hook-spec.ts";
import { type Choice, chooseAttach } from "./choose.ts";
import type { ResolvedFunction } from "./symbols.ts";
import { makeArgs, makeHook } from "./test-hooks.ts";

const all = { fentry: true, kprobe: true, bpfLsm: true, reasons: {} };
const commitCreds: ResolvedFunction = {
  name: "commit_creds",
  proto: { btfId: 1, params: [{ name: "new", type: "struct cred *" }], returnType: "int" },
};

const cases: Record<
  string,
  {
    def?: Partial<HookDef>;
    target?: ResolvedFunction;
    features?: object;
    candidates: string[];
    refusal?: string;
  }
> = {
  "fentry comes before kprobe": { candidates: ["fentry", "kprobe"] },
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
  "a kernel that refuses both leaves nothing": {
    features: { fentry: false, kprobe: false, reasons: { fentry: "EPERM" } },
    candidates: [],
    refusal: "EPERM",
  },
};

describe("chooseAttach", () => {
  test.each(Object.entries(cases))("%s", (_name, { def, target, features, candidates, refusal }) => {
    const choice: Choice = chooseAttach(makeHook(def), target ?? commitCreds, { ...all, ...features });
    expect(choice.candidates).toEqual(candidates);
    expect(choice.refusals[0]?.reason).toBe(refusal);
  });
});
