/**
 * TypeScript interface of the native addon, in libbpf's terms, without any knowledge of policies. Only this file loads
 * bpf.node. Each failure is a BpfError with errno, step and subject; a wrong argument causes a TypeError or RangeError.
 * close() is idempotent on every handle, and using a handle after close() fails with EBADF. The garbage collector
 * closes unreferenced handles, links included, so keep a reference to every handle that must stay open.
 */

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { BtfType } from "../../policy/members/kernel-types.ts";

/**
 * Thrown when the kernel or libbpf refuses a request. `message` is `STEP SUBJECT: ERRNO (hint)`, for example
 * `attach fentry commit_creds: EPERM`.
 */
export interface BpfError extends Error {
  /** Symbolic errno, e.g. "EPERM". */
  code: string;
  /** Positive errno. */
  errno: number;
  /** The step that failed: "open object", "load program", "attach kprobe" ... */
  step: string;
  /** The subject of the step, for example the name of a program. */
  subject: string;
  /** True if the same call may succeed later, because the kernel lacked resources or was busy. */
  transient: boolean;
  /** The line of the verifier's log that says why it refused the program. */
  verifierReason?: string;
  /**
   * The last 64 KiB of the verifier's log of a refused program. Absent for E2BIG, because a second verification for the
   * log would take as long again.
   */
  verifierLog?: string;
  /** The last lines that libbpf logged during the step. */
  libbpfLog?: string;
}

/**
 * A BPF object file. Programs whose autoload is off are neither relocated nor loaded. Programs whose section names no
 * target (`SEC("fentry")`, fexit, fmod_ret, iter, lsm, kprobe, kretprobe, tp, tracepoint, raw_tp) are templates: they are
 * relocated, but only their clones are loaded. So the object also loads on kernels that refuse programs of their type.
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
  /**
   * Once. `rdonlyCast` is the BTF id of the kernel's function bpf_rdonly_cast(), which programs may call and which leaves
   * the verifier less to do; without it their calls of it do nothing.
   */
  load(options?: { rdonlyCast?: number }): void;
  /** After load(). The handle outlives the object's. A data section is also found by its section name, `.rodata`. */
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
  | "trace_iter"
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
   * `maps` has the replacement for each map, by the map's name in the object. Branches that depend only on the content
   * of frozen BPF_F_RDONLY_PROG maps are decided now (on kernels since 6.1), and the copy lacks the ones not taken.
   */
  clone(options: CloneOptions): BpfProgram;
  /** As clone(); the verifier runs in another thread. The maps may be closed meanwhile. */
  cloneAsync(options: CloneOptions): Promise<BpfProgram>;
  attachRawTracepoint(name: string): BpfLink;
  /** As attachRawTracepoint(), in another thread. The program may be closed meanwhile. So do the other three. */
  attachRawTracepointAsync(name: string): Promise<BpfLink>;
  /** fentry, fexit, fmod_ret and LSM programs: the target was given at load. */
  attachTracing(): BpfLink;
  attachTracingAsync(): Promise<BpfLink>;
  /** perf kprobe on a symbol; a link where the kernel has perf links (5.15), else the perf event itself. */
  attachKprobe(symbol: string, options?: { retprobe?: boolean }): BpfLink;
  attachKprobeAsync(symbol: string, options?: { retprobe?: boolean }): Promise<BpfLink>;
  attachTracepoint(subsystem: string, event: string): BpfLink;
  attachTracepointAsync(subsystem: string, event: string): Promise<BpfLink>;
  /** Runs a raw tracepoint's program once, with this context (8 bytes per argument), and returns its result. */
  testRun(context: Uint8Array): number;
  /** Runs a clone of a `SEC("iter")` template over all objects of its target; returns what it wrote with bpf_seq_write. */
  runIterator(): Uint8Array;
  /**
   * From bpf_prog_info: verified instructions, memory, the runs that the kernel skipped (5.12+, else 0), and those that it
   * counted and timed while kernel.bpf_stats_enabled was 1.
   */
  info(): {
    id: number;
    xlatedInstructions: number;
    jitedBytes: number;
    memlockBytes: number;
    recursionMisses: number;
    runs: number;
    runNs: number;
  };
  close(): void;
}

export interface CloneOptions {
  name: string;
  type: ProgramType;
  expectedAttachType: AttachType;
  /** BTF id of the function (kernel BTF) for tracing and LSM programs; of `bpf_iter_TARGET` for iterators. */
  attachBtfId?: number;
  /** The program may sleep, which helpers that read files need. */
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
  /** As close(), in another thread: before it lets go of a function, the kernel waits for all CPUs, up to a second. */
  closeAsync(): Promise<void>;
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
  /** For a per-CPU map, the values of all possible CPUs in order, each padded to 8 bytes; update() takes the same. */
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
  /** The type in C: `struct cred *`, `const struct pt_regs *`, `unsigned int`, `kuid_t`. */
  type: string;
  /** For describeType(). */
  typeId?: number;
}

export interface FuncProto {
  btfId: number;
  params: BtfParam[];
  returnType: string;
}

/** The running kernel's BTF, parsed. */
export interface KernelBtf {
  funcProto(name: string): FuncProto | undefined;
  /** Parameters of a tracepoint. The id is that of its typedef `btf_trace_NAME`. */
  tracepointProto(name: string): FuncProto | undefined;
  hasStruct(name: string): boolean;
  /** The BTF of a loaded module on top of the kernel's; its own types are found first. ENOENT if it has no BTF. */
  module(name: string): KernelBtf;
  /** Id of a struct or union. */
  structId(name: string): number | undefined;
  /** Id 0 is void. */
  describeType(id: number): BtfType;
  /** Value of an enumerator, e.g. ("bpf_func_id", "BPF_FUNC_get_current_task_btf"). */
  enumValue(enumName: string, enumerator: string): number | undefined;
  structMember(structName: string, member: string): { offset: number; size: number } | undefined;
  /** Reads released types again, in another thread; resolves at once if they are there. */
  readAsync(): Promise<void>;
  /** Frees the parsed types, some 15 MB; the next use parses them again. Types of modules stay. */
  release(): void;
  close(): void;
}

export interface RingReaderOptions {
  /**
   * Called on the main thread with complete records, one after the other, each padded to 8 bytes, so many bytes. The
   * callee owns the buffer, except with `reuseBuffer`. An error that it throws is rethrown by flush() if that made the call, else it is an uncaught exception.
   * While a returned promise is pending, records wait as if the main thread were busy. flush() does not wait for it.
   */
  onBatch: (batch: ArrayBuffer, bytes: number) => void | Promise<void>;
  /** Calls get one and the same buffer of `batchBytes`, except for records that are larger. Its content is valid until the call returns. */
  reuseBuffer?: boolean;
  /**
   * How often the reader thread checks the ring while records arrive, and how long the first one after silence waits for
   * others; 10 by default.
   */
  pollMs?: number;
  /**
   * An array map of one 32-bit integer with BPF_F_MMAPABLE. It is not 0 while the reader sleeps without a timer, which
   * begins when the ring has stayed empty for `pollMs`. Programs must read the flag before they post a record, and ask
   * for a wake-up (BPF_RB_FORCE_WAKEUP) if it is set. Without the map the reader checks the ring every `pollMs`.
   */
  sleepFlag?: BpfMap;
  /** Upper bound of a batch, 256 KiB by default. Only a single larger record exceeds it. */
  batchBytes?: number;
  /** Upper bound of the bytes that wait for the main thread, 32 MiB by default. The last batch may exceed it. */
  backlogBytes?: number;
}

/**
 * Reads a ring buffer in a thread of its own. While the main thread is busy, records wait in memory up to a limit.
 * Beyond it the ring fills, and programs count the records that they lose. The reader does not keep the process alive.
 */
export interface RingReader {
  /** Delivers the records in the ring, oldest first, at most `maxBytes` of them. True if the ring may hold more. */
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
   * Returns when every program that runs now has ended, except sleepable ones. All hits that are in flight now have
   * then been handled. Takes one RCU grace period, some 10 ms.
   */
  waitForPrograms(): void;
  /** As waitForPrograms(), in another thread. */
  waitForProgramsAsync(): Promise<void>;
  /**
   * Gives memory back to the kernel that is not in use: freed blocks of malloc, and pages of the program's own files. A
   * page that is used again costs a minor fault, so call it once after work that will not come back soon.
   */
  releaseMemory(): void;
  /** As releaseMemory(), in another thread, and of the program's files only Node's own. For work that goes on. */
  trimMemoryAsync(): Promise<void>;
  /**
   * From now on, maps of this process are read and written without the bpf() system call, during which the kernel skips
   * the kprobe programs of its CPU: hashes and per-CPU maps by a program of their own, arrays by their memory. False where
   * the kernel cannot run such programs (before 6.1). What is left to the system call, as updates of constants and of
   * per-CPU maps, is done as a real-time task if CAP_SYS_NICE allows it, else at the beginning of a time slice.
   */
  useMapPrograms(): boolean;
  possibleCpus(): number;
  /** Path of tracefs. If it is not mounted, mounts it for this process alone; empty if that is not possible. */
  tracefsPath(): string;
  libbpfVersion(): string;
}

/** The addon of `npm run build`; loads it once per process. */
export function loadBinding(path = fileURLToPath(import.meta.resolve("#project/build/bpf.node"))): Binding {
  try {
    return createRequire(import.meta.url)(path) as Binding;
  } catch (error) {
    throw new Error(`load ${path}: ${(error as Error).message} (\`npm run build\` makes it)`, {
      cause: error,
    });
  }
}

/** True for a refusal by the kernel or libbpf, false for a programming error. */
export function isBpfError(error: unknown): error is BpfError {
  return error instanceof Error && error.name === "BpfError";
}
