/** Tells whether what the kernel writes into the ring buffer still arrives. Pure but for the clock that it is given. */

/** Counters that only ever grow. */
export interface RingProgress {
  /** Records that programs have written. */
  posted: number;
  /** Bytes that have been read. */
  read: number;
}

/** Longer than any pause of a loaded node. */
const STUCK_MS = 30_000;

/** Records that are written and not read for half a minute mean that the reader is gone: only a restart helps. */
export class RingHealth {
  readonly #now: () => number;
  #last: RingProgress = { posted: 0, read: 0 };
  /** Since when something is waiting and nothing is read. */
  #waitingSince: number | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** To be asked from time to time; undefined while all is well. */
  check(progress: RingProgress): string | undefined {
    if (progress.read !== this.#last.read) {
      this.#last = progress;
      this.#waitingSince = undefined;
    } else if (progress.posted > this.#last.posted) {
      this.#waitingSince ??= this.#now();
    }
    if (this.#waitingSince === undefined) return undefined;
    const ms = this.#now() - this.#waitingSince;
    return ms < STUCK_MS ? undefined : `nothing read from the ring buffer for ${Math.round(ms / 1000)} s`;
  }
}
