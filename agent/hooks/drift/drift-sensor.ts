/** The programs that keep the credentials which the kernel gives to each task, and compare them later. */
import type { Logger } from "../../../lib/logger.ts";
import { errorText } from "../../../lib/logger.ts";
import type { Binding, BpfLink, BpfMap, BpfObject, BpfProgram, ProgramType } from "../../bpf/binding.ts";
import { loadTemplate } from "../../bpf/load-template.ts";
import { HookError } from "../hook-error.ts";

/** Where all credentials that a task gets go through, but for those of a fork. */
const COMMIT = "commit_creds";

/** The map of the object that holds the states of tasks: a placeholder there. */
const STATES = "cred_states";

/** How many tasks have room in the map. The kernel takes 16 bytes for each when it makes the map, and the rest on use. */
const MAX_TASKS = 65536;

const BPF_F_NO_PREALLOC = 1 << 0;

/** Attached while a holder needs it; its map and its programs do not exist otherwise. */
export class DriftSensor {
  readonly #bpf: Binding;
  readonly #object: BpfObject;
  readonly #logger: Logger;
  readonly #holders = new Set<number>();
  #states: BpfMap | undefined;
  #links: BpfLink[] = [];

  constructor(bpf: Binding, object: BpfObject, logger: Logger) {
    this.#bpf = bpf;
    this.#object = object;
    this.#logger = logger;
  }

  /**
   * Attaches the programs for the first holder. Returns the maps that stand for the object's placeholders in programs that
   * compare credentials; they are open until the holder is released. Throws a HookError if the kernel refuses the programs.
   */
  take(holder: number): Record<string, BpfMap> {
    const states = this.#states ?? this.#start();
    this.#holders.add(holder);
    return { [STATES]: states };
  }

  /** The last holder detaches them; idempotent. */
  release(holder: number): void {
    if (this.#holders.delete(holder) && this.#holders.size === 0) this.close();
  }

  /**
   * Detaches the programs, also if there are holders; idempotent. The states go with the map: commits are not seen from
   * now on, and would look like drift to the next holder.
   */
  close(): void {
    this.#holders.clear();
    for (const link of this.#links.splice(0)) link.close();
    this.#states?.close();
    this.#states = undefined;
  }

  /** The end of a commit first, so that no commit is seen whose end is missed; the comparisons last. */
  #start(): BpfMap {
    const states = this.#createStates();
    this.#states = states;
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
    return states;
  }

  #createStates(): BpfMap {
    const placeholder = this.#object.map(STATES);
    try {
      const { keySize, valueSize } = placeholder;
      const size = { keySize, valueSize, maxEntries: MAX_TASKS };
      return this.#bpf.createMap({ name: STATES, type: "hash", ...size, flags: BPF_F_NO_PREALLOC });
    } finally {
      placeholder.close();
    }
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
    const maps = this.#states && { maps: { [STATES]: this.#states } };
    return loadTemplate(this.#object, { name, type, expectedAttachType: "none", ...maps });
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
