/** Whether the kernel takes the processor from a task that runs in it: a task can then wait within a program. */
import { readFileSync } from "node:fs";
import type { BpfObject, BpfProgram } from "../../bpf/binding.ts";

/** `voluntary`: where the kernel's code offers it, which is in no program. `unknown`: one of all. */
export type Preemption = "none" | "voluntary" | "full" | "lazy" | "unknown";

/** `preempt_dynamic_mode` of kernel/sched/core.c. */
const MODES: readonly Preemption[] = ["none", "voluntary", "full", "lazy"];

/** What tells how the kernel preempts. */
export interface PreemptionSources {
  /** As `uname -v` says. */
  version: string;
  /** Where debugfs has `sched/preempt`. */
  debugfs: string;
  kallsyms: string;
  /** The kernel's integer at this address; -1 where it cannot be read. */
  readInt(address: bigint): number;
}

/** Never fails. */
export function detectPreemption({ version, debugfs, kallsyms, readInt }: PreemptionSources): Preemption {
  if (!version.includes("PREEMPT")) return "none"; // built for NONE or VOLUNTARY
  if (!version.includes("PREEMPT_DYNAMIC")) return "full";
  // Kernels since 5.12 choose when they start, by `preempt=`, or later by this file, which containers seldom have.
  const chosen = /\((\w+)\)/.exec(readText(`${debugfs}/sched/preempt`))?.[1];
  return MODES.find((mode) => mode === chosen) ?? readMode(readText(kallsyms), readInt) ?? "unknown";
}

/** Whether a task may wait within a program until another one has run. */
export function preemptsPrograms(preemption: Preemption): boolean {
  return preemption !== "none" && preemption !== "voluntary";
}

/** The kernel's integer at this address, by a program of the object; -1 where it cannot be read. */
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
