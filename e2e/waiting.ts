/** Waits for conditions as long as there is progress: how fast a machine is decides nothing. */
import { setTimeout as sleep } from "node:timers/promises";

/** Without any progress for this long, no machine is that slow. */
const STALL_MS = 600_000;
/** A look costs a process of kubectl, and nothing is decided by it for minutes. */
const LOOK_MS = 15_000;

/** What to wait for, and how to see that it comes nearer. */
export interface Waiting<T> {
  what: string;
  /** Its value ends the wait. An error counts as not yet. */
  probe(): Promise<T | undefined | false>;
  /** A state that was not there before is progress: something that fails again and again makes none. The last one is part of the error. */
  state(): Promise<string>;
  /** Rejects when waiting has no use any more. */
  alive?(): Promise<void>;
  intervalMs: number;
  stallMs?: number;
}

/** Resolves with the probe's value; rejects with what was seen last when nothing new has happened for ten minutes. */
export async function waitUntil<T>(waiting: Waiting<T>): Promise<T> {
  const progress = new Progress(waiting);
  let last: Error | undefined;
  for (;;) {
    try {
      const value = await waiting.probe();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      last = error as Error;
    }
    await waiting.alive?.();
    if (await progress.hasEnded()) throw stalled(waiting, progress.state, last);
    await sleep(waiting.intervalMs);
  }
}

class Progress {
  readonly #waiting: Waiting<unknown>;
  #changed = Date.now();
  #looked = 0;
  readonly #seen = new Set<string>();
  state = "";

  constructor(waiting: Waiting<unknown>) {
    this.#waiting = waiting;
  }

  async hasEnded(): Promise<boolean> {
    const { stallMs = STALL_MS } = this.#waiting;
    if (Date.now() - this.#looked >= Math.min(LOOK_MS, stallMs / 2)) await this.#look();
    return Date.now() - this.#changed > stallMs;
  }

  async #look(): Promise<void> {
    this.state = await this.#waiting.state().catch((error: Error) => error.message);
    this.#looked = Date.now();
    if (!this.#seen.has(this.state)) this.#changed = this.#looked;
    this.#seen.add(this.state);
  }
}

function stalled({ what, stallMs = STALL_MS }: Waiting<unknown>, state: string, cause?: Error): Error {
  const seen = [cause?.message, state].filter(Boolean).join("\n");
  const message = `${what}: not yet, and nothing new has happened for ${stallMs / 60_000} minutes; seen last:\n${seen}`;
  return new Error(message, cause ? { cause } : {});
}
