import { beforeEach, expect, test } from "vitest";
import { RepairPace } from "./repair-pace.ts";

let now: number;
let pace: RepairPace;
beforeEach(() => {
  now = 0;
  pace = new RepairPace(() => now);
});

/** When each of `count` rounds takes place if every one is undone at once. */
function roundsOf(count: number, purpose = "a"): number[] {
  return Array.from({ length: count }, () => {
    now += pace.waitMs("p", purpose);
    pace.note("p", purpose);
    return now / 1000;
  });
}

test("the first rounds are made at once, each later one waits twice as long, up to five minutes", () => {
  expect(roundsOf(13)).toEqual([0, 0, 0, 2, 6, 14, 30, 62, 126, 254, 510, 810, 1110]);
});

test("another purpose, or another key, does not wait", () => {
  roundsOf(8);
  expect(pace.waitMs("p", "b")).toBe(0);
  expect(pace.waitMs("q", "a")).toBe(0);
});

test("a round long after the last one does not wait", () => {
  roundsOf(8);
  now += 600_000;
  expect(roundsOf(3).map((at) => at - now / 1000)).toEqual([0, 0, 0]);
});

test("only rounds that had to wait ask to look again", () => {
  const asked = Array.from({ length: 5 }, () => {
    now += pace.waitMs("p", "a");
    return pace.note("p", "a");
  });
  expect(asked).toEqual([0, 0, 0, 4_000, 8_000]);
});
