import { beforeEach, expect, test } from "vitest";
import { RingHealth } from "./ring-health.ts";

let now = 0;
let health: RingHealth;
beforeEach(() => {
  now = 0;
  health = new RingHealth(() => now);
});

/** Checks every ten seconds. */
function after(seconds: number, progress: { posted: number; read: number }): string | undefined {
  let answer: string | undefined;
  for (let passed = 0; passed <= seconds; passed += 10) {
    answer = health.check(progress);
    now += 10_000;
  }
  return answer;
}

test("a quiet node is healthy however long it is quiet", () => {
  expect(after(3600, { posted: 0, read: 0 })).toBeUndefined();
});

test("records that are read are healthy", () => {
  expect(after(10, { posted: 5, read: 800 })).toBeUndefined();
  expect(after(10, { posted: 9, read: 1600 })).toBeUndefined();
});

test("a quiet node after a busy time is healthy", () => {
  after(10, { posted: 5, read: 800 });
  expect(after(3600, { posted: 5, read: 800 })).toBeUndefined();
});

test("records that stay in the ring are a problem", () => {
  after(10, { posted: 5, read: 800 });
  expect(after(20, { posted: 6, read: 800 })).toBeUndefined();
  expect(after(20, { posted: 7, read: 800 })).toMatch(/^nothing read from the ring buffer for \d\d s$/);
});

test("a reader that goes on is healthy again", () => {
  after(60, { posted: 6, read: 0 });
  expect(after(0, { posted: 6, read: 800 })).toBeUndefined();
});
