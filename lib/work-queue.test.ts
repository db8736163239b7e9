import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { makeLogger } from "./testing/api-server.ts";
import { type Work, WorkQueue, type WorkQueueOptions } from "./work-queue.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function makeQueue(work: Work, options: Partial<WorkQueueOptions> = {}): WorkQueue {
  const backoff = { initialMs: 100, maxMs: 400 };
  const queue = new WorkQueue({
    name: "test",
    logger: makeLogger(),
    backoff,
    random: () => 1,
    ...options,
  });
  queue.start(work);
  return queue;
}

const settle = () => vi.advanceTimersByTimeAsync(0);

test("a key added often before it runs, runs once", async () => {
  const work = vi.fn(async () => undefined);
  const queue = makeQueue(work);
  for (const key of ["a", "a", "b", "a"]) queue.add(key);
  expect(work).not.toHaveBeenCalled();
  await settle();
  expect(work.mock.calls.flat()).toEqual(["a", "b"]);
});

test("a key added while it runs, runs once more afterwards and never twice at a time", async () => {
  let running = 0;
  let most = 0;
  const work = vi.fn(async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 50));
    running--;
    return undefined;
  });
  const queue = makeQueue(work, { concurrency: 4 });
  queue.add("a");
  await settle();
  queue.add("a");
  queue.add("a");
  await vi.advanceTimersByTimeAsync(200);
  expect(work).toHaveBeenCalledTimes(2);
  expect(most).toBe(1);
});

test("work that throws is repeated with growing delays, and success forgets them", async () => {
  const times: number[] = [];
  const start = Date.now();
  const queue = makeQueue(async () => {
    times.push(Date.now() - start);
    if (times.length < 5) throw new Error("not yet");
    return undefined;
  });
  queue.add("a");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(times).toEqual([0, 100, 300, 700, 1100]);
});

test("what waits after failures runs at once when their cause is gone, and backs off anew", async () => {
  const times: number[] = [];
  const start = Date.now();
  const queue = makeQueue(async () => {
    times.push(Date.now() - start);
    throw new Error("the API server is away");
  });
  queue.add("a");
  await vi.advanceTimersByTimeAsync(1_000);
  queue.retryNow();
  await vi.advanceTimersByTimeAsync(250);
  expect(times).toEqual([0, 100, 300, 700, 1_000, 1_100]);
});

test("no more keys run at a time than the concurrency allows", async () => {
  let running = 0;
  let most = 0;
  const queue = makeQueue(
    async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 10));
      running--;
      return undefined;
    },
    { concurrency: 2 },
  );
  for (const key of "abcdef") queue.add(key);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(most).toBe(2);
});

test("addAfter keeps the earlier of two times, and add makes it now", async () => {
  const work = vi.fn(async () => undefined);
  const queue = makeQueue(work);
  queue.addAfter("a", 1_000);
  queue.addAfter("a", 500);
  queue.addAfter("a", 2_000);
  await vi.advanceTimersByTimeAsync(600);
  expect(work).toHaveBeenCalledTimes(1);
  queue.addAfter("a", 1_000);
  queue.add("a");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(work).toHaveBeenCalledTimes(2);
});

test("work may ask to run again later", async () => {
  const work = vi.fn().mockResolvedValueOnce({ againAfterMs: 100 }).mockResolvedValue(undefined);
  makeQueue(work).add("a");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(work).toHaveBeenCalledTimes(2);
});

test("stop waits for what runs and starts nothing more", async () => {
  const done: string[] = [];
  const queue = makeQueue(async (key) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    done.push(key);
    return undefined;
  });
  queue.add("a");
  queue.add("b");
  await settle();
  const stopped = queue.stop();
  queue.add("c");
  await vi.advanceTimersByTimeAsync(1_000);
  await stopped;
  expect(done).toEqual(["a"]);
});
