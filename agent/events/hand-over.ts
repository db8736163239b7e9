/**
 * Decides which of two hooks reports a call while one replaces the other. Both run for a short overlap: the old hook's
 * records count before a cut-over time, the new hook's from it on. Each hook reads the clock for itself, so the hook that
 * runs first may see a call before the cut-over and the other one after it. If neither hook would report a call, the one
 * that posts second does.
 */
export class HandOver {
  readonly #first: "new" | "old";
  /** Threads whose last call is left to the hook that posts second. */
  readonly #inFlight = new Set<number>();

  /** `first`: the hook that posts first. A hook that posts when a call returns has read the clock at the call's entry. */
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

  /** `isInTime`: the hook has seen the call on its side of the cut-over. */
  #admits(hook: "new" | "old", tid: number, isInTime: boolean): boolean {
    if (hook !== this.#first) return this.#inFlight.delete(tid) || isInTime;
    if (!isInTime) this.#inFlight.add(tid);
    else if (this.#inFlight.size > 0) this.#inFlight.delete(tid);
    return isInTime;
  }
}
