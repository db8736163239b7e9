/** Checks whether the reader still reads the records in the ring buffer. Pure except for the clock, an argument. */

/** Counters that only ever grow. */
export interface RingProgress {
  /** Records that programs have written. */
  posted: number;
  /** Bytes that have been read. */
  read: number;
}

/** Longer than any pause of a loaded node. */
const STUCK_MS = 30_000;

/** If records are written and not read for half a minute, the reader has ended: only a restart helps. */
export class RingHealth {
  readonly #now: () => number;
  #last: RingProgress = { posted: 0, read: 0 };
  /** Since when records have been waiting without being read. */
  #waitingSince: number | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The problem, undefined while there is none; call it regularly. */
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
