/** How soon the same thing is written again: something in the cluster may undo each write as fast as it is made. */

/** When to come back, and what is wrong until then; undefined: nothing is left to do. */
export type Again = { againAfterMs: number; problem?: string } | undefined;

/** Rounds without a delay; a rollout has two: the new spec, and later the removal of the previous one. */
const FREE_ROUNDS = 3;
const INITIAL_MS = 2_000;
const MAX_MS = 300_000;
/** After this long without a write it starts anew. */
const FORGET_MS = 2 * MAX_MS;

interface Rounds {
  purpose: string;
  count: number;
  last: number;
}

/** Counts rounds of writes per key; after the first few, each waits twice as long as the one before. */
export class RepairPace {
  readonly #now: () => number;
  readonly #rounds = new Map<string, Rounds>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Until the next round is due; 0: now. Another purpose than that of the last round is news, which never waits. */
  waitMs(key: string, purpose: string): number {
    const rounds = this.#current(key, purpose);
    return rounds === undefined ? 0 : Math.max(0, rounds.last + delayAfter(rounds.count) - this.#now());
  }

  /** Counts a round; returns how long the next one has to wait if this one had to, 0 otherwise. */
  note(key: string, purpose: string): number {
    const count = (this.#current(key, purpose)?.count ?? 0) + 1;
    this.#forgetOld();
    this.#rounds.set(key, { purpose, count, last: this.#now() });
    return count > FREE_ROUNDS ? delayAfter(count) : 0;
  }

  #current(key: string, purpose: string): Rounds | undefined {
    const rounds = this.#rounds.get(key);
    return rounds?.purpose === purpose && this.#now() - rounds.last < FORGET_MS ? rounds : undefined;
  }

  #forgetOld(): void {
    for (const [key, { last }] of this.#rounds) if (this.#now() - last >= FORGET_MS) this.#rounds.delete(key);
  }
}

function delayAfter(count: number): number {
  return count < FREE_ROUNDS ? 0 : Math.min(MAX_MS, INITIAL_MS * 2 ** Math.min(count - FREE_ROUNDS, 30));
}
