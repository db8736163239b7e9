/** The events of one client: a bounded backlog in front of a connection that may be slow. */

import type { OutputSink } from "../events/outputs.ts";
import type { HookLosses } from "../metrics/losses.ts";
import type { StreamCounts } from "../metrics/stream-metrics.ts";

/** What a stream needs of its client and of the clock. */
export interface EventStreamDeps {
  /** False: the connection is full until drained() is called. */
  send(message: Uint8Array): boolean;
  /** The message about lost events. */
  lossMessage(lost: number): Uint8Array;
  /** Called once: the client has taken nothing for `patienceMs` while its backlog was full. */
  onStuck(lost: number): void;
  /** Counts, for metrics. */
  counts: Pick<StreamCounts, "sent" | "lost">;
  nowMs(): number;
  limits?: StreamLimits;
}

/** Bounds of one stream. */
export interface StreamLimits {
  /** Events and bytes that wait at most. Streams that get the same events share their bytes. */
  maxEvents: number;
  maxBytes: number;
  /** How long a full backlog may stand still. */
  patienceMs: number;
}

const LIMITS: StreamLimits = { maxEvents: 4_096, maxBytes: 8 << 20, patienceMs: 30_000 };
/** Losses are reported at most this often. */
const REPORT_MS = 1_000;

/** Never waits: what does not fit into the backlog is lost for this client alone, counted, and reported in its stream. */
export class EventStream implements OutputSink {
  readonly #deps: EventStreamDeps;
  readonly #limits: StreamLimits;
  #backlog: Uint8Array[] = [];
  #first = 0;
  #bytes = 0;
  #isFull = false;
  #unreported = 0;
  #reportedAtMs = Number.NEGATIVE_INFINITY;
  #stuckSinceMs: number | undefined;
  #reporter: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(deps: EventStreamDeps) {
    this.#deps = deps;
    this.#limits = deps.limits ?? LIMITS;
  }

  write(message: Uint8Array, _events: number, losses: readonly HookLosses[]): void {
    if (this.#isClosed) return;
    if (!this.#hasRoom(message)) {
      for (const hook of losses) hook.client++;
      this.#lose();
      return;
    }
    if (this.#unreported > 0) this.#report();
    this.#put(message);
  }

  /** The connection takes messages again. */
  drained(): void {
    this.#isFull = false;
    this.#stuckSinceMs = undefined;
    while (!this.#isFull && this.#waiting > 0) this.#send(this.#next());
    if (this.#unreported > 0) this.#report();
  }

  /** A live stream has nothing that would have to be kept for an end of the agent. */
  async flush(): Promise<void> {}

  /** The client is gone. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#reporter);
    this.#backlog = [];
    this.#first = 0;
  }

  get #waiting(): number {
    return this.#backlog.length - this.#first;
  }

  #hasRoom(message: Uint8Array): boolean {
    return this.#waiting < this.#limits.maxEvents && this.#bytes + message.length <= this.#limits.maxBytes;
  }

  #put(message: Uint8Array): void {
    if (!this.#isFull && this.#waiting === 0) this.#send(message);
    else this.#hold(message);
  }

  #send(message: Uint8Array): void {
    this.#deps.counts.sent++;
    this.#isFull = !this.#deps.send(message);
  }

  #hold(message: Uint8Array): void {
    this.#backlog.push(message);
    this.#bytes += message.length;
  }

  #next(): Uint8Array {
    const message = this.#backlog[this.#first++] as Uint8Array;
    this.#bytes -= message.length;
    if (this.#first === this.#backlog.length) {
      this.#backlog = [];
      this.#first = 0;
    } else if (this.#first >= 1_024) {
      this.#backlog = this.#backlog.slice(this.#first);
      this.#first = 0;
    }
    return message;
  }

  #lose(): void {
    const nowMs = this.#deps.nowMs();
    this.#deps.counts.lost++;
    this.#unreported++;
    this.#stuckSinceMs ??= nowMs;
    if (nowMs - this.#stuckSinceMs < this.#limits.patienceMs) return;
    this.close();
    this.#deps.onStuck(this.#unreported);
  }

  /** Now, or when a second has passed since the last report. */
  #report(): void {
    if (this.#isClosed || this.#reporter !== undefined) return;
    const waitMs = this.#reportedAtMs + REPORT_MS - this.#deps.nowMs();
    if (waitMs > 0) {
      this.#reporter = setTimeout(() => {
        this.#reporter = undefined;
        if (this.#unreported > 0) this.#report();
      }, waitMs).unref();
      return;
    }
    this.#reportedAtMs = this.#deps.nowMs();
    const lost = this.#unreported;
    this.#unreported = 0;
    this.#put(this.#deps.lossMessage(lost));
  }
}
