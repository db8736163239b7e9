import { expect, test } from "vitest";
import { makeWallClock, TestClock } from "./testing/clock.ts";
import { formatTime, WallClock } from "./wall-clock.ts";

test.each([
  [{ seconds: 1_795_466_354, nanos: 4_030_160 }, "2026-11-23T20:39:14.004030160Z"],
  [{ seconds: 1_795_466_354, nanos: 871_029_000 }, "2026-11-23T20:39:14.871029Z"],
  [{ seconds: 1_795_466_354, nanos: 871_000_000 }, "2026-11-23T20:39:14.871Z"],
  [{ seconds: 1_795_466_354, nanos: 0 }, "2026-11-23T20:39:14Z"],
])("formats %j as protojson does", (time, want) => {
  expect(formatTime(time)).toBe(want);
});

test("converts every nanosecond exactly, also after a hundred days", () => {
  const clock = makeWallClock(new TestClock());
  const days = 100n * 86_400n * 1_000_000_000n;
  expect(clock.text(1n)).toBe("2026-11-20T10:00:00.000000001Z");
  expect(clock.text(days + 999_999_999n)).toBe("2027-02-28T10:00:00.999999999Z");
  expect(clock.text(2n ** 32n - 1n)).toBe("2026-11-20T10:00:04.294967295Z");
  expect(clock.text(2n ** 32n)).toBe("2026-11-20T10:00:04.294967296Z");
});

test("a step of the wall clock moves what comes after it and not what was before", () => {
  const source = new TestClock();
  const clock = makeWallClock(source);
  source.nowMs = 10_000;
  expect(clock.recheck()).toBe(false);
  source.stepMs = 3_600_000;
  expect(clock.recheck()).toBe(true);
  expect(clock.text(9_999_000_000n)).toBe("2026-11-20T10:00:09.999Z");
  expect(clock.text(10_500_000_000n).slice(0, 19)).toBe("2026-11-20T11:00:10");
  source.nowMs = 20_000;
  source.stepMs = 0;
  expect(clock.recheck()).toBe(true);
  expect(clock.text(15_000_000_000n).slice(0, 19)).toBe("2026-11-20T11:00:15");
  expect(clock.text(25_000_000_000n).slice(0, 19)).toBe("2026-11-20T10:00:25");
});

test("the real clocks give the present to a few milliseconds", () => {
  const clock = new WallClock({ bootTimeNs: () => process.hrtime.bigint(), wallMs: Date.now });
  const shown = Date.parse(clock.text(process.hrtime.bigint()));
  expect(Math.abs(shown - Date.now())).toBeLessThan(50);
  expect(clock.recheck()).toBe(false);
});
