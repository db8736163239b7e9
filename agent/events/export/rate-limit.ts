/** Bounds the events that are exported per minute. */

/** What a limit needs. */
export interface RateLimitOptions {
  perMinute: number;
  nowMs: () => number;
  /** Called once a minute while events are dropped, with how many were. */
  report: (dropped: number) => void;
}

const MINUTE_MS = 60_000;

/** A bucket of a minute's events, which fills evenly. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  #tokens: number;
  #filledAtMs: number;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RateLimitOptions) {
    this.#options = options;
    this.#tokens = options.perMinute;
    this.#filledAtMs = options.nowMs();
  }

  /** False: the event must be dropped, and counts as dropped. */
  admits(): boolean {
    this.#fill();
    if (this.#tokens >= 1) {
      this.#tokens--;
      return true;
    }
    this.#dropped++;
    this.#timer ??= setTimeout(() => this.close(), MINUTE_MS).unref();
    return false;
  }

  /** Reports what has not been reported yet. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#dropped > 0) this.#options.report(this.#dropped);
    this.#dropped = 0;
  }

  #fill(): void {
    const { perMinute, nowMs } = this.#options;
    const now = nowMs();
    const filled = this.#tokens + ((now - this.#filledAtMs) * perMinute) / MINUTE_MS;
    this.#tokens = Math.min(perMinute, filled);
    this.#filledAtMs = now;
  }
}
