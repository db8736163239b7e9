import { expect, test } from "vitest";
import { failureReason } from "./attach-entry.ts";

/** What the addon throws. */
function makeError(step: string, code: string, message: string, verifierLog?: string): Error {
  return Object.assign(new Error(message), {
    name: "BpfError",
    step,
    code,
    errno: 1,
    subject: "x",
    verifierLog,
  });
}

test.each([
  [
    "the verifier refuses the program",
    makeError("load program", "EINVAL", "R1 is bad", "log"),
    "VerifierRejected",
  ],
  [
    "the verifier finds no end",
    makeError(
      "load program",
      "E2BIG",
      "load program x: E2BIG (too many instructions or jumps for the verifier)",
    ),
    "VerifierRejected",
  ],
  ["no map of this size is possible", makeError("create map", "E2BIG", "E2BIG"), "AttachFailed"],
  [
    "the kernel has no error injection",
    makeError(
      "load program",
      "EINVAL",
      "load program x: EINVAL (unknown func bpf_override_return#58)",
      "log",
    ),
    "KernelUnsupported",
  ],
  [
    "the same since 6.11",
    makeError(
      "load program",
      "EINVAL",
      "program of this type cannot use helper bpf_override_return#58",
      "log",
    ),
    "KernelUnsupported",
  ],
  [
    "the function takes none",
    makeError(
      "load program",
      "EINVAL",
      "load program x: EINVAL (__x64_sys_keyctl() is not modifiable)",
      "log",
    ),
    "KernelUnsupported",
  ],
  [
    "the LSM hook may not return this",
    makeError(
      "load program",
      "EINVAL",
      "load program x: EINVAL (At program exit the register R0 has smin=1 smax=1 should have been in [-4095, 0])",
      "log",
    ),
    "KernelUnsupported",
  ],
  [
    "the LSM hook takes no program",
    makeError("load program", "EINVAL", "load program x: EINVAL (points to disabled hook)", "log"),
    "KernelUnsupported",
  ],
  ["the kernel forbids it", makeError("attach fentry", "EPERM", "EPERM"), "KernelUnsupported"],
  ["attaching fails", makeError("attach kprobe", "EINVAL", "EINVAL"), "AttachFailed"],
  ["something else is wrong", new Error("no"), "AttachFailed"],
])("%s: the reason is stable", (_name, error, reason) => {
  expect(failureReason(error)).toBe(reason);
});
