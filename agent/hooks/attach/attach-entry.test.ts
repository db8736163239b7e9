import { expect, test } from "vitest";
import type { BpfError } from "../../bpf/binding.ts";
import { makeBpfError } from "../testing/bpf-error.ts";
import { failureReason } from "./attach-entry.ts";

const load = (code: string, verifierReason?: string): BpfError =>
  makeBpfError({
    step: "load program",
    code,
    ...(verifierReason !== undefined && {
      verifierReason,
      verifierLog: `${verifierReason}\nprocessed 9 insns\n`,
    }),
  });

const cases: Record<string, { error: Error; reason: ReturnType<typeof failureReason> }> = {
  "the verifier refuses the program": { error: load("EINVAL", "R1 is bad"), reason: "VerifierRejected" },
  "the verifier finds no end": { error: load("E2BIG"), reason: "VerifierRejected" },
  "no map of this size is possible": {
    error: makeBpfError({ step: "create map", code: "E2BIG" }),
    reason: "AttachFailed",
  },
  "the kernel has no error injection": {
    error: load("EINVAL", "unknown func bpf_override_return#58"),
    reason: "KernelUnsupported",
  },
  "the kernel has no error injection (since 6.11)": {
    error: load("EINVAL", "program of this type cannot use helper bpf_override_return#58"),
    reason: "KernelUnsupported",
  },
  "the function takes no error": {
    error: load("EINVAL", "__x64_sys_keyctl() is not modifiable"),
    reason: "KernelUnsupported",
  },
  "the LSM hook may not return this": {
    error: load("EINVAL", "At program exit the register R0 has smin=1 smax=1 should have been in [-4095, 0]"),
    reason: "KernelUnsupported",
  },
  "the LSM hook takes no program": {
    error: load("EINVAL", "points to disabled hook"),
    reason: "KernelUnsupported",
  },
  "the kernel forbids it": {
    error: makeBpfError({ step: "attach fentry", code: "EPERM" }),
    reason: "KernelUnsupported",
  },
  "attaching fails": {
    error: makeBpfError({ step: "attach kprobe", code: "EINVAL" }),
    reason: "AttachFailed",
  },
  "something else is wrong": { error: new Error("no"), reason: "AttachFailed" },
  "a message that looks like the verifier's, but is not": {
    error: makeBpfError({
      step: "load program",
      code: "EACCES",
      message: "x() is not modifiable",
      verifierLog: "",
    }),
    reason: "VerifierRejected",
  },
};

test.each(Object.entries(cases))("%s: the reason is stable", (_name, { error, reason }) => {
  expect(failureReason(error)).toBe(reason);
});
