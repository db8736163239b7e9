/** The hook engine: one loaded object, one ring, process sensors, and hooks that come and go. */
import { randomBytes } from "node:crypto";
import { arch, machine, release } from "node:os";
import type { AttachKind, HookReason, HookState } from "../../crds/conditions.ts";
import type { HookDef } from "../../crds/hook-spec.ts";
import { errorText, type Logger } from "../../lib/logger.ts";
import type { Binding, BpfLink, BpfMap, BpfObject, KernelBtf, RingReader } from "../bpf/binding.ts";
import { type Attachment, attachEntry, closeAttachment, failureReason } from "./attach-entry.ts";
import { chooseAttach } from "./choose.ts";
import { encodeConfig } from "./config-image.ts";
import { detectFeatures, type KernelFeatures } from "./features.ts";
import { HookError } from "./hook-error.ts";
import { addStats, type HookStats, NO_STATS, readStats } from "./hook-stats.ts";
import { hostNamespace } from "./namespaces.ts";
import { probeEntry } from "./probe.ts";
import { seedImage } from "./process-images.ts";
import { checkArguments } from "./prototype.ts";
import { functionName, KernelSymbols, type ResolvedFunction } from "./symbols.ts";

export type { HookStats } from "./hook-stats.ts";

/** What the engine is started with. */
export interface EngineOptions {
  /** build/bpf/trigon.bpf.o. */
  objectPath: string;
  bpf: Binding;
  /** The host's procfs; `host_ns` is what its process 1 has. */
  procfs: string;
  logger: Logger;
  /** Records of bpf/include/event.h, one after the other, each padded to 8. */
  onBatch(batch: ArrayBuffer): void;
  /** Size of the ring, a power of two of pages; 4 MiB by default. */
  ringBytes?: number;
  /** Kernel BTF; /sys/kernel/btf/vmlinux by default. */
  btfPath?: string;
  /** Where `lsm` is read; /sys/kernel/security by default. */
  securityfs?: string;
}

/** How a hook stands: attached and how, or why not. */
export interface HookStatus {
  path: string;
  call: string;
  state: HookState;
  attach?: AttachKind;
  /** The function that was resolved: `__x64_sys_setuid`. */
  function?: string;
  reason?: HookReason;
  /** Why it is not attached, or why not by fentry. */
  message?: string;
}

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

const SENSORS = { exec: "process_exec", fork: "process_fork", exit: "process_exit" } as const;
/** Keys of sensor_stats: enum record_kind. */
const SENSOR_KINDS = [1, 2, 3];

/** Everything that start() opened. */
interface Handles {
  object: BpfObject;
  btf: KernelBtf;
  reader: RingReader;
  maps: { sensorStats: BpfMap; processImages: BpfMap };
  links: BpfLink[];
}

export class HookEngine {
  readonly features: KernelFeatures;
  readonly processSensors: { exec: AttachKind; fork: AttachKind; exit: AttachKind } = {
    exec: "raw_tracepoint",
    fork: "raw_tracepoint",
    exit: "raw_tracepoint",
  };
  readonly #options: EngineOptions;
  readonly #handles: Handles;
  readonly #symbols: KernelSymbols;
  readonly #attached = new Map<number, Attachment>();
  #nextId = 1;

  private constructor(options: EngineOptions, handles: Handles) {
    this.#options = options;
    this.#handles = handles;
    this.#symbols = new KernelSymbols(handles.btf, `${options.procfs}/kallsyms`);
    const sources = {
      release: release(),
      architecture: machine(),
      btf: handles.btf,
      securityfs: options.securityfs ?? "/sys/kernel/security",
    };
    this.features = detectFeatures(sources, (kind) =>
      probeEntry({ bpf: options.bpf, object: handles.object }, handles.btf, kind),
    );
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
    const status: HookStatus = { path: def.path, call: def.call, state: "Failed" };
    try {
      this.#attach(id, def, status);
    } catch (error) {
      status.reason = error instanceof HookError ? error.reason : failureReason(error);
      status.message = errorText(error);
      if (status.reason === "FunctionNotFound")
        status.state = def.ignoreCallNotFound ? "Skipped" : "NotFound";
    }
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

  #attach(id: number, def: HookDef, status: HookStatus): void {
    if (def.section !== "kprobes" && def.section !== "fentries") {
      throw new HookError("KernelUnsupported", `hooks of ${def.section} are not supported`);
    }
    const target = this.#symbols.resolve(def, arch());
    status.function = target.name;
    checkArguments(def, target.name, def.syscall ? this.#syscallBody(target) : target.proto);
    const image = encodeConfig(def, {
      hookId: id,
      limitSeed: [randomBytes(8).readBigUInt64LE(), randomBytes(8).readBigUInt64LE()],
      hostNamespace: (name) => hostNamespace(this.#options.procfs, name),
    });

    const { candidates, refusals } = chooseAttach(def, target, this.features);
    const messages = refusals
      .filter(({ kind }) => kind === "fentry" || candidates.length === 0)
      .map(({ kind, reason }) => `${kind}: ${reason}`);
    let reason: HookReason = "KernelUnsupported";
    for (const kind of candidates) {
      try {
        const attachment = attachEntry(
          { bpf: this.#options.bpf, object: this.#handles.object },
          kind,
          target,
          image,
        );
        this.#attached.set(id, attachment);
        status.state = "Attached";
        status.attach = kind;
        if (messages.length > 0) status.message = messages.join("; ");
        return;
      } catch (error) {
        reason = failureReason(error);
        messages.push(`${kind}: ${errorText(error)}`);
      }
    }
    throw new HookError(reason, messages.join("; "));
  }

  /** A system call's entry point takes registers; its arguments are those of a function that may be inlined. */
  #syscallBody(target: ResolvedFunction) {
    const call = target.name.replace(/^__(x64|arm64)_/, "");
    return this.#symbols.proto(`__do_${call}`) ?? this.#symbols.proto(`__se_${call}`);
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

function openHandles(options: EngineOptions, keep: <T extends { close(): void }>(handle: T) => T): Handles {
  const { bpf } = options;
  const btf = keep(bpf.loadKernelBtf(options.btfPath));
  if (btf.enumValue("bpf_func_id", "BPF_FUNC_ringbuf_output") === undefined) {
    throw new HookError(
      "KernelUnsupported",
      `kernel ${release()} has no BPF ring buffer: 5.8 or newer is needed`,
    );
  }
  const object = keep(bpf.openObject(options.objectPath));
  if (options.ringBytes !== undefined) object.setMaxEntries("events", options.ringBytes);
  object.load();
  const reader = keep(bpf.readRing(object.map("events"), { onBatch: options.onBatch }));
  const links = Object.entries(SENSORS).map(([event, program]) =>
    keep(object.program(program).attachRawTracepoint(`sched_process_${event}`)),
  );
  const maps = {
    sensorStats: keep(object.map("sensor_stats")),
    processImages: keep(object.map("process_images")),
  };
  return { object, btf, reader, maps, links };
}

function memoryOf(attachment: Attachment | undefined): number {
  if (!attachment) return 0;
  const maps = Object.values(attachment.maps).reduce((sum, map) => sum + map.memlockBytes(), 0);
  return maps + attachment.program.info().memlockBytes;
}
