/** The programs that keep the credentials which the kernel gives to each task, and compare them later. */
import type { Logger } from "../../../lib/logger.ts";
import { errorText } from "../../../lib/logger.ts";
import type { BpfLink, BpfObject, BpfProgram, ProgramType } from "../../bpf/binding.ts";
import { loadTemplate } from "../../bpf/load-template.ts";
import { HookError } from "../hook-error.ts";

/** Where all credentials that a task gets go through, but for those of a fork. */
const COMMIT = "commit_creds";

/** Attached while somebody needs it; its tracepoints and kprobes cost nothing otherwise. */
export class DriftSensor {
  readonly #object: BpfObject;
  readonly #waitForPrograms: () => void;
  readonly #logger: Logger;
  readonly #holders = new Set<number>();
  #links: BpfLink[] = [];

  constructor(object: BpfObject, waitForPrograms: () => void, logger: Logger) {
    this.#object = object;
    this.#waitForPrograms = waitForPrograms;
    this.#logger = logger;
  }

  /** Attaches the programs for the first holder. Throws a HookError if the kernel refuses them. */
  take(holder: number): void {
    if (this.#holders.size === 0) this.#start();
    this.#holders.add(holder);
  }

  /** The last holder detaches them; idempotent. */
  release(holder: number): void {
    if (this.#holders.delete(holder) && this.#holders.size === 0) this.#stop();
  }

  /** Detaches the programs, whoever holds them; idempotent. */
  close(): void {
    this.#holders.clear();
    for (const link of this.#links.splice(0)) link.close();
  }

  /** The end of a commit first, so that no commit is seen whose end is missed; the comparisons last. */
  #start(): void {
    try {
      this.#kprobe("drift_committed", true);
      this.#kprobe("drift_commit", false);
      this.#tracepoint("drift_fork", "sched_process_fork");
      this.#tracepoint("drift_exit", "sched_process_exit");
    } catch (error) {
      this.close();
      const message = `credential drift: the kernel does not let programs see ${COMMIT}: ${errorText(error)}`;
      throw new HookError("KernelUnsupported", message, { cause: error });
    }
    this.#logger.info("credential drift is looked for");
  }

  /** What was kept is forgotten: a commit that nobody sees would look like drift later. */
  #stop(): void {
    this.close();
    this.#waitForPrograms();
    const states = this.#object.map("cred_states");
    for (const key of states.keys()) states.delete(key);
    states.close();
  }

  #kprobe(name: string, retprobe: boolean): void {
    const program = this.#load(name, "kprobe");
    this.#keep(program, () => program.attachKprobe(COMMIT, { retprobe }));
  }

  #tracepoint(name: string, event: string): void {
    const program = this.#load(name, "raw_tracepoint");
    this.#keep(program, () => program.attachRawTracepoint(event));
  }

  #load(name: string, type: ProgramType): BpfProgram {
    return loadTemplate(this.#object, { name, type, expectedAttachType: "none" });
  }

  /** The link holds the program. */
  #keep(program: BpfProgram, attach: () => BpfLink): void {
    try {
      this.#links.push(attach());
    } finally {
      program.close();
    }
  }
}
