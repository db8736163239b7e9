/** Exponential backoff with jitter: one place that says how long to wait before another try. */

/** Bounds of the delays. */
export interface BackoffOptions {
  initialMs: number;
  maxMs: number;
}

/**
 * Delay before try number `attempt` (0 is the first repetition). Half of it is random, so that the agents of all
 * nodes do not come back in the same moment.
 */
export function backoffMs(options: BackoffOptions, attempt: number, random: () => number): number {
  const full = Math.min(options.maxMs, options.initialMs * 2 ** Math.min(attempt, 30));
  return full / 2 + (full / 2) * random();
}
