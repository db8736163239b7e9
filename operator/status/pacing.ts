/** How fast the status of one policy may be written. Pure. */
import type { NewCondition } from "./policy-status.ts";

/** A write of the status. */
export interface Write {
  at: number;
  /** Of the policy. */
  generation: number;
  /** Status and reason of Ready that it wrote. */
  ready: string;
}

/** The last writes, oldest first; those for earlier generations count, too. */
export type WriteHistory = readonly Write[];

/**
 * What a write is for. `progress`: only numbers or messages change. `flip`: a condition changes. `news`: the policy is
 * not Ready for a reason that it has not had in the last minute. `ready`: this generation is Ready for the first time.
 */
export type Importance = "progress" | "flip" | "news" | "ready";

/** Smallest distance of two writes. */
const GAP_MS = 1_000;
/** Distance after a few writes, when only numbers have changed. */
const PROGRESS_GAP_MS = 12_000;
const QUICK_WRITES = 3;

/**
 * Writes per minute: progress leaves some to flips, both leave some to news, and all leave two to being Ready, which
 * people wait for: one for a rollout, and one for an edit within the same minute.
 */
const WINDOW_MS = 60_000;
const WRITES_PER_WINDOW: Record<Importance, number> = { progress: 6, flip: 8, news: 10, ready: 12 };

/** How long the next write has to wait; 0: now. The first write of a generation never waits. */
export function waitBeforeWrite(
  history: WriteHistory,
  generation: number,
  importance: Importance,
  now: number,
): number {
  const last = history.at(-1);
  if (last?.generation !== generation) return 0;
  const recent = history.filter(({ at }) => at > now - WINDOW_MS);
  const gap = importance !== "progress" || recent.length < QUICK_WRITES ? GAP_MS : PROGRESS_GAP_MS;
  const oldestThatCounts = recent.at(-WRITES_PER_WINDOW[importance]);
  const windowEnd = oldestThatCounts === undefined ? now : oldestThatCounts.at + WINDOW_MS;
  return Math.max(0, last.at + gap - now, windowEnd - now);
}

/** Judges a write whose condition changes or not. */
export function importanceOf(
  history: WriteHistory,
  generation: number,
  isFlip: boolean,
  ready: Pick<NewCondition, "status" | "reason"> | undefined,
  now: number,
): Importance {
  if (!isFlip) return "progress";
  if (ready === undefined) return "flip";
  const own = history.filter((write) => write.generation === generation);
  if (ready.status === "True") return own.some(wroteReady) ? "flip" : "ready";
  const name = nameReady(ready);
  return own.some((write) => write.at > now - WINDOW_MS && write.ready === name) ? "flip" : "news";
}

/** The history after a write; the first time that this generation was Ready stays in it. */
export function noteWrite(
  history: WriteHistory,
  generation: number,
  ready: Pick<NewCondition, "status" | "reason"> | undefined,
  now: number,
): WriteHistory {
  const recent = history.slice(-(WRITES_PER_WINDOW.ready - 1));
  const firstReady = history.find((write) => write.generation === generation && wroteReady(write));
  const kept = firstReady === undefined || recent.includes(firstReady) ? recent : [firstReady, ...recent];
  return [...kept, { at: now, generation, ready: ready ? nameReady(ready) : "" }];
}

function wroteReady({ ready }: Write): boolean {
  return ready.startsWith("True");
}

function nameReady({ status, reason }: Pick<NewCondition, "status" | "reason">): string {
  return `${status} ${reason}`;
}
