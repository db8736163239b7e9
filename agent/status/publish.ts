/** Keeps this node's TracingNode in the API server up to date. */
import { isDeepStrictEqual } from "node:util";
import { type BackoffOptions, backoffMs } from "../../lib/backoff.ts";
import type { Logger } from "../../lib/logger.ts";
import { errorText } from "../../lib/logger.ts";
import type { TracingNodeStatus } from "./tracing-node.ts";

/** The requests that the publisher makes. */
export interface TracingNodeApi {
  /** Reads the status from the API server; undefined when there is no object. */
  read(): Promise<TracingNodeStatus | undefined>;
  /** Writes the status by server-side apply; false when there is no object. */
  apply(status: TracingNodeStatus): Promise<boolean>;
  /** Creates the object, or makes the current Node its owner. */
  create(): Promise<void>;
}

/** Delays of the publisher. */
export interface PublisherTiming {
  /** Changes within this time after a write become one write. */
  coalesceMs: number;
  retry: BackoffOptions;
  /** How often to read the object when no change was reported. */
  checkMs: number;
}

const DEFAULT_TIMING: PublisherTiming = {
  coalesceMs: 500,
  retry: { initialMs: 500, maxMs: 60_000 },
  checkMs: 3_600_000,
};

interface PublisherDeps {
  api: TracingNodeApi;
  logger: Logger;
  /** Random number from 0 to 1: agents that lost the API server at the same time must not all retry at once. */
  random(): number;
  timing?: Partial<PublisherTiming>;
}

/**
 * Writes the newest status, one write at a time, and only if it has changed. Retries with backoff while writes fail.
 */
export class StatusPublisher {
  readonly #api: TracingNodeApi;
  readonly #logger: Logger;
  readonly #random: () => number;
  readonly #timing: PublisherTiming;
  #wanted: TracingNodeStatus | undefined;
  #written: string | undefined;
  #isOwned = true;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #busy = false;
  #closed = false;

  constructor(deps: PublisherDeps) {
    this.#api = deps.api;
    this.#logger = deps.logger;
    this.#random = deps.random;
    this.#timing = { ...DEFAULT_TIMING, ...deps.timing };
  }

  /** Sets the status to write; it is written soon, unless it equals the one written last. */
  publish(status: TracingNodeStatus): void {
    this.#wanted = status;
    if (this.#failures === 0 && JSON.stringify(status) !== this.#written)
      this.#schedule(this.#timing.coalesceMs);
  }

  /** Called when the Node was replaced: the garbage collector deletes the TracingNode that the old Node owned. */
  nodeReplaced(): void {
    this.#isOwned = false;
    this.#failures = 0; // earlier writes failed because the Node was missing
    this.#schedule(this.#timing.coalesceMs);
  }

  /** Called with the status in the API server, or undefined if the object is gone; corrects a difference soon. */
  objectChanged(status: TracingNodeStatus | undefined): void {
    if (this.#failures === 0 && !isDeepStrictEqual(status, this.#wanted))
      this.#schedule(this.#timing.coalesceMs);
  }

  /** Stops the publisher; it starts no further write. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    const dueAt = performance.now() + delayMs;
    if (this.#closed || dueAt >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => void this.#run(), delayMs);
  }

  async #run(): Promise<void> {
    this.#dueAt = Number.POSITIVE_INFINITY;
    if (this.#busy || !this.#wanted) return;
    this.#busy = true;
    try {
      await this.#write(this.#wanted);
      this.#failures = 0;
    } catch (error) {
      this.#written = undefined;
      this.#failures++;
      this.#logger.warn(`write TracingNode: ${errorText(error)}`, { attempt: this.#failures });
    }
    this.#busy = false;
    this.#schedule(this.#nextDelay());
  }

  async #write(status: TracingNodeStatus): Promise<void> {
    const text = JSON.stringify(status);
    if (!this.#isOwned) {
      await this.#api.create();
      this.#isOwned = true;
      this.#written = undefined;
    }
    if (text === this.#written && isDeepStrictEqual(await this.#api.read(), status)) return;
    if (!(await this.#api.apply(status))) {
      await this.#api.create();
      if (!(await this.#api.apply(status)))
        throw new Error("the object is gone again right after its creation");
    }
    this.#written = text;
  }

  #nextDelay(): number {
    const { coalesceMs, retry, checkMs } = this.#timing;
    if (this.#failures > 0) return backoffMs(retry, this.#failures - 1, this.#random);
    if (!this.#isOwned || JSON.stringify(this.#wanted) !== this.#written) return coalesceMs;
    return checkMs * (0.5 + this.#random() / 2);
  }
}
