/** The hook engine: one loaded object, one ring, process sensors, and hooks that come and go. */
import { arch, machine, release } from "node:os";
import { join } from "node:path";
import type { HookDef } from "../../crds/hook-spec.ts";
import { errorText } from "../../lib/logger.ts";
import type { BpfProgram } from "../bpf/binding.ts";
import { loadTemplate, RAW_TRACEPOINT } from "../bpf/load-template.ts";
import { type Attachment, closeAttachment } from "./attach/attach-entry.ts";
import {
  type AttachWishes,
  attachHook,
  type HookContext,
  type HookStatus,
  type LoadedHook,
} from "./attach/attach-hook.ts";
import { countCallsInFlight, removeEndedCalls } from "./attach/calls-in-flight.ts";
import {
  type ActionStats,
  addStats,
  type HookStats,
  NO_STATS,
  readCounters,
  readKernelCounts,
  readStats,
} from "./attach/hook-stats.ts";
import { type HookMode, type Mode, setMode } from "./attach/mode.ts";
import { runInBackground, runNow, type Steps } from "./attach/steps.ts";
import { tryAttach } from "./attach/try-attach.ts";
import { DriftSensor } from "./drift/drift-sensor.ts";
import { type CountedHits, takeHitCounts } from "./hit-counts.ts";
import { detectFeatures, type KernelFeatures } from "./kernel/features.ts";
import { preemptsPrograms } from "./kernel/preemption.ts";
import { functionName, KernelSymbols } from "./kernel/symbols.ts";
import { type EngineOptions, type Handles, openHandles } from "./open-engine.ts";
import { FollowTable } from "./processes/follow-table.ts";
import { seedImage } from "./processes/process-images.ts";
import { readRunning } from "./processes/running.ts";
import { CgroupScopes } from "./scopes/cgroup-scopes.ts";
import { ScopeTable } from "./scopes/scope-table.ts";

export type { HookStatus, LoadedHook } from "./attach/attach-hook.ts";
export type { ActionStats, HookStats } from "./attach/hook-stats.ts";
export type { HookMode, Mode } from "./attach/mode.ts";
export type { EngineOptions } from "./open-engine.ts";

/** One hook; `detach()` is idempotent. */
export interface AttachedHook {
  readonly id: number;
  readonly def: HookDef;
  readonly status: HookStatus;
  /** Name of the function in events, also where the hook is not attached. */
  readonly functionName: string;
  /** The definition for this kernel: each `auto` is replaced by a type. */
  readonly resolved: HookDef;
  /** The counters; after detach() they keep their last values. */
  stats(): HookStats;
  /** What each selector did, in order; one entry for a hook without selectors. After detach() the last values stay. */
  actions(): ActionStats[];
  /** Both at once, for one read of the kernel's map. */
  counts(): { stats: HookStats; actions: readonly ActionStats[] };
  /** Decides whether matches are acted on, posted or only counted, from now on. */
  setMode(mode: HookMode): void;
  /** Memory of its maps and its programs; read once. */
  memoryBytes(): number;
  /** How long it took to load and attach it. */
  readonly attachMs: number;
  /** Ends its runs, in another thread: the kernel waits for all CPUs. The hook is attached until detach(). */
  unlink(): Promise<void>;
  detach(): void;
}

/** How often the engine looks for entries of calls whose threads have ended. */
const SWEEP_MS = 10_000;

/** How often the counts of policies in the mode count are fetched: sooner than an ended process is forgotten. */
const COUNTS_MS = 5_000;

/** Keys of sensor_stats: the values of enum record_kind that the sensors write. */
const SENSOR_KINDS = [1, 2, 3, 5, 6];

/** Holds the drift sensor for --credential-drift; hooks have ids from 1 on. */
const FLAG_HOLDER = 0;

/** Attaches hooks while it runs; closing it detaches them. */
export class HookEngine {
  readonly features: KernelFeatures;
  /** Which scopes the cgroups of pods are in. */
  readonly cgroupScopes: CgroupScopes;
  readonly #options: EngineOptions;
  readonly #handles: Handles;
  readonly #context: HookContext;
  readonly #attached = new Map<number, Attachment>();
  /** Runs while a hook is attached that keeps calls until they return. */
  #sweeper: NodeJS.Timeout | undefined;
  /** Ids of the hooks in the mode count. */
  readonly #counting = new Set<number>();
  /** Runs while there are some. */
  #counter: NodeJS.Timeout | undefined;
  #nextId = 1;
  #readingTypes: Promise<void> | undefined;

  private constructor(options: EngineOptions, handles: Handles) {
    this.#options = options;
    this.#handles = handles;
    const { bpf, procfs } = options;
    const { object, btf } = handles;
    this.features = detectFeatures(
      {
        release: release(),
        architecture: machine(),
        btf,
        preemption: handles.preemption,
        securityfs: options.securityfs ?? "/sys/kernel/security",
      },
      (kind) => tryAttach({ bpf, object }, btf, kind, (message) => options.logger.warn(message)),
    );
    if (preemptsPrograms(this.features.preemption) && !bpf.useMapPrograms())
      options.logger.warn("hooks may miss calls while the agent reads or writes a map: Linux 6.1 is needed");
    const symbols = new KernelSymbols(btf, join(procfs, "kallsyms"));
    const follows = new FollowTable(handles.maps, (list) => readRunning(procfs, list));
    const scopes = new ScopeTable(options.workloads);
    this.cgroupScopes = new CgroupScopes(handles.maps.cgroupScopes, handles.maps.scopesAreFull);
    const { refusal } = options;
    const drift = new DriftSensor(bpf, object, options.logger);
    const refuses = refusal !== undefined && { refusal };
    this.#context = {
      ...refuses,
      bpf,
      object,
      procfs,
      btf,
      symbols,
      features: this.features,
      follows,
      scopes,
      drift,
      driftEverywhere: options.credentialDrift === true,
    };
    if (options.credentialDrift && refusal === undefined) drift.take(FLAG_HOLDER);
  }

  /** Opens and loads the object, attaches the process sensors, starts the reader. Throws with a clear reason. */
  static start(options: EngineOptions): HookEngine {
    const opened: { close(): void }[] = [];
    const keep = <T extends { close(): void }>(handle: T): T => {
      opened.push(handle);
      return handle;
    };
    try {
      return new HookEngine(options, openHandles(options, keep));
    } catch (error) {
      for (const handle of opened.reverse()) handle.close();
      throw error;
    }
  }

  /** Loads and attaches one hook under a new id; never throws: a failure is in the status. */
  attach(def: HookDef, mode: Mode = "enforce"): AttachedHook {
    return runNow(this.#attachSteps(def, { mode }));
  }

  /** Reads what attaching needs of the kernel's types and symbols, with other work in between; never rejects. */
  async prepare(): Promise<void> {
    await this.#readTypes();
    await this.readEntries();
  }

  /** Reads the entries of system calls, which are kept, with other work in between; never rejects. */
  readEntries(): Promise<void> {
    return this.#context.symbols.readEntries(arch());
  }

  /** Whatever asks while they are being read waits for the same reading. The first step that uses them reports an error. */
  #readTypes(): Promise<void> {
    this.#readingTypes ??= this.#handles.btf
      .readAsync()
      .catch(() => {})
      .finally(() => {
        this.#readingTypes = undefined;
      });
    return this.#readingTypes;
  }

  /**
   * As attach(), with other work between the steps. Records of the hook may be read from the call of `onLoaded` on, also
   * if it does not get attached in the end.
   */
  async attachInBackground(
    def: HookDef,
    mode: Mode = "enforce",
    onLoaded?: (hook: LoadedHook) => void,
  ): Promise<AttachedHook> {
    await this.#readTypes();
    await this.#context.symbols.prepare(def, arch());
    return runInBackground(this.#attachSteps(def, { mode, onLoaded }));
  }

  *#attachSteps(def: HookDef, wishes: AttachWishes): Steps<AttachedHook> {
    const id = this.#nextId++;
    const startMs = performance.now();
    const { status, def: resolved, attachment } = yield* attachHook(this.#context, id, def, wishes);
    if (attachment) {
      this.#attached.set(id, attachment);
      this.#setCounting(id, wishes.mode);
    }
    this.#updateSweeper();
    const level = status.state === "Attached" || status.state === "Skipped" ? "info" : "warn";
    const { refusals: _, ...shown } = status; // the message already lists them
    this.#options.logger.log(level, `hook ${def.call}`, { hookId: id, ...shown });
    return { ...this.#describe(id, def, resolved, status), attachMs: performance.now() - startMs };
  }

  /** Resolves when the hits that are in flight now have passed all hooks; never rejects. */
  async waitForHits(): Promise<void> {
    try {
      await this.#options.bpf.waitForProgramsAsync();
    } catch (error) {
      this.#options.logger.warn(`a hit in flight may be missed: ${errorText(error)}`);
    }
  }

  /** Delivers the records in the ring, oldest first, at most `maxBytes` of them. True if the ring may hold more. */
  flush(maxBytes?: number): boolean {
    return this.#handles.reader.flush(maxBytes);
  }

  /** The sum of the counters of the three process sensors. */
  processStats(): HookStats {
    const { sensors, maps } = this.#handles;
    const counted = readKernelCounts(sensors);
    return SENSOR_KINDS.map((kind) => ({ ...NO_STATS, ...readStats(maps.sensorStats, kind) })).reduce(
      addStats,
      { ...NO_STATS, ...counted },
    );
  }

  /** Takes what hooks in the mode count have counted since the last call, by process. */
  takeHitCounts(): CountedHits[] {
    return takeHitCounts(this.#handles.maps.hitCounts);
  }

  /** Enters the executable of a process that started before the sensors. What an exec or a fork has entered stays. */
  seedImage(pid: number, exePath: string): void {
    const { maps, seed } = this.#handles;
    if (seedImage({ image: maps.seededImage, program: seed }, this.#options.procfs, pid, exePath)) return;
    this.#options.logger.warn("matchBinaries cannot see a process: too many run", { pid, exePath });
  }

  /** Removes what hooks know of a process that has ended though no exit was seen: too seldom to keep a program. Never throws. */
  forgetProcess(pid: number): void {
    let program: BpfProgram | undefined;
    try {
      program = loadTemplate(this.#handles.object, { name: "process_forget", ...RAW_TRACEPOINT });
      program.testRun(new Uint8Array(BigUint64Array.of(BigInt(pid)).buffer));
    } catch (error) {
      this.#options.logger.warn(
        `what hooks know of process ${pid}, which has ended, stays: ${errorText(error)}`,
      );
    } finally {
      program?.close();
    }
  }

  /** Frees what the kernel's types and symbols take. The next hook has them read again. */
  releaseSymbols(): void {
    this.#handles.btf.release();
    this.#context.symbols.release();
  }

  /** Delivers no more records, of hooks and of sensors; idempotent. */
  stopReading(): void {
    this.#handles.reader.close();
  }

  /** Detaches everything; idempotent. */
  close(): void {
    clearInterval(this.#sweeper);
    clearInterval(this.#counter);
    for (const attachment of this.#attached.values()) closeAttachment(attachment);
    this.#attached.clear();
    this.#context.drift.close();
    const { links, sensors, seed, reader, maps, object, btf } = this.#handles;
    for (const handle of [...links, ...sensors, seed, reader, ...Object.values(maps), object, btf])
      handle.close();
  }

  /** The last counts are fetched when no hook counts any more. */
  #setCounting(id: number, mode: HookMode | undefined): void {
    if (mode === "count") this.#counting.add(id);
    else if (!this.#counting.delete(id)) return;
    const report = () => this.#options.onHitCounts?.(this.takeHitCounts());
    if (this.#counting.size > 0) this.#counter ??= setInterval(report, COUNTS_MS).unref();
    else {
      clearInterval(this.#counter);
      this.#counter = undefined;
      report();
    }
  }

  #updateSweeper(): void {
    const keepsCalls = [...this.#attached.values()].some(({ maps }) => maps.hook_calls !== undefined);
    if (keepsCalls) this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
    else {
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
    }
  }

  #sweep(): void {
    const { bpf, procfs } = this.#options;
    for (const { maps } of this.#attached.values()) {
      if (maps.hook_calls) removeEndedCalls(maps.hook_calls, procfs, bpf.bootTimeNs());
    }
  }

  #describe(id: number, def: HookDef, resolved: HookDef, status: HookStatus): Omit<AttachedHook, "attachMs"> {
    let memory: number | undefined;
    let last: { stats: HookStats; actions: ActionStats[] } = { stats: NO_STATS, actions: [] };
    const read = () => {
      const attachment = this.#attached.get(id);
      if (attachment) last = readAll(attachment, def);
      return last;
    };
    return {
      id,
      def,
      resolved,
      status,
      functionName: status.function ?? functionName(def, arch()),
      stats: () => read().stats,
      actions: () => read().actions,
      counts: read,
      setMode: (mode) => {
        const attachment = this.#attached.get(id);
        if (!attachment) return;
        setMode(attachment.maps, mode);
        this.#setCounting(id, mode);
      },
      memoryBytes: () => {
        const attachment = this.#attached.get(id);
        if (!attachment) return 0;
        memory ??= memoryOf(attachment);
        return memory;
      },
      unlink: async () => {
        for (const link of this.#attached.get(id)?.links ?? []) await link.closeAsync();
      },
      detach: () => {
        const attachment = this.#attached.get(id);
        if (!attachment) return;
        for (const link of attachment.links) link.close();
        const { stats, actions } = read();
        const { hook_calls: calls } = attachment.maps;
        const lost = calls ? countCallsInFlight(calls, this.#options.procfs) : 0;
        last = { stats: { ...stats, lost: stats.lost + lost }, actions };
        this.#setCounting(id, undefined);
        this.#attached.delete(id);
        this.#updateSweeper();
        closeAttachment(attachment);
        this.#context.follows.release(id);
        this.#context.scopes.release(id);
        this.#context.drift.release(id);
      },
    };
  }
}

function readAll(
  { maps, programs, links }: Attachment,
  def: HookDef,
): { stats: HookStats; actions: ActionStats[] } {
  const { hook, selectors } = readCounters(maps[".data.stats"], Math.max(1, def.selectors.length));
  return { stats: { ...hook, ...readKernelCounts(programs, links) }, actions: selectors };
}

function memoryOf(attachment: Attachment): number {
  const handles = [...Object.values(attachment.maps), ...attachment.configs];
  const maps = handles.reduce((sum, map) => sum + map.memlockBytes(), 0);
  const programs = attachment.programs.reduce((sum, program) => sum + program.info().memlockBytes, 0);
  return maps + programs;
}
