import { describe, expect, test } from "vitest";
import { type Importance, importanceOf, noteWrite, type WriteHistory, waitBeforeWrite } from "./pacing.ts";

const NOW = 1_000_000;
const ago = (...seconds: number[]) =>
  seconds.map((s) => ({ at: NOW - s * 1_000, generation: 1, ready: "False RollingOut" }));
/** The same for the generation before. */
const before = (...seconds: number[]) => ago(...seconds).map((write) => ({ ...write, generation: 0 }));

const cases: Record<string, { history: WriteHistory; importance: Importance; want: number }> = {
  "the first write of a generation never waits": { history: [], importance: "progress", want: 0 },
  "a flip waits a second after the last write": { history: ago(0.4), importance: "flip", want: 600 },
  "so do the first numbers of a rollout": { history: ago(0.4), importance: "progress", want: 600 },
  "then numbers wait twelve seconds": { history: ago(5, 3, 2), importance: "progress", want: 10_000 },
  "and a flip still waits one": { history: ago(5, 3, 2), importance: "flip", want: 0 },
  "writes of more than a minute ago do not count": {
    history: ago(200, 150, 100),
    importance: "progress",
    want: 0,
  },
  "six writes in a minute are enough for numbers": {
    history: ago(55, 54, 47, 41, 35, 17),
    importance: "progress",
    want: 5_000,
  },
  "but not for a flip": { history: ago(55, 54, 47, 41, 35, 17), importance: "flip", want: 0 },
  "eight are enough for flips": {
    history: ago(50, 49, 48, 47, 46, 45, 44, 43),
    importance: "flip",
    want: 10_000,
  },
  "but not for news": { history: ago(50, 49, 48, 47, 46, 45, 44, 43), importance: "news", want: 0 },
  "ten are enough for news": {
    history: ago(50, 49, 48, 47, 46, 45, 44, 43, 42, 41),
    importance: "news",
    want: 10_000,
  },
  "but not for being Ready": {
    history: ago(50, 49, 48, 47, 46, 45, 44, 43, 42, 41),
    importance: "ready",
    want: 0,
  },
  "twelve are enough for everything": {
    history: ago(50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39),
    importance: "ready",
    want: 10_000,
  },
  "the first write of an edit waits for none of the writes before it": {
    history: before(50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 0),
    importance: "flip",
    want: 0,
  },
  "those after it do": {
    history: [...before(50, 49, 48, 47, 46, 45, 44, 43), ...ago(5)],
    importance: "progress",
    want: 13_000,
  },
};
describe("a write", () => {
  test.each(Object.entries(cases))("%s", (_name, { history, importance, want }) => {
    expect(waitBeforeWrite(history, 1, importance, NOW)).toBe(want);
  });
});

const attached = { status: "True", reason: "Attached" } as const;
const failed = { status: "False", reason: "AttachFailed" } as const;
const wrote = (seconds: number, ready: string, generation = 1) => ({
  at: NOW - seconds * 1_000,
  generation,
  ready,
});

const judgements: Record<string, [WriteHistory, boolean, Parameters<typeof importanceOf>[3], Importance]> = {
  "numbers are progress": [[], false, attached, "progress"],
  "being Ready for the first time comes before all news": [ago(5), true, attached, "ready"],
  "so does the first time after an edit": [[wrote(5, "True Attached", 0)], true, attached, "ready"],
  "being Ready again is no news, however long ago": [[wrote(900, "True Attached")], true, attached, "flip"],
  "nor is being Ready for another reason": [[wrote(5, "True PartiallyAttached")], true, attached, "flip"],
  "a new reason for not being Ready is news": [[wrote(5, "True Attached")], true, failed, "news"],
  "the same reason within a minute is none": [[wrote(50, "False AttachFailed")], true, failed, "flip"],
  "the same reason after a minute is": [[wrote(70, "False AttachFailed")], true, failed, "news"],
};
test.each(Object.entries(judgements))("%s", (_name, [history, isFlip, ready, want]) => {
  expect(importanceOf(history, 1, isFlip, ready, NOW)).toBe(want);
});

test("the first time that a policy was Ready is not forgotten", () => {
  let history = noteWrite([], 1, attached, 0);
  for (let i = 1; i < 40; i++) history = noteWrite(history, 1, failed, i * 10_000);
  expect(importanceOf(history, 1, true, attached, 400_000)).toBe("flip");
  expect(history.length).toBeLessThanOrEqual(13);
});

/** Writes as the publisher makes them: in steps of 100 ms, whatever is wanted at that time. */
function simulate(wantedAt: (now: number) => { generation: number; ready: typeof attached | typeof failed }) {
  const times: number[] = [];
  const firstReady = new Map<number, number>();
  let history: WriteHistory = [];
  for (let now = 0; now < 300_000; now += 100) {
    const { generation, ready } = wantedAt(now);
    const last = history.at(-1);
    const isFlip = last?.ready !== `${ready.status} ${ready.reason}`;
    const importance = importanceOf(history, generation, isFlip, ready, now);
    if (waitBeforeWrite(history, generation, importance, now) > 0) continue;
    history = noteWrite(history, generation, ready, now);
    times.push(now);
    if (ready.status === "True" && !firstReady.has(generation)) firstReady.set(generation, now);
  }
  const most = Math.max(
    ...times.map((start) => times.filter((t) => t >= start && t < start + 60_000).length),
  );
  return { most, firstReady };
}

test("however long numbers move, no minute has more than twelve writes", () => {
  const { most } = simulate(() => ({ generation: 1, ready: failed }));
  expect(most).toBeLessThanOrEqual(12);
  expect(most).toBeGreaterThan(4);
});

test("a policy that is edited right after its rollout is shown as Ready at once, within twelve writes a minute", () => {
  const { most, firstReady } = simulate((now) => {
    const generation = now < 70_000 ? 1 : 2;
    return { generation, ready: (now > 65_000 && now < 70_000) || now > 75_000 ? attached : failed };
  });
  expect(most).toBeLessThanOrEqual(12);
  expect(firstReady.get(1)).toBeLessThan(66_200);
  expect(firstReady.get(2)).toBeLessThan(76_200);
});

test("a condition that flips all the time stays within twelve writes a minute", () => {
  const { most } = simulate((now) => ({ generation: 1, ready: now % 2_000 < 1_000 ? attached : failed }));
  expect(most).toBeLessThanOrEqual(12);
});
