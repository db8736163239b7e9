import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe } from "vitest";
import {
  type BpfError,
  type BpfMap,
  type BpfObject,
  loadBinding,
  type RingReader,
  type RingReaderOptions,
} from "../binding.ts";

/** The addon under test. */
export const bpf = loadBinding();

/** Path of a BPF object of agent/native/test. */
export function testObject(name: string): string {
  return fileURLToPath(new URL(`../../../build/test/${name}.bpf.o`, import.meta.url));
}

/** A suite that needs BPF system calls. If they are refused, the suite is skipped and its name has the reason. */
export function describeBpf(name: string, body: () => void): void {
  const missing = missingCapability();
  describe.skipIf(missing)(missing ? `${name} (skipped: ${missing})` : name, body);
}

function missingCapability(): string | undefined {
  try {
    makeMap({ type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 4096 }).close();
    return undefined;
  } catch (error) {
    return `BPF is refused here: ${(error as BpfError).code}`;
  }
}

/** A map; by default an array of one integer. */
export function makeMap(options: Partial<Parameters<typeof bpf.createMap>[0]> = {}): BpfMap {
  return bpf.createMap({ name: "test", type: "array", keySize: 4, valueSize: 4, maxEntries: 1, ...options });
}

/** Integers as the bytes of a C array of __u32. */
export function u32(...values: number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(values).buffer);
}

/** Returns the error that the function throws; fails if it throws none. */
export function thrownBy(run: () => unknown): BpfError {
  try {
    run();
  } catch (error) {
    return error as BpfError;
  }
  throw new Error("nothing was thrown");
}

/** hooks.bpf.o, loaded: its program on_getuid records getuid() calls of this process while attached. */
export function loadHooks(tag = 7, bigRecordBytes = 0): BpfObject {
  const object = bpf.openObject(testObject("hooks"));
  object.setInitialValue(".rodata", u32(process.pid, tag, bigRecordBytes));
  object.load();
  return object;
}

/** hooks.bpf.o with on_getuid attached. */
export class GetuidRecorder {
  readonly object: BpfObject;
  readonly events: BpfMap;
  /** The flag that is set while the reader of `events` sleeps. */
  readonly readerSleeps: BpfMap;
  readonly #close: (() => void)[];

  constructor({ bigRecordBytes = 0 } = {}) {
    this.object = loadHooks(7, bigRecordBytes);
    this.events = this.object.map("events");
    this.readerSleeps = this.object.map("reader_sleeps");
    const program = this.object.program("on_getuid");
    const link = program.attachRawTracepoint("sys_enter");
    this.#close = [link, program, this.events, this.readerSleeps, this.object].map(
      (handle) => () => handle.close(),
    );
  }

  /** Makes the program record the next numbers; it discards every fifth. */
  record(count: number): void {
    for (let i = 0; i < count; i++) process.getuid?.();
  }

  isReaderAsleep(): boolean {
    return this.readerSleeps.lookup(u32(0))?.[0] !== 0;
  }

  close(): void {
    for (const close of this.#close) close();
  }
}

/** Collects the `number` of each struct record of hooks.bpf.c. */
export class Collector {
  numbers: number[] = [];
  batchSizes: number[] = [];

  readonly onBatch = (batch: ArrayBuffer): void => {
    const view = new DataView(batch);
    this.batchSizes.push(batch.byteLength);
    for (let at = 0; at < batch.byteLength; at += Math.ceil(view.getUint32(at, true) / 8) * 8) {
      this.numbers.push(Number(view.getBigUint64(at + 8, true)));
    }
  };

  read(events: BpfMap, options: Omit<RingReaderOptions, "onBatch"> = {}): RingReader {
    return bpf.readRing(events, { onBatch: this.onBatch, ...options });
  }
}

/** Blocks this thread, not the reader's. */
export function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Blocks this thread until the reader's thread has read all records in the ring, or waits for this thread. */
export function letReaderRead(): void {
  const task = readerTask();
  let last = lookAtTask(task);
  const enough = last.sleeps + 2; // it may have been about to fall asleep, and read once more until the next time
  while (last.sleeps < enough) {
    block(20);
    const now = lookAtTask(task);
    if (last.isAsleep && now.isAsleep && now.sleeps === last.sleeps) return; // longer than a poll lasts
    last = now;
  }
}

/** How often the reader's thread has gone to sleep; there must be only one reader. */
export function readerSwitches(): number {
  return lookAtTask(readerTask()).sleeps;
}

function readerTask(): string {
  const task = readdirSync("/proc/self/task").find((id) => taskFile(id, "comm") === "ring-reader\n");
  if (!task) throw new Error("no reader runs");
  return task;
}

function lookAtTask(id: string): { isAsleep: boolean; sleeps: number } {
  const status = taskFile(id, "status");
  return {
    isAsleep: /^State:\s+S/m.test(status),
    sleeps: Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1]),
  };
}

function taskFile(id: string, name: string): string {
  return readFileSync(`/proc/self/task/${id}/${name}`, "utf8");
}
