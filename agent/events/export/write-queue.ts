/** A bounded queue in front of a slow destination. */
import type { HookLosses } from "../../metrics/losses.ts";
import { LossReport, type LossReportOptions } from "./loss-report.ts";
import { type EventSink, noExports } from "./sink.ts";

/** A destination that takes bytes whole or not at all. */
export interface WriteTarget {
  /** Rejects when the parts, so many bytes, could not be written; nothing of them is left in the destination then. */
  write(parts: readonly Uint8Array[], bytes: number): Promise<void>;
  close(): Promise<void>;
}

/** What the queue needs beside its target. */
export interface WriteQueueOptions extends LossReportOptions {
  /** Upper bound of what waits. */
  maxBytes?: number;
  /** Upper bound of one write, if that is less than the queue's own. */
  maxWriteBytes?: number;
}

const MAX_BYTES = 32 << 20;
/** Upper bound of one write. Larger than the events of one batch of the ring: there is one write per turn of the event loop. */
const MAX_WRITE_BYTES = 8 << 20;
/** After this long without a finished write, producers no longer wait for room. */
const PATIENCE_MS = 1_000;

interface Chunk {
  bytes: Uint8Array;
  events: number;
  losses: readonly HookLosses[];
  release: ((bytes: Uint8Array) => void) | undefined;
}

/**
 * Writes in order, one write at a time; counts what it must drop. What one batch of the ring has become goes out in one
 * write, as does what has piled up: a thread that is woken and a callback cost more than many lines.
 */
export class WriteQueue implements EventSink {
  readonly stats = noExports();
  readonly #target: WriteTarget;
  readonly #options: WriteQueueOptions;
  readonly #maxBytes: number;
  readonly #maxWriteBytes: number;
  readonly #report: LossReport;
  #chunks: Chunk[] = [];
  #waitingBytes = 0;
  #pumping: Promise<void> | undefined;
  #waitingForRoom: PromiseWithResolvers<void> | undefined;
  #patience: NodeJS.Timeout | undefined;
  #isStuck = false;
  /** How many have ended. */
  #writes = 0;

  constructor(target: WriteTarget, options: WriteQueueOptions) {
    this.#target = target;
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? MAX_BYTES;
    this.#maxWriteBytes = Math.min(options.maxWriteBytes ?? MAX_WRITE_BYTES, MAX_WRITE_BYTES);
    this.#report = new LossReport(options);
  }

  write(
    bytes: Uint8Array,
    events: number,
    losses: readonly HookLosses[] = [],
    release?: (bytes: Uint8Array) => void,
  ): void {
    if (this.#waitingBytes + bytes.length > this.#maxBytes) {
      this.stats.overflowedEvents += events;
      for (const hook of losses) hook.queue++;
      this.#report.overflowed(events);
      release?.(bytes);
      return;
    }
    this.#chunks.push({ bytes, events, losses, release });
    this.#waitingBytes += bytes.length;
    this.#pumping ??= this.#pump();
  }

  room(): Promise<void> | undefined {
    if (this.#hasRoom || this.#isStuck) return undefined;
    this.#patience ??= setTimeout(() => this.#giveUpUnlessWritten(this.#writes), PATIENCE_MS).unref();
    this.#waitingForRoom ??= Promise.withResolvers();
    return this.#waitingForRoom.promise;
  }

  /** After a busy second of the event loop its timers come before the end of a write that has been there for long. */
  #giveUpUnlessWritten(writes: number): void {
    setImmediate(() => {
      if (this.#writes !== writes || this.#waitingForRoom === undefined) return;
      this.#isStuck = true;
      this.#endWait();
    }).unref();
  }

  async flush(): Promise<void> {
    while (this.#pumping !== undefined) await this.#pumping;
  }

  async close(): Promise<void> {
    await this.flush();
    this.#report.end();
    await this.#target.close();
  }

  async #pump(): Promise<void> {
    await undefined; // the rest of this batch's chunks
    while (this.#chunks.length > 0) {
      const chunks = this.#next();
      const [events, size] = [
        total(chunks, ({ events }) => events),
        total(chunks, ({ bytes }) => bytes.length),
      ];
      try {
        await this.#target.write(
          chunks.map(({ bytes }) => bytes),
          size,
        );
        this.stats.events += events;
        this.stats.bytes += size;
        this.stats.lastExportSeconds = this.#options.now() / 1000;
        this.#report.wentOut();
      } catch (error) {
        this.stats.failedEvents += events;
        this.stats.errors++;
        for (const { losses } of chunks) for (const hook of losses) hook.export++;
        this.#report.refused(events, error as Error);
      }
      this.#chunks.splice(0, chunks.length);
      for (const { bytes, release } of chunks) release?.(bytes);
      this.#waitingBytes -= size;
      this.#writes++;
      this.#isStuck = false;
      if (this.#hasRoom) this.#endWait();
      else this.#patience?.refresh();
    }
    this.#pumping = undefined;
  }

  get #hasRoom(): boolean {
    return this.#waitingBytes <= this.#maxBytes / 2;
  }

  #endWait(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#waitingForRoom?.resolve();
    this.#waitingForRoom = undefined;
  }

  /** As many of the oldest chunks as fit into one write, at least one. */
  #next(): Chunk[] {
    let size = 0;
    const end = this.#chunks.findIndex(({ bytes }, index) => {
      size += bytes.length;
      return index > 0 && size > this.#maxWriteBytes;
    });
    return this.#chunks.slice(0, end < 0 ? undefined : end);
  }
}

function total(chunks: readonly Chunk[], of: (chunk: Chunk) => number): number {
  return chunks.reduce((sum, chunk) => sum + of(chunk), 0);
}
