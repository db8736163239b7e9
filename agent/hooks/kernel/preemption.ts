/** Whether the kernel preempts tasks in kernel code. If it does, a task can wait inside a BPF program. */
import { readFileSync } from "node:fs";
import type { BpfObject, BpfProgram } from "../../bpf/binding.ts";

/** `voluntary`: only where kernel code allows it, which is never inside a program. `unknown`: any of the others. */
export type Preemption = "none" | "voluntary" | "full" | "lazy" | "unknown";

/** `preempt_dynamic_mode` of kernel/sched/core.c. */
const MODES: readonly Preemption[] = ["none", "voluntary", "full", "lazy"];

/** Where the mode of preemption can be read. */
export interface PreemptionSources {
  /** The output of `uname -v`. */
  version: string;
  /** Mount point of debugfs, which has `sched/preempt`. */
  debugfs: string;
  kallsyms: string;
  /** Reads the kernel's integer at this address; -1 if it cannot be read. */
  readInt(address: bigint): number;
}

/** Detects the mode of preemption; never throws. */
export function detectPreemption({ version, debugfs, kallsyms, readInt }: PreemptionSources): Preemption {
  if (!version.includes("PREEMPT")) return "none"; // built for NONE or VOLUNTARY
  if (!version.includes("PREEMPT_DYNAMIC")) return "full";
  // Kernels since 5.12 choose the mode at boot, by `preempt=`, or later by this file, which containers seldom see.
  const chosen = /\((\w+)\)/.exec(readText(`${debugfs}/sched/preempt`))?.[1];
  return MODES.find((mode) => mode === chosen) ?? readMode(readText(kallsyms), readInt) ?? "unknown";
}

/** Whether a task may be preempted inside a program, so that another task runs before the program ends. */
export function preemptsPrograms(preemption: Preemption): boolean {
  return preemption !== "none" && preemption !== "voluntary";
}

/** Reads the kernel's integer at this address with a BPF program; -1 if it cannot be read. */
export function readKernelInt(object: BpfObject, address: bigint): number {
  const template = object.program("read_int");
  let program: BpfProgram | undefined;
  try {
    program = template.clone({ name: "read_int", type: "raw_tracepoint", expectedAttachType: "none" });
    return program.testRun(new Uint8Array(BigUint64Array.of(address).buffer));
  } catch {
    return -1;
  } finally {
    program?.close();
    template.close();
  }
}

function readMode(symbols: string, readInt: PreemptionSources["readInt"]): Preemption | undefined {
  const digits = /^([0-9a-f]+) \w preempt_dynamic_mode$/m.exec(symbols)?.[1] ?? "0";
  const address = BigInt(`0x${digits}`);
  return address === 0n ? undefined : MODES[readInt(address)]; // 0: hidden from this process
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
