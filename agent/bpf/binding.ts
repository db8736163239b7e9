/**
 * TypeScript face of the native addon: libbpf's nouns and nothing of policies. The only file that loads bpf.node.
 * Every failure is a BpfError with errno, step and subject, a wrong argument a TypeError or RangeError. close() is
 * idempotent on every handle, and what is used after it fails with EBADF. Handles that nobody holds are closed by the
 * collector, links too: hold what shall stay.
 */

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** Thrown by everything here that the kernel or libbpf can refuse. `message` is `STEP SUBJECT: ERRNO (hint)`, e.g. `attach fentry commit_creds: EPERM`. */
export interface BpfError extends Error {
  /** Symbolic errno, e.g. "EPERM". */
  code: string;
  /** Positive errno. */
  errno: number;
  /** What was done: "open object", "load program", "attach kprobe" ... */
  step: string;
  /** What it was done to. */
  subject: string;
  /** True if the same call may succeed later: the kernel was short of something, or busy. */
  transient: boolean;
  /** The line of the verifier's log that says why it refused the program. */
  verifierReason?: string;
  /** The verifier's log where a program was refused, at most 64 KiB, its end kept. None for E2BIG: it would take as long again. */
  verifierLog?: string;
  /** What libbpf said meanwhile, its last lines. */
  libbpfLog?: string;
}

/**
 * A BPF object file. Programs whose autoload is off are neither relocated nor loaded. Programs whose section names no
 * target (`SEC("fentry")`, fexit, fmod_ret, lsm, kprobe, kretprobe, tp, tracepoint, raw_tp) are templates: relocated, never
 * shown to the verifier, and good for clone() alone. So the object also loads where the kernel refuses their kind.
 */
export interface BpfObject {
  programNames(): string[];
  mapNames(): string[];
  /** Before load(): leaves a program out. */
  setAutoload(program: string, autoload: boolean): void;
  /** Before load(). */
  setMaxEntries(map: string, maxEntries: number): void;
  /** Before load(): overwrites the initial contents of a global data section's map (`.rodata`) at an offset. */
  setInitialValue(map: string, bytes: Uint8Array, offset?: number): void;
  load(): void;
  /** After load(). The handle outlives the object's. Data sections answer to their section's name too: `.rodata`. */
  map(name: string): BpfMap;
  /** After load(). The handle outlives the object's; its maps stay in the kernel until it is closed. */
  program(name: string): BpfProgram;
  /** BTF of the object: byte offsets of a struct's members by name, for the check that TypeScript agrees with C. */
  structLayout(name: string): { size: number; members: Record<string, { offset: number; size: number }> };
  close(): void;
}

export type ProgramType = "kprobe" | "tracing" | "raw_tracepoint" | "tracepoint" | "lsm";
export type AttachType =
  | "trace_fentry"
  | "trace_fexit"
  | "modify_return"
  | "trace_raw_tp"
  | "lsm_mac"
  | "none";

export interface BpfProgram {
  readonly name: string;
  /** -1 for a template and after close(). */
  readonly fd: number;
  /** Instructions after relocation (8 bytes each). */
  instructionCount(): number;
  /**
   * Loads a copy of this program's relocated instructions with some maps replaced, without parsing anything again.
   * `maps` goes from map name in the object to the map to use instead.
   * What frozen BPF_F_RDONLY_PROG maps among them decide is decided now (kernels since 6.1): the copy has no branches for
   * other contents.
   */
  clone(options: CloneOptions): BpfProgram;
  attachRawTracepoint(name: string): BpfLink;
  /** fentry, fexit, fmod_ret and LSM programs: the target was given at load. */
  attachTracing(): BpfLink;
  /** perf kprobe on a symbol; a link where the kernel has perf links (5.15), else the perf event itself. */
  attachKprobe(symbol: string, options?: { retprobe?: boolean }): BpfLink;
  attachTracepoint(subsystem: string, event: string): BpfLink;
  /** Runs a raw tracepoint's program once, here and now, with this context (8 bytes an argument); what it returned. */
  testRun(context: Uint8Array): number;
  /** From bpf_prog_info: verified instructions, memory and the runs that the kernel skipped (5.12+, else 0). */
  info(): {
    id: number;
    xlatedInstructions: number;
    jitedBytes: number;
    memlockBytes: number;
    recursionMisses: number;
  };
  close(): void;
}

export interface CloneOptions {
  name: string;
  type: ProgramType;
  expectedAttachType: AttachType;
  /** BTF id of the function (kernel BTF) for tracing and LSM programs. */
  attachBtfId?: number;
  /** It may wait: for helpers that read files. */
  sleepable?: boolean;
  maps?: Record<string, BpfMap>;
}

export interface BpfLink {
  /**
   * Hits that a kprobe missed because another one was running on that CPU, and calls that a kretprobe missed because
   * too many were in flight (counted since 6.7, else 0). After close() the last count stays.
   */
  missed(): number;
  close(): void;
}

export type MapType =
  | "hash"
  | "array"
  | "percpu_array"
  | "percpu_hash"
  | "lru_hash"
  | "lru_percpu_hash"
  | "lpm_trie"
  | "ringbuf";

export interface CreateMapOptions {
  name: string;
  type: MapType;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  /** BPF_F_* bits. */
  flags?: number;
}

export interface BpfMap {
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** For per-CPU maps: the values of all possible CPUs, one after the other, each padded to 8; update() takes the same. */
  lookup(key: Uint8Array): Uint8Array | undefined;
  update(key: Uint8Array, value: Uint8Array): void;
  /** False when there was no such key. */
  delete(key: Uint8Array): boolean;
  keys(): Uint8Array[];
  /** No more writes from user space; the verifier may then treat a BPF_F_RDONLY_PROG map as constants. */
  freeze(): void;
  memlockBytes(): number;
  close(): void;
}

/** A parameter or return value in a kernel function's BTF prototype. */
export interface BtfParam {
  name: string;
  /** As C would spell it: `struct cred *`, `const struct pt_regs *`, `unsigned int`, `kuid_t`. */
  type: string;
  /** For describeType(). */
  typeId?: number;
}

/** A member of a struct or union; those of an anonymous one are not its owner's here. */
export interface BtfMember {
  name: string;
  bitOffset: number;
  /** Of a bit-field, else 0. */
  bitSize: number;
  type: number;
}

/** A type without its names and qualifiers: unions are structs, enums and booleans are integers. */
export type BtfType =
  | { kind: "struct"; name: string; size: number; members: BtfMember[] }
  | { kind: "pointer"; size: 8; target: number }
  | { kind: "array"; size: number; target: number; count: number }
  | { kind: "integer"; size: number; signed: boolean }
  | { kind: "other" };

export interface FuncProto {
  btfId: number;
  params: BtfParam[];
  returnType: string;
}

/** The running kernel's BTF, parsed once. */
export interface KernelBtf {
  funcProto(name: string): FuncProto | undefined;
  /** Parameters of a tracepoint, by its typedef `btf_trace_NAME`, which the id is of. */
  tracepointProto(name: string): FuncProto | undefined;
  hasStruct(name: string): boolean;
  /** The same with the types of a loaded module, which are found first; ENOENT where the kernel has none of it. */
  module(name: string): KernelBtf;
  /** Id of a struct or union. */
  structId(name: string): number | undefined;
  /** Id 0 is void. */
  describeType(id: number): BtfType;
  /** Value of an enumerator, e.g. ("bpf_func_id", "BPF_FUNC_get_current_task_btf"). */
  enumValue(enumName: string, enumerator: string): number | undefined;
  structMember(structName: string, member: string): { offset: number; size: number } | undefined;
  close(): void;
}

export interface RingReaderOptions {
  /**
   * Called on the main thread with whole records one after the other, each padded to 8; the buffer is the callee's.
   * What it throws is an uncaught exception, or comes out of flush() when that called it. While a promise that it
   * returned is pending, records wait as if the main thread were busy; flush() does not.
   */
  onBatch: (batch: ArrayBuffer) => void | Promise<void>;
  /** How long the reader thread waits between two looks at the ring while records keep coming; 10 by default. */
  pollMs?: number;
  /**
   * An array map of one 32-bit word with BPF_F_MMAPABLE: not 0 while the reader sleeps without a timer, which it does
   * once the ring has stayed empty for `pollMs`. The programs that fill the ring must read the word before they post and
   * ask for a wake-up (BPF_RB_FORCE_WAKEUP) then. Absent: the reader looks at the ring every `pollMs` for ever.
   */
  sleepFlag?: BpfMap;
  /** Upper bound of one batch, 256 KiB by default; only a single larger record exceeds it. */
  batchBytes?: number;
  /** How much may wait for the main thread, 32 MiB by default; one batch may in any case, and exceed it. */
  backlogBytes?: number;
}

/**
 * Reads a ring buffer in a thread of its own. While the main thread is busy records wait in memory, up to a bound: then
 * the ring fills, where losses are counted. It keeps no process alive.
 */
export interface RingReader {
  /** Delivers what is in the ring now, before it returns; of more than `maxBytes` the oldest. True if more may be there. */
  flush(maxBytes?: number): boolean;
  close(): void;
}

export interface Binding {
  openObject(path: string): BpfObject;
  createMap(options: CreateMapOptions): BpfMap;
  /** Throws ENOENT when the kernel has no BTF. */
  loadKernelBtf(path?: string): KernelBtf;
  readRing(ring: BpfMap, options: RingReaderOptions): RingReader;
  /** CLOCK_BOOTTIME in nanoseconds, the clock of the records. */
  bootTimeNs(): bigint;
  /**
   * Returns when every program that runs now, save sleepable ones, has ended and its CPU has left the probe: what a hit in
   * flight still does is done. Takes one RCU grace period, some 10 ms.
   */
  waitForPrograms(): void;
  possibleCpus(): number;
  /** Where tracefs is: where it is mounted, or else mounted for this process alone; empty where that is not possible. */
  tracefsPath(): string;
  libbpfVersion(): string;
}

/** The addon of `npm run build`; loads it once per process. */
export function loadBinding(path = fileURLToPath(new URL("../../build/bpf.node", import.meta.url))): Binding {
  try {
    return createRequire(import.meta.url)(path) as Binding;
  } catch (error) {
    throw new Error(`load ${path}: ${(error as Error).message} (\`npm run build\` makes it)`, {
      cause: error,
    });
  }
}

/** Tells a refusal by the kernel or libbpf from a programming error. */
export function isBpfError(error: unknown): error is BpfError {
  return error instanceof Error && error.name === "BpfError";
}
