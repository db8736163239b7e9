/** Whether the kernel preempts tasks in kernel code. If it does, a task can wait inside a BPF program. */
import { readFileSync } from "node:fs";
import type { BpfObject, BpfProgram, KernelBtf } from "../../bpf/binding.ts";
import { loadTemplate } from "../../bpf/load-template.ts";

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
  /** Reads `preempt_dynamic_mode` of the running kernel; undefined if it cannot be read. */
  readMode(): number | undefined;
}

/** Detects the mode of preemption; never throws. */
export function detectPreemption({ version, debugfs, readMode }: PreemptionSources): Preemption {
  if (!version.includes("PREEMPT")) return "none"; // built for NONE or VOLUNTARY
  if (!version.includes("PREEMPT_DYNAMIC")) return "full";
  // Kernels since 5.12 choose the mode at boot, by `preempt=`, or later by this file, which containers do not have.
  const chosen = /\((\w+)\)/.exec(readText(`${debugfs}/sched/preempt`))?.[1];
  return MODES.find((mode) => mode === chosen) ?? MODES[readMode() ?? -1] ?? "unknown";
}

/** Whether a task may be preempted inside a program, so that another task runs before the program ends. */
export function preemptsPrograms(preemption: Preemption): boolean {
  return preemption !== "none" && preemption !== "voluntary";
}

/**
 * Reads the variable with a BPF program that looks through the kernel's symbols. Needs CAP_BPF and CAP_PERFMON only:
 * /proc/kallsyms hides the address from processes without CAP_SYSLOG.
 */
export function readPreemptionMode(object: BpfObject, btf: Pick<KernelBtf, "funcProto">): number | undefined {
  const target = btf.funcProto("bpf_iter_ksym"); // since 6.0
  if (!target) return undefined;
  let program: BpfProgram | undefined;
  try {
    const how = { type: "tracing", expectedAttachType: "trace_iter", attachBtfId: target.btfId } as const;
    program = loadTemplate(object, { name: "read_preemption", ...how });
    return new Int32Array(program.runIterator().slice().buffer)[0];
  } catch {
    return undefined;
  } finally {
    program?.close();
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
