/** Logs what did not reach the export. Pure except for the clock that it is given. */

import { errorText } from "../../../lib/logger.ts";

/** Where it logs. */
export interface LossReportOptions {
  /** Wall clock in milliseconds. */
  now: () => number;
  say?: (text: string) => void;
}

/** A full disk refuses hundreds of writes a second: losses within this time are logged in one line. */
const QUIET_MS = 10_000;

/** Logs the first loss at once, further losses at intervals, and when writes succeed again. */
export class LossReport {
  readonly #options: LossReportOptions;
  #refused = 0;
  #overflowed = 0;
  #error: Error | undefined;
  #isFailing = false;
  #loggedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: LossReportOptions) {
    this.#options = options;
  }

  /** The destination refused a write. */
  refused(events: number, error: Error): void {
    this.#refused += events;
    this.#error = error;
    this.#isFailing = true;
    this.#log();
  }

  /** There was no room to wait for the destination. */
  overflowed(events: number): void {
    this.#overflowed += events;
    this.#log();
  }

  /** A write succeeded. */
  wentOut(): void {
    const isOver = this.#isFailing;
    if (!isOver && this.#overflowed === 0) return;
    if (!this.#log()) return;
    this.#isFailing = false;
    if (isOver) this.#options.say?.("events are written again");
  }

  /** Logs what has not been logged yet. */
  end(): void {
    this.#loggedAtMs = Number.NEGATIVE_INFINITY;
    this.#log();
  }

  /** False while it is quiet. */
  #log(): boolean {
    const { now, say } = this.#options;
    // also after a step of the clock, back or ahead
    if (Math.abs(now() - this.#loggedAtMs) < QUIET_MS) return false;
    this.#loggedAtMs = now();
    if (this.#overflowed > 0) say?.(`events lost: ${this.#overflowed}, because the destination is too slow`);
    if (this.#refused > 0) say?.(`events lost: ${this.#refused}, because of ${errorText(this.#error)}`);
    this.#overflowed = 0;
    this.#refused = 0;
    return true;
  }
}
