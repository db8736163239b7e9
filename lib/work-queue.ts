/** A queue of keys. A key is queued at most once, runs alone, and is retried with backoff if its work throws. */
import { type BackoffOptions, backoffMs } from "./backoff.ts";
import { errorText, type Logger } from "./logger.ts";

/** Options of a queue. */
export interface WorkQueueOptions {
  name: string;
  logger: Logger;
  concurrency?: number;
  backoff?: BackoffOptions;
  random?: () => number;
  /** Called after each run. */
  onDone?(key: string, result: "ok" | "retry", seconds: number): void;
}

/** The work for a key. It resolves with a delay to run again later. */
export type Work = (key: string) => Promise<{ againAfterMs?: number } | undefined>;

/** Keys can be added at any time; no work runs before start(). */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #ready = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  /** Keys that were added again while they ran, and so run once more. */
  readonly #dirty = new Set<string>();
  readonly #timers = new Map<string, { at: number; timer: NodeJS.Timeout }>();
  readonly #failures = new Map<string, number>();
  #work: Work | undefined;
  #isStopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Number of keys that are ready to run. */
  get depth(): number {
    return this.#ready.size + this.#dirty.size;
  }

  /** Runs the key's work as soon as possible; adding a waiting key again has no effect. */
  add(key: string): void {
    if (this.#isStopped) return;
    this.#cancelTimer(key);
    if (this.#running.has(key)) this.#dirty.add(key);
    else this.#ready.add(key);
    this.#dispatchSoon();
  }

  /** Runs the key's work after a delay, unless it is already due earlier. */
  addAfter(key: string, delayMs: number): void {
    if (this.#isStopped || this.#ready.has(key) || this.#dirty.has(key)) return;
    const at = Date.now() + delayMs;
    const waiting = this.#timers.get(key);
    if (waiting !== undefined && waiting.at <= at) return;
    this.#cancelTimer(key);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.add(key);
    }, delayMs);
    this.#timers.set(key, { at, timer });
  }

  /** Runs at once what waits after a failure: its cause is gone. */
  retryNow(): void {
    const failed = [...this.#failures.keys()];
    this.#failures.clear();
    for (const key of failed) if (this.#timers.has(key)) this.add(key);
  }

  /** Starts the queue. The work is passed here because it may need to add keys itself. */
  start(work: Work): void {
    this.#work = work;
    this.#dispatchSoon();
  }

  /** Starts no more work, and resolves when the running work has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const key of [...this.#timers.keys()]) this.#cancelTimer(key);
    this.#ready.clear();
    this.#dirty.clear();
    await Promise.all(this.#running.values());
  }

  /** Runs later than the caller, so that add() returns before any work runs, and many adds cause one run. */
  #dispatchSoon(): void {
    queueMicrotask(() => this.#dispatch());
  }

  #dispatch(): void {
    const work = this.#work;
    if (work === undefined || this.#isStopped) return;
    for (const key of this.#ready) {
      if (this.#running.size >= (this.#options.concurrency ?? 1)) return;
      this.#ready.delete(key);
      this.#running.set(key, this.#run(key, work));
    }
  }

  async #run(key: string, work: Work): Promise<void> {
    const started = performance.now();
    let result: "ok" | "retry" = "ok";
    let againAfterMs: number | undefined;
    try {
      againAfterMs = (await work(key))?.againAfterMs;
      this.#failures.delete(key);
    } catch (error) {
      result = "retry";
      againAfterMs = this.#failed(key, error);
    }
    this.#running.delete(key);
    this.#options.onDone?.(key, result, (performance.now() - started) / 1000);
    if (this.#dirty.delete(key)) this.add(key);
    else if (againAfterMs !== undefined) this.addAfter(key, againAfterMs);
    this.#dispatch();
  }

  /** Counts and logs a failure; returns the delay before the next try. */
  #failed(key: string, error: unknown): number {
    const { name, logger, backoff = { initialMs: 200, maxMs: 60_000 }, random = Math.random } = this.#options;
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const ms = Math.round(backoffMs(backoff, failures, random));
    logger.warn(`${name} ${key} failed, again in ${ms} ms: ${errorText(error)}`);
    return ms;
  }

  #cancelTimer(key: string): void {
    clearTimeout(this.#timers.get(key)?.timer);
    this.#timers.delete(key);
  }
}
