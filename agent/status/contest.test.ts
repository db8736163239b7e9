import { expect, test } from "vitest";
import { Contest } from "./contest.ts";

test("a few changes by others are corrected without a delay, and are no problem", () => {
  const contest = new Contest();
  expect([0, 100, 200].map((now) => contest.noteChange(now))).toEqual([0, 0, 0]);
  expect(contest.problem(300)).toBeUndefined();
});

test("corrections of what another one changes each time become rare, and a second agent is suspected", () => {
  const contest = new Contest();
  const delays: number[] = [];
  let now = 0;
  while (now < 600_000) {
    const delay = contest.noteChange(now);
    delays.push(delay);
    now += delay + 500;
  }
  expect(delays.slice(0, 10)).toEqual([0, 0, 0, 1000, 2000, 4000, 8000, 16000, 32000, 60000]);
  expect(delays.length).toBeLessThan(20);
  expect(contest.problem(now)).toMatch(/second Trigon agent/);
});

test("when the other one is gone, it is forgotten", () => {
  const contest = new Contest();
  for (let now = 0; now < 10; now++) contest.noteChange(now);
  expect(contest.problem(10)).toBeDefined();
  expect(contest.problem(700_000)).toBeUndefined();
  expect(contest.noteChange(700_000)).toBe(0);
});
