import { expect, test } from "vitest";
import { describeStartFailure, type StartConditions } from "./start-failure.ts";

const ROOT = (1n << 41n) - 1n;
const conditions: StartConditions = {
  effectiveCapabilities: ROOT,
  lockdown: "[none] integrity",
  release: "6.1.0",
};

function bpfError(message: string, code: string, step: string): Error {
  return Object.assign(new Error(message), { code, step });
}

const eperm = bpfError("load program process_exec: EPERM", "EPERM", "load program");

const cases: Record<string, { error: Error; given?: Partial<StartConditions>; says: RegExp }> = {
  "without BTF the kernel option is named": {
    error: bpfError("load BTF of /sys/kernel/btf/vmlinux: ENOENT", "ENOENT", "load BTF of"),
    says: /^this node cannot trace: load BTF .*ENOENT; kernel 6\.1\.0 .*CONFIG_DEBUG_INFO_BTF=y$/,
  },
  "without any capability all are named": {
    error: eperm,
    given: { effectiveCapabilities: 0n },
    says: /EPERM; missing capabilities: PERFMON, BPF, SYS_RESOURCE /,
  },
  "SYS_ADMIN stands in for BPF and PERFMON": {
    error: eperm,
    given: { effectiveCapabilities: 1n << 21n },
    says: /missing capabilities: SYS_RESOURCE /,
  },
  "a locked down kernel is named": {
    error: eperm,
    given: { lockdown: "none integrity [confidentiality]" },
    says: /locked down/,
  },
  "with every capability another gate is suspected": { error: eperm, says: /security module or seccomp/ },
  "what has nothing to do with privileges gets no hint": {
    error: bpfError("open object x.o: ENOENT", "ENOENT", "open object"),
    says: /ENOENT$/,
  },
};

test.each(Object.entries(cases))("%s", (_name, { error, given, says }) => {
  expect(describeStartFailure(error, { ...conditions, ...given })).toMatch(says);
});
