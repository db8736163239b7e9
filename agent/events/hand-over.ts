/**
 * Hits that are in flight at the instant that parts the records of a hook from those of its successor. Each of the two
 * reads the clock for itself: the successor, which the kernel runs first, may still see such a hit before the instant,
 * and the old hook only after it. Of a hit that neither would tell, the hook tells that posts second.
 */
export class HandOver {
  readonly #first: "new" | "old";
  /** Threads whose last hit is left to the hook that posts second. */
  readonly #inFlight = new Set<number>();

  /** `first`: which of the two posts a hit first. A hook that posts at return has read the clock at entry. */
  constructor(first: "new" | "old" = "new") {
    this.#first = first;
  }

  /** Whether a record of the successor counts. */
  admitsNew(tid: number, isAfter: boolean): boolean {
    return this.#admits("new", tid, isAfter);
  }

  /** Whether a record of the old hook counts. */
  admitsOld(tid: number, isBefore: boolean): boolean {
    return this.#admits("old", tid, isBefore);
  }

  /** `isInTime`: the hook has seen the hit on its side of the instant. */
  #admits(hook: "new" | "old", tid: number, isInTime: boolean): boolean {
    if (hook !== this.#first) return this.#inFlight.delete(tid) || isInTime;
    if (!isInTime) this.#inFlight.add(tid);
    else if (this.#inFlight.size > 0) this.#inFlight.delete(tid);
    return isInTime;
  }
}
