import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RateLimit } from "./rate-limit.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setup(perMinute: number) {
  const reports: number[] = [];
  const limit = new RateLimit({
    perMinute,
    nowMs: () => performance.now(),
    report: (dropped) => reports.push(dropped),
  });
  const admitted = (events: number) =>
    Array.from({ length: events }, () => limit.admits()).filter(Boolean).length;
  return { limit, reports, admitted };
}

test("a minute's events may come at once, further ones as time passes", () => {
  const { admitted } = setup(60);
  expect(admitted(100)).toBe(60);
  vi.advanceTimersByTime(10_000);
  expect(admitted(100)).toBe(10);
  vi.advanceTimersByTime(3_600_000);
  expect(admitted(100)).toBe(60);
});

test("0 lets no event through", () => {
  const { admitted } = setup(0);
  vi.advanceTimersByTime(600_000);
  expect(admitted(3)).toBe(0);
});

test("what is dropped is reported once a minute, and no timer runs where nothing is", () => {
  const { reports, admitted } = setup(1);
  admitted(1);
  expect(vi.getTimerCount()).toBe(0);
  admitted(3);
  vi.advanceTimersByTime(59_999);
  admitted(2);
  expect(reports).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(reports).toEqual([5]);
  expect(vi.getTimerCount()).toBe(0);
});

test("the end reports the rest", () => {
  const { limit, reports, admitted } = setup(0);
  admitted(2);
  limit.close();
  limit.close();
  expect(reports).toEqual([2]);
});
