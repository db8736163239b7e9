import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SpareMemory } from "./spare-memory.ts";

const MIB = 1 << 20;
let resident: number;
let releases: number;
let trims: number;
let memory: SpareMemory;

beforeEach(() => {
  vi.useFakeTimers();
  resident = 150 * MIB;
  releases = 0;
  trims = 0;
  memory = new SpareMemory({
    residentBytes: () => resident,
    release: () => {
      releases++;
      resident = 60 * MIB;
    },
    trim: async () => {
      trims++;
      resident -= 10 * MIB;
    },
  });
});
afterEach(() => {
  vi.useRealTimers();
});

test("memory is given back once it is quiet, and then no timer runs", () => {
  for (let second = 0; second < 30; second++) {
    memory.touch();
    vi.advanceTimersByTime(1_000);
  }
  expect(releases).toBe(0);
  vi.advanceTimersByTime(10_000);
  expect(releases).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});

test("memory is trimmed while work goes on, each time that it has grown enough", async () => {
  for (let second = 0; second < 60; second++) {
    memory.touch();
    resident += MIB;
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(releases).toBe(0);
  // The first time at once, and then every 16 MiB: looks are 5 seconds apart.
  expect(trims).toBe(3);
});

test("what was trimmed while work went on is released once it is quiet", async () => {
  memory.touch();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([trims, releases]).toEqual([1, 1]);
  for (const grownBytes of [18 * MIB, 0, 0]) {
    resident += grownBytes;
    memory.touch();
    await vi.advanceTimersByTimeAsync(4_000);
  }
  expect([trims, releases]).toEqual([2, 1]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect([trims, releases]).toEqual([2, 2]);
});

const later: Record<string, { grown: number; want: number }> = {
  "a little work later gives nothing back": { grown: 2 * MIB, want: 1 },
  "a burst does": { grown: 40 * MIB, want: 2 },
};
test.each(Object.entries(later))("%s", (_name, { grown, want }) => {
  memory.touch();
  vi.advanceTimersByTime(60_000);
  resident += grown;
  memory.touch();
  vi.advanceTimersByTime(60_000);
  expect(releases).toBe(want);
  expect(vi.getTimerCount()).toBe(0);
});

test("nothing is given back after close()", () => {
  memory.touch();
  memory.close();
  vi.advanceTimersByTime(60_000);
  expect(releases).toBe(0);
});
