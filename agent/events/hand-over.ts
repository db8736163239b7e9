/**
 * Hits that are in flight at the instant that parts the records of a hook from those of its successor. Each of the two
 * reads the clock for itself: the successor, which the kernel runs first, may still see such a hit before the instant,
 * and the old hook only after it.
 */
export class HandOver {
  /** Threads whose last hit is the old hook's to tell. */
  readonly #inFlight = new Set<number>();

  /** Whether a record of the successor counts. */
  admitsNew(tid: number, isAfter: boolean): boolean {
    if (!isAfter) this.#inFlight.add(tid);
    else if (this.#inFlight.size > 0) this.#inFlight.delete(tid);
    return isAfter;
  }

  /** Whether a record of the old hook counts. */
  admitsOld(tid: number, isBefore: boolean): boolean {
    return this.#inFlight.delete(tid) || isBefore;
  }
}
