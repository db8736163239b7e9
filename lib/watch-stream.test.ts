import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { IdleError, IdleTimer } from "./watch-stream.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test("silence is noticed a second after the limit", () => {
  const idle = new IdleTimer(90_000);
  vi.advanceTimersByTime(90_999);
  expect(idle.signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(idle.signal.reason).toBeInstanceOf(IdleError);
  expect(String(idle.signal.reason)).toMatch(/nothing for 90 s/);
});

test("bytes that are read right after a pause of the process are a sign of life", () => {
  const idle = new IdleTimer(90_000);
  vi.advanceTimersByTime(90_000); // the timer that was due in the pause runs first
  idle.reset(); // then the socket is read
  vi.advanceTimersByTime(90_999);
  expect(idle.signal.aborted).toBe(false);
});

test("a new limit holds from then on, and after each restart", () => {
  const idle = new IdleTimer(1_000);
  idle.allow(5_000);
  vi.advanceTimersByTime(4_000);
  idle.reset();
  vi.advanceTimersByTime(5_999);
  expect(idle.signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(idle.signal.aborted).toBe(true);
});

test("nothing happens after stop", () => {
  const idle = new IdleTimer(1_000);
  vi.advanceTimersByTime(1_000);
  idle.stop();
  vi.advanceTimersByTime(10_000);
  expect(idle.signal.aborted).toBe(false);
});
