import { describe, expect, test } from "vitest";
import { type Importance, importanceOf, noteWrite, type WriteHistory, waitBeforeWrite } from "./pacing.ts";

const NOW = 1_000_000;
const ago = (...seconds: number[]) =>
  seconds.map((s) => ({ at: NOW - s * 1_000, ready: "False RollingOut" }));

const cases: Record<string, { history: WriteHistory; importance: Importance; want: number }> = {
  "the first write of a generation never waits": { history: [], importance: "progress", want: 0 },
  "a flip waits a second after the last write": { history: ago(0.4), importance: "flip", want: 600 },
  "so do the first numbers of a rollout": { history: ago(0.4), importance: "progress", want: 600 },
  "then numbers wait six seconds": { history: ago(5, 3, 2), importance: "progress", want: 4_000 },
  "and a flip still waits one": { history: ago(5, 3, 2), importance: "flip", want: 0 },
  "writes of more than a minute ago do not count": {
    history: ago(200, 150, 100),
    importance: "progress",
    want: 0,
  },
  "seven writes in a minute are enough for numbers": {
    history: ago(55, 54, 47, 41, 35, 29, 17),
    importance: "progress",
    want: 5_000,
  },
  "but not for a flip": { history: ago(55, 54, 47, 41, 35, 29, 17), importance: "flip", want: 0 },
  "nine are enough for flips": {
    history: ago(50, 49, 48, 47, 46, 45, 44, 43, 42),
    importance: "flip",
    want: 10_000,
  },
  "but not for news": { history: ago(50, 49, 48, 47, 46, 45, 44, 43, 42), importance: "news", want: 0 },
  "twelve are enough for everything": {
    history: ago(50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39),
    importance: "news",
    want: 10_000,
  },
};
describe("a write", () => {
  test.each(Object.entries(cases))("%s", (_name, { history, importance, want }) => {
    expect(waitBeforeWrite(history, importance, NOW)).toBe(want);
  });
});

const attached = { status: "True", reason: "Attached" } as const;
const failed = { status: "False", reason: "AttachFailed" } as const;
const wrote = (seconds: number, ready: string) => ({ at: NOW - seconds * 1_000, ready });

const judgements: Record<
  string,
  Parameters<typeof importanceOf> extends [infer H, infer F, infer R, unknown] ? [H, F, R, Importance] : never
> = {
  "numbers are progress": [[], false, attached, "progress"],
  "being Ready for the first time is news": [ago(5), true, attached, "news"],
  "being Ready again is none, however long ago": [[wrote(900, "True Attached")], true, attached, "flip"],
  "nor is being Ready for another reason": [[wrote(5, "True PartiallyAttached")], true, attached, "flip"],
  "a new reason for not being Ready is news": [[wrote(5, "True Attached")], true, failed, "news"],
  "the same reason within a minute is none": [[wrote(50, "False AttachFailed")], true, failed, "flip"],
  "the same reason after a minute is": [[wrote(70, "False AttachFailed")], true, failed, "news"],
};
test.each(Object.entries(judgements))("%s", (_name, [history, isFlip, ready, want]) => {
  expect(importanceOf(history, isFlip, ready, NOW)).toBe(want);
});

test("the first time that a policy was Ready is not forgotten", () => {
  let history = noteWrite([], attached, 0);
  for (let i = 1; i < 40; i++) history = noteWrite(history, failed, i * 10_000);
  expect(importanceOf(history, true, attached, 400_000)).toBe("flip");
  expect(history.length).toBeLessThanOrEqual(13);
});

test("however long numbers move, no minute has more than twelve writes", () => {
  const times: number[] = [];
  let history: WriteHistory = [];
  for (let now = 0; now < 300_000; now += 100) {
    if (waitBeforeWrite(history, "progress", now) > 0) continue;
    history = noteWrite(history, failed, now);
    times.push(now);
  }
  const most = Math.max(
    ...times.map((start) => times.filter((t) => t >= start && t < start + 60_000).length),
  );
  expect(most).toBeLessThanOrEqual(12);
  expect(most).toBeGreaterThan(4);
});
