/** A bounded queue in front of a slow destination. */
import type { HookLosses } from "../../metrics/losses.ts";
import { LossReport, type LossReportOptions } from "./loss-report.ts";
import { type EventSink, noExports } from "./sink.ts";

/** A destination that takes bytes whole or not at all. */
export interface WriteTarget {
  /** Rejects when the bytes could not be written; nothing of them is left in the destination then. */
  write(bytes: Uint8Array): Promise<void>;
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
}

/** Writes in order, one write at a time, many chunks in one when they have piled up; counts what it must drop. */
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

  constructor(target: WriteTarget, options: WriteQueueOptions) {
    this.#target = target;
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? MAX_BYTES;
    this.#maxWriteBytes = Math.min(options.maxWriteBytes ?? MAX_WRITE_BYTES, MAX_WRITE_BYTES);
    this.#report = new LossReport(options);
  }

  write(bytes: Uint8Array, events: number, losses: readonly HookLosses[] = []): void {
    if (this.#waitingBytes + bytes.length > this.#maxBytes) {
      this.stats.overflowedEvents += events;
      for (const hook of losses) hook.queue++;
      this.#report.overflowed(events);
      return;
    }
    this.#chunks.push({ bytes, events, losses });
    this.#waitingBytes += bytes.length;
    this.#pumping ??= this.#pump();
  }

  room(): Promise<void> | undefined {
    if (this.#hasRoom || this.#isStuck) return undefined;
    this.#patience ??= setTimeout(() => {
      this.#isStuck = true;
      this.#endWait();
    }, PATIENCE_MS).unref();
    this.#waitingForRoom ??= Promise.withResolvers();
    return this.#waitingForRoom.promise;
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
    while (this.#chunks.length > 0) {
      const { bytes, events, chunks } = this.#next();
      try {
        await this.#target.write(bytes);
        this.stats.events += events;
        this.stats.bytes += bytes.length;
        this.stats.lastExportSeconds = this.#options.now() / 1000;
        this.#report.wentOut();
      } catch (error) {
        this.stats.failedEvents += events;
        this.stats.errors++;
        for (const chunk of this.#chunks.slice(0, chunks)) for (const hook of chunk.losses) hook.export++;
        this.#report.refused(events, error as Error);
      }
      this.#chunks.splice(0, chunks);
      this.#waitingBytes -= bytes.length;
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
  #next(): Pick<Chunk, "bytes" | "events"> & { chunks: number } {
    const first = this.#chunks[0] as Chunk;
    let { events } = first;
    let size = first.bytes.length;
    let chunks = 1;
    for (const chunk of this.#chunks.slice(1)) {
      if (size + chunk.bytes.length > this.#maxWriteBytes) break;
      size += chunk.bytes.length;
      events += chunk.events;
      chunks++;
    }
    if (chunks === 1) return { ...first, chunks };
    const bytes = Buffer.concat(
      this.#chunks.slice(0, chunks).map((chunk) => chunk.bytes),
      size,
    );
    return { bytes, events, chunks };
  }
}
