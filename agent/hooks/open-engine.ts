/** Everything that the engine opens once: object, ring reader and process sensors. */
import { release, version } from "node:os";
import type { Logger } from "../../lib/logger.ts";
import type {
  Binding,
  BpfLink,
  BpfMap,
  BpfObject,
  BpfProgram,
  KernelBtf,
  RingReader,
} from "../bpf/binding.ts";
import { loadTemplate, RAW_TRACEPOINT } from "../bpf/load-template.ts";
import type { CountedHits } from "./hit-counts.ts";
import { HookError } from "./hook-error.ts";
import {
  detectPreemption,
  type Preemption,
  preemptsPrograms,
  readPreemptionMode,
} from "./kernel/preemption.ts";
import type { FollowMaps } from "./processes/follow-table.ts";
import type { Workloads } from "./scopes/scope-table.ts";
import { attachSensors } from "./sensors.ts";

/** What the engine is started with. */
export interface EngineOptions {
  /** build/bpf/trigon.bpf.o. */
  objectPath: string;
  bpf: Binding;
  /** The host's procfs; `host_ns` stands for the namespaces of its process 1. */
  procfs: string;
  /** Why no hook can be attached on this node; the process sensors run all the same. */
  refusal?: string;
  logger: Logger;
  /** Receives records of bpf/include/event.h, one after the other, each padded to 8 bytes, so many bytes. */
  onBatch(batch: ArrayBuffer, bytes: number): void | Promise<void>;
  /** The buffer is used again after each call. */
  reuseBuffer?: boolean;
  /** Receives what hooks in the mode count have counted, by process; not called while none is in that mode. */
  onHitCounts?(counts: readonly CountedHits[]): void;
  /** Absent: all processes are the host's. */
  workloads?: Workloads;
  /** Size of the ring, a power of two of pages; 4 MiB by default. */
  ringBytes?: number;
  /** How many cgroups of pods have room; 16,384 by default. */
  maxCgroups?: number;
  /** How many bytes may wait in memory while the main thread is busy; the reader's default if absent. */
  backlogBytes?: number;
  /** Kernel BTF; /sys/kernel/btf/vmlinux by default. */
  btfPath?: string;
  /** Hooks that read credentials compare them with those that the kernel gave, and so do commits, forks and exits. */
  credentialDrift?: boolean;
  /** The directory with the file `lsm`; /sys/kernel/security by default. */
  securityfs?: string;
}

/** The handles that stay open until the engine is closed. */
export interface Handles {
  object: BpfObject;
  btf: KernelBtf;
  reader: RingReader;
  maps: FollowMaps & {
    sensorStats: BpfMap;
    seededImage: BpfMap;
    cgroupScopes: BpfMap;
    scopesAreFull: BpfMap;
    hitCounts: BpfMap;
  };
  sensors: BpfProgram[];
  /** Gives an image to a process that started before the sensors: process_seed. */
  seed: BpfProgram;
  preemption: Preemption;
  links: BpfLink[];
}

/** Passes every handle to `keep` as it opens it, so that the caller can close them all if a later step throws. */
export function openHandles(
  options: EngineOptions,
  keep: <T extends { close(): void }>(handle: T) => T,
): Handles {
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
  if (options.maxCgroups !== undefined) object.setMaxEntries("cgroup_scopes", options.maxCgroups);
  object.load({ rdonlyCast: btf.funcProto("bpf_rdonly_cast")?.btfId ?? 0 });
  // The reader starts before the sensors, so that it reads their first records too.
  const { onBatch, reuseBuffer = false, backlogBytes } = options;
  const sleepFlag = object.map(".data.reader");
  const reader = keep(
    bpf.readRing(object.map("events"), {
      onBatch,
      reuseBuffer,
      sleepFlag,
      ...(backlogBytes !== undefined && { backlogBytes }),
    }),
  );
  sleepFlag.close(); // the reader holds it
  const preemption = detectPreemption({
    version: version(),
    debugfs: "/sys/kernel/debug",
    readMode: () => readPreemptionMode(object, btf),
  });
  const preempts = preemptsPrograms(preemption);
  const { programs: sensors, links } = attachSensors({ object, btf, preempts, logger: options.logger }, keep);
  const maps = {
    sensorStats: keep(object.map("sensor_stats")),
    seededImage: keep(object.map("seeded_image")),
    cgroupScopes: keep(object.map("cgroup_scopes")),
    scopesAreFull: keep(object.map("scopes_are_full")),
    hitCounts: keep(object.map("hit_counts")),
    followPaths: keep(object.map("follow_paths")),
    followPids: keep(object.map("follow_pids")),
    followSeeds: keep(object.map("follow_seeds")),
    followCount: keep(object.map("follow_count")),
    followed: keep(object.map("followed")),
  };
  const seed = keep(loadTemplate(object, { name: "process_seed", ...RAW_TRACEPOINT }));
  return { object, btf, reader, maps, sensors, seed, links, preemption };
}
