/** How fast the status of one policy may be written. Pure. */
import type { NewCondition } from "./policy-status.ts";

/** A write for the current generation. */
export interface Write {
  at: number;
  /** Status and reason of Ready that it wrote. */
  ready: string;
}

/** The writes for the current generation, oldest first. */
export type WriteHistory = readonly Write[];

/**
 * What a write is for. `progress`: only numbers or messages change. `flip`: a condition changes. `news`: the policy is
 * Ready for the first time, or is not Ready for a reason that it has not had in the last minute.
 */
export type Importance = "progress" | "flip" | "news";

/** Smallest distance of two writes. */
const GAP_MS = 1_000;
/** Distance after a few writes, when only numbers have changed. */
const PROGRESS_GAP_MS = 6_000;
const QUICK_WRITES = 3;

/** Writes per minute: progress leaves some to flips, and both leave some to news, which people wait for. */
const WINDOW_MS = 60_000;
const WRITES_PER_WINDOW: Record<Importance, number> = { progress: 7, flip: 9, news: 12 };

/** How long the next write has to wait; 0: now. The first write of a generation never waits. */
export function waitBeforeWrite(history: WriteHistory, importance: Importance, now: number): number {
  const last = history.at(-1);
  if (last === undefined) return 0;
  const recent = history.filter(({ at }) => at > now - WINDOW_MS);
  const gap = importance !== "progress" || recent.length < QUICK_WRITES ? GAP_MS : PROGRESS_GAP_MS;
  const oldestThatCounts = recent.at(-WRITES_PER_WINDOW[importance]);
  const windowEnd = oldestThatCounts === undefined ? now : oldestThatCounts.at + WINDOW_MS;
  return Math.max(0, last.at + gap - now, windowEnd - now);
}

/** Judges a write whose condition changes or not. */
export function importanceOf(
  history: WriteHistory,
  isFlip: boolean,
  ready: Pick<NewCondition, "status" | "reason"> | undefined,
  now: number,
): Importance {
  if (!isFlip) return "progress";
  if (ready === undefined) return "flip";
  const since = ready.status === "True" ? Number.NEGATIVE_INFINITY : now - WINDOW_MS;
  const isKnown = history.some((write) => write.at > since && isSameNews(write.ready, ready));
  return isKnown ? "flip" : "news";
}

/** The history after a write; the first time that the policy was Ready stays in it. */
export function noteWrite(
  history: WriteHistory,
  ready: Pick<NewCondition, "status" | "reason"> | undefined,
  now: number,
): WriteHistory {
  const recent = history.slice(-(WRITES_PER_WINDOW.news - 1));
  const firstReady = history.find((write) => write.ready.startsWith("True"));
  const kept = firstReady === undefined || recent.includes(firstReady) ? recent : [firstReady, ...recent];
  return [...kept, { at: now, ready: ready ? nameReady(ready) : "" }];
}

/** Ready is news once, whatever its reason. */
function isSameNews(written: string, ready: Pick<NewCondition, "status" | "reason">): boolean {
  return ready.status === "True" ? written.startsWith("True") : written === nameReady(ready);
}

function nameReady({ status, reason }: Pick<NewCondition, "status" | "reason">): string {
  return `${status} ${reason}`;
}
