/** How fast the status of one policy may be written. Pure. */

/** Times of the writes for the current generation, oldest first. */
export type WriteHistory = readonly number[];

/** A condition flips: people and `kubectl wait` are waiting for it. */
const FLIP_GAP_MS = 1_000;
/** Only numbers moved. */
const PROGRESS_GAP_MS = 6_000;
/** However much flips: never more than this many in a minute. */
const WINDOW_MS = 60_000;
const WRITES_PER_WINDOW = 12;

/** How long the next write has to wait; 0: now. The first write of a generation never waits. */
export function waitBeforeWrite(history: WriteHistory, isFlip: boolean, now: number): number {
  const last = history.at(-1);
  if (last === undefined) return 0;
  const gap = isFlip ? FLIP_GAP_MS : PROGRESS_GAP_MS;
  const oldest = history.at(-WRITES_PER_WINDOW);
  const windowEnd = oldest === undefined ? now : oldest + WINDOW_MS;
  return Math.max(0, last + gap - now, windowEnd - now);
}

/** The history after a write. */
export function noteWrite(history: WriteHistory, now: number): WriteHistory {
  return [...history.slice(-(WRITES_PER_WINDOW - 1)), now];
}
