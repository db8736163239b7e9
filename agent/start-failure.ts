/** Explains in one line why the hook engine cannot start here, and what would help. Pure. */
import { errorText } from "../lib/logger.ts";
import type { BpfError } from "./bpf/binding.ts";

/** Facts about the process and the machine when the start failed. */
export interface StartConditions {
  /** CapEff of /proc/self/status. */
  effectiveCapabilities: bigint;
  /** Contents of /sys/kernel/security/lockdown; undefined when it cannot be read. */
  lockdown: string | undefined;
  release: string;
}

/** The step of the addon that reads the kernel's types. */
const LOAD_BTF: BpfError["step"] = "load BTF of";

/** The capabilities that the engine needs, by number; SYS_ADMIN replaces the first two. */
const NEEDED = { PERFMON: 38, BPF: 39, SYS_RESOURCE: 24 } as const;
const SYS_ADMIN = 21;

/** `REASON; HINT`: for the log, the container's termination message and the policy's status. */
export function describeStartFailure(error: unknown, conditions: StartConditions): string {
  const reason = `this node cannot trace: ${errorText(error)}`;
  const hint = hintFor(error as Partial<BpfError>, conditions);
  return hint === undefined ? reason : `${reason}; ${hint}`;
}

function hintFor({ code, step }: Partial<BpfError>, conditions: StartConditions): string | undefined {
  if (step === LOAD_BTF) {
    return `kernel ${conditions.release} shows no type information: it needs CONFIG_DEBUG_INFO_BTF=y`;
  }
  if (code !== "EPERM" && code !== "EACCES") return undefined;
  const missing = missingCapabilities(conditions.effectiveCapabilities);
  if (missing.length > 0) return `missing capabilities: ${missing.join(", ")} (run as root, or grant them)`;
  if (conditions.lockdown?.includes("[confidentiality]")) {
    return "the kernel is locked down (confidentiality), which forbids BPF programs to read kernel memory";
  }
  return "a security module or seccomp profile refuses bpf()";
}

function missingCapabilities(effective: bigint): string[] {
  const has = (capability: number) => (effective >> BigInt(capability)) & 1n;
  const standIn = has(SYS_ADMIN);
  return Object.entries(NEEDED)
    .filter(([name, number]) => !has(number) && !(standIn && name !== "SYS_RESOURCE"))
    .map(([name]) => name);
}
