/** The hook engine: one loaded object, one ring, process sensors, and hooks that come and go. */
import { arch, machine, release } from "node:os";
import { join } from "node:path";
import type { AttachKind } from "../../crds/conditions.ts";
import type { HookDef } from "../../crds/hook-spec.ts";
import { type Attachment, closeAttachment } from "./attach-entry.ts";
import { attachHook, type HookContext, type HookStatus } from "./attach-hook.ts";
import { detectFeatures, type KernelFeatures } from "./features.ts";
import { addStats, type HookStats, NO_STATS, readStats } from "./hook-stats.ts";
import { type EngineOptions, type Handles, openHandles } from "./open-engine.ts";
import { probeEntry } from "./probe.ts";
import { seedImage } from "./process-images.ts";
import { functionName, KernelSymbols } from "./symbols.ts";

export type { HookStatus } from "./attach-hook.ts";
export type { HookStats } from "./hook-stats.ts";
export type { EngineOptions } from "./open-engine.ts";

/** One hook; `detach()` is idempotent. */
export interface AttachedHook {
  readonly id: number;
  readonly def: HookDef;
  readonly status: HookStatus;
  /** Name of the function in events, also where the hook is not attached. */
  readonly functionName: string;
  /** After detach() the last counts. */
  stats(): HookStats;
  /** Of its maps and its program. */
  memoryBytes(): number;
  detach(): void;
}

/** Keys of sensor_stats: enum record_kind. */
const SENSOR_KINDS = [1, 2, 3];

/** Attaches hooks while it runs; closing it detaches them. */
export class HookEngine {
  readonly features: KernelFeatures;
  readonly processSensors: { exec: AttachKind; fork: AttachKind; exit: AttachKind } = {
    exec: "raw_tracepoint",
    fork: "raw_tracepoint",
    exit: "raw_tracepoint",
  };
  readonly #options: EngineOptions;
  readonly #handles: Handles;
  readonly #context: HookContext;
  readonly #attached = new Map<number, Attachment>();
  #nextId = 1;

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
        securityfs: options.securityfs ?? "/sys/kernel/security",
      },
      (kind) => probeEntry({ bpf, object }, btf, kind),
    );
    const symbols = new KernelSymbols(btf, join(procfs, "kallsyms"));
    this.#context = { bpf, object, procfs, symbols, features: this.features };
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

  /** Loads and attaches one hook under a fresh id; never throws: the status says what happened. */
  attach(def: HookDef): AttachedHook {
    const id = this.#nextId++;
    const { status, attachment } = attachHook(this.#context, id, def);
    if (attachment) this.#attached.set(id, attachment);
    const level = status.state === "Attached" || status.state === "Skipped" ? "info" : "warn";
    this.#options.logger.log(level, `hook ${def.call}`, { hookId: id, ...status });
    return this.#describe(id, def, status);
  }

  /** Delivers what is in the ring before it returns. */
  flush(): void {
    this.#handles.reader.flush();
  }

  /** Counters of the three sensors together. */
  processStats(): HookStats {
    const { sensorStats } = this.#handles.maps;
    return SENSOR_KINDS.map((kind) => ({ ...readStats(sensorStats, kind), missed: 0 })).reduce(
      addStats,
      NO_STATS,
    );
  }

  /** Tells the kernel side what a process that was there before runs; what an exec has said meanwhile stays. */
  seedImage(pid: number, exePath: string): void {
    seedImage(this.#handles.maps.processImages, pid, exePath);
  }

  /** Detaches everything; idempotent. */
  close(): void {
    for (const attachment of this.#attached.values()) closeAttachment(attachment);
    this.#attached.clear();
    const { links, reader, maps, object, btf } = this.#handles;
    for (const handle of [...links, reader, maps.sensorStats, maps.processImages, object, btf])
      handle.close();
  }

  #describe(id: number, def: HookDef, status: HookStatus): AttachedHook {
    let last = NO_STATS;
    const stats = (): HookStats => {
      const attachment = this.#attached.get(id);
      if (attachment) {
        last = {
          ...readStats(attachment.maps.hook_stats, 0),
          missed: attachment.program.info().recursionMisses,
        };
      }
      return last;
    };
    return {
      id,
      def,
      status,
      functionName: status.function ?? functionName(def, arch()),
      stats,
      memoryBytes: () => memoryOf(this.#attached.get(id)),
      detach: () => {
        const attachment = this.#attached.get(id);
        if (!attachment) return;
        attachment.link.close();
        stats();
        this.#attached.delete(id);
        closeAttachment(attachment);
      },
    };
  }
}

function memoryOf(attachment: Attachment | undefined): number {
  if (!attachment) return 0;
  const maps = Object.values(attachment.maps).reduce((sum, map) => sum + map.memlockBytes(), 0);
  return maps + attachment.program.info().memlockBytes;
}
