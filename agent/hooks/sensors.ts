/** The process sensors: programs on exec, fork, exit and cgroups that hooks and events know processes from. */
import { errorText, type Logger } from "../../lib/logger.ts";
import type { BpfLink, BpfObject, BpfProgram, CloneOptions, FuncProto, KernelBtf } from "../bpf/binding.ts";
import { loadTemplate, RAW_TRACEPOINT } from "../bpf/load-template.ts";

/** A program and its link. */
interface Attached {
  program: BpfProgram;
  link: BpfLink;
}

/** One way to see something: a template, and how it is attached. */
interface Way {
  options: CloneOptions;
  attach(program: BpfProgram): BpfLink;
}

const rawTracepoint = (name: string, event: string): Way => ({
  options: { name, ...RAW_TRACEPOINT },
  attach: (program) => program.attachRawTracepoint(event),
});

const tracepoint = (name: string, subsystem: string, event: string): Way => ({
  options: { name, type: "tracepoint", expectedAttachType: "none" },
  attach: (program) => program.attachTracepoint(subsystem, event),
});

const kprobe = (name: string, symbol: string): Way => ({
  options: { name, type: "kprobe", expectedAttachType: "none" },
  attach: (program) => program.attachKprobe(symbol),
});

/** Follows pointers by loads. None where the kernel's types do not describe the target. */
function typed(
  name: string,
  expectedAttachType: "trace_fentry" | "trace_raw_tp",
  target: FuncProto | undefined,
): Way[] {
  if (target === undefined) return [];
  const options = { name, type: "tracing", expectedAttachType, attachBtfId: target.btfId } as const;
  return [{ options, attach: (program) => program.attachTracing() }];
}

/** Programs of the object that have no other way, by their tracepoints. */
const CGROUP_SENSORS: Readonly<Record<string, string>> = {
  process_cgroup_mkdir: "cgroup_mkdir",
  process_cgroup_rmdir: "cgroup_rmdir",
};

/**
 * What is tried one after the other. Where the kernel preempts tasks in programs, it skips raw tracepoints and fentry for
 * other tasks meanwhile, so those that run with preemption switched off come first (kernel/decision-preemption.md).
 */
function waysOf(btf: KernelBtf, preempts: boolean) {
  const exec = rawTracepoint("process_exec", "sched_process_exec");
  const exit = rawTracepoint("process_exit", "sched_process_exit");
  const fork = rawTracepoint("process_fork", "sched_process_fork");
  const privileges = kprobe("process_privileges", "security_bprm_committing_creds");
  if (preempts) {
    return {
      exec: [kprobe("process_exec_kprobe", "finalize_exec"), exec],
      exit: [tracepoint("process_exit_tp", "sched", "sched_process_exit"), exit],
      fork: [kprobe("process_fork_kprobe", "wake_up_new_task"), fork],
      privileges: [privileges],
    };
  }
  const committing = btf.funcProto("security_bprm_committing_creds");
  return {
    exec: [exec],
    exit: [exit],
    fork: [...typed("process_fork_typed", "trace_raw_tp", btf.tracepointProto("sched_process_fork")), fork],
    privileges: [...typed("process_privileges_typed", "trace_fentry", committing), privileges],
  };
}

/** Passes what it opens to `keep`. Throws the error of the last way if the kernel takes none for exec, exit or fork. */
export function attachSensors(
  { object, btf, preempts, logger }: { object: BpfObject; btf: KernelBtf; preempts: boolean; logger: Logger },
  keep: <T extends { close(): void }>(handle: T) => T,
): { programs: BpfProgram[]; links: BpfLink[] } {
  const { exec, exit, fork, privileges } = waysOf(btf, preempts);
  const cgroups = Object.entries(CGROUP_SENSORS).map(([name, event]): Attached => {
    const program = keep(object.program(name));
    return { program, link: keep(program.attachRawTracepoint(event)) };
  });
  const processes = [exec, exit, fork].map((ways): Attached => {
    const { program, link } = attachFirst(object, ways, logger);
    return { program: keep(program), link: keep(link) };
  });
  const attached = [...processes, ...cgroups];
  const links = attached.map(({ link }) => link);
  try {
    const { program, link } = attachFirst(object, privileges, logger);
    program.close(); // the link holds it
    links.push(keep(link));
  } catch (error) {
    logger.warn("privilege gains at exec are not recorded", { reason: errorText(error) });
  }
  return { programs: attached.map(({ program }) => program), links };
}

/** The first way that the kernel takes. */
function attachFirst(object: BpfObject, ways: readonly Way[], logger: Logger): Attached {
  let last: unknown;
  for (const { options, attach } of ways) {
    let program: BpfProgram | undefined;
    try {
      program = loadTemplate(object, options);
      return { program, link: attach(program) };
    } catch (error) {
      program?.close();
      logger.debug(`the kernel refuses ${options.name}: ${errorText(error)}`);
      last = error;
    }
  }
  throw last;
}
