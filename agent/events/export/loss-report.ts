/** Says in the log what did not reach the export. Pure but for the clock that it is given. */

import { errorText } from "../../../lib/logger.ts";

/** Where it says so. */
export interface LossReportOptions {
  /** Wall clock in milliseconds. */
  now: () => number;
  say?: (text: string) => void;
}

/** A full disk refuses hundreds of writes a second: what is lost within this time is told in one line. */
const QUIET_MS = 10_000;

/** Tells the first loss at once, then what came to it at intervals, and when it is over. */
export class LossReport {
  readonly #options: LossReportOptions;
  #refused = 0;
  #overflowed = 0;
  #error: Error | undefined;
  #isFailing = false;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: LossReportOptions) {
    this.#options = options;
  }

  /** The destination refused a write. */
  refused(events: number, error: Error): void {
    this.#refused += events;
    this.#error = error;
    this.#isFailing = true;
    this.#tell();
  }

  /** There was no room to wait for the destination. */
  overflowed(events: number): void {
    this.#overflowed += events;
    this.#tell();
  }

  /** A write succeeded. */
  wentOut(): void {
    const isOver = this.#isFailing;
    if (!isOver && this.#overflowed === 0) return;
    if (!this.#tell()) return;
    this.#isFailing = false;
    if (isOver) this.#options.say?.("events go out again");
  }

  /** Tells what has not been told yet. */
  end(): void {
    this.#toldAtMs = Number.NEGATIVE_INFINITY;
    this.#tell();
  }

  /** False while it is quiet. */
  #tell(): boolean {
    const { now, say } = this.#options;
    // also after a step of the clock, back or ahead
    if (Math.abs(now() - this.#toldAtMs) < QUIET_MS) return false;
    this.#toldAtMs = now();
    if (this.#overflowed > 0)
      say?.(`events lost: ${this.#overflowed}, because the destination is slower than they come`);
    if (this.#refused > 0) say?.(`events lost: ${this.#refused}, because of ${errorText(this.#error)}`);
    this.#overflowed = 0;
    this.#refused = 0;
    return true;
  }
}
