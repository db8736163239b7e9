/** Exponential backoff with jitter: computes the delay before another try. */

/** Bounds of the delays. */
export interface BackoffOptions {
  initialMs: number;
  maxMs: number;
}

/**
 * Delay before the retry number `attempt` (0 is the first one). Half of it is random, so that the agents of all nodes
 * do not retry at the same moment.
 */
export function backoffMs(options: BackoffOptions, attempt: number, random: () => number): number {
  const full = Math.min(options.maxMs, options.initialMs * 2 ** Math.min(attempt, 30));
  return full / 2 + (full / 2) * random();
}
