import { expect, test } from "vitest";
import { noteWrite, type WriteHistory, waitBeforeWrite } from "./pacing.ts";

const NOW = 1_000_000;
const ago = (...seconds: number[]) => seconds.map((s) => NOW - s * 1_000);

const cases: Record<string, { history: number[]; isFlip: boolean; want: number }> = {
  "the first write of a generation never waits": { history: [], isFlip: false, want: 0 },
  "a flip waits a second after the last write": { history: ago(0.4), isFlip: true, want: 600 },
  "so do the first numbers of a rollout": { history: ago(0.4), isFlip: false, want: 600 },
  "then numbers wait six seconds": { history: ago(5, 3, 2), isFlip: false, want: 4_000 },
  "and a flip still waits one": { history: ago(5, 3, 2), isFlip: true, want: 0 },
  "writes of more than a minute ago do not count": { history: ago(200, 150, 100), isFlip: false, want: 0 },
  "nine writes in a minute are enough for numbers": {
    history: ago(55, 54, 53, 47, 41, 35, 29, 23, 17),
    isFlip: false,
    want: 5_000,
  },
  "but not for a flip": { history: ago(55, 54, 53, 47, 41, 35, 29, 23, 17), isFlip: true, want: 0 },
  "twelve are enough for everything": {
    history: ago(50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39),
    isFlip: true,
    want: 10_000,
  },
};
test.each(Object.entries(cases))("%s", (_name, { history, isFlip, want }) => {
  expect(waitBeforeWrite(history, isFlip, NOW)).toBe(want);
});

test("however long numbers move, no minute has more than twelve writes", () => {
  const times: number[] = [];
  let history: WriteHistory = [];
  for (let now = 0; now < 300_000; now += 100) {
    if (waitBeforeWrite(history, false, now) > 0) continue;
    history = noteWrite(history, now);
    times.push(now);
  }
  const most = Math.max(
    ...times.map((start) => times.filter((t) => t >= start && t < start + 60_000).length),
  );
  expect(most).toBeLessThanOrEqual(12);
  expect(most).toBeGreaterThan(4);
});
