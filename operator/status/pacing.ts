/** How fast the status of one policy may be written. Pure. */

/** Times of the writes for the current generation, oldest first. */
export type WriteHistory = readonly number[];

/** Smallest distance of two writes. */
const GAP_MS = 1_000;
/** Distance after a few writes, when only numbers have changed. */
const PROGRESS_GAP_MS = 6_000;
const QUICK_WRITES = 3;

/**
 * Writes per minute. Progress leaves some to changes of conditions, for which people and `kubectl wait` are waiting.
 */
const WINDOW_MS = 60_000;
const WRITES_PER_WINDOW = { progress: 9, flip: 12 };

/** How long the next write has to wait; 0: now. The first write of a generation never waits. */
export function waitBeforeWrite(history: WriteHistory, isFlip: boolean, now: number): number {
  const last = history.at(-1);
  if (last === undefined) return 0;
  const recent = history.filter((time) => time > now - WINDOW_MS);
  const gap = isFlip || recent.length < QUICK_WRITES ? GAP_MS : PROGRESS_GAP_MS;
  const oldestThatCounts = recent.at(-(isFlip ? WRITES_PER_WINDOW.flip : WRITES_PER_WINDOW.progress));
  const windowEnd = oldestThatCounts === undefined ? now : oldestThatCounts + WINDOW_MS;
  return Math.max(0, last + gap - now, windowEnd - now);
}

/** The history after a write. */
export function noteWrite(history: WriteHistory, now: number): WriteHistory {
  return [...history.slice(-(WRITES_PER_WINDOW.flip - 1)), now];
}
