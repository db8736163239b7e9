import type { Watch } from "@kubernetes/client-node";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { KubeError } from "../../lib/kube-error.ts";
import { PODS } from "../../lib/resources.ts";
import { IdleError } from "../../lib/silence.ts";
import type { WatchEvent } from "../../lib/watch-stream.ts";
import { watchEvents } from "./watch-events.ts";

type Take = Parameters<Watch["watch"]>[2];
type Done = Parameters<Watch["watch"]>[3];

/** The one watch request of a test. */
let request: { path: string; take: Take; done: Done; controller: AbortController } | undefined;
let opened: number;
let stop: AbortController;

beforeEach(() => {
  vi.useFakeTimers();
  request = undefined;
  opened = 0;
  stop = new AbortController();
});
afterEach(() => vi.useRealTimers());

function start(): { events: WatchEvent[]; end: Promise<unknown> } {
  const watch: Watch["watch"] = async (path, _query, take, done) => {
    const controller = new AbortController();
    request = { path, take, done, controller };
    return controller;
  };
  const options = {
    namespace: "n",
    resourceVersion: "1",
    timeoutSeconds: 300,
    patience: { answerMs: 30_000, bookmarkMs: 90_000, graceMs: 30_000 },
    signal: stop.signal,
    onOpen: () => void opened++,
  };
  const events: WatchEvent[] = [];
  const run = async () => {
    for await (const event of watchEvents({ watch }, PODS, options)) events.push(event);
  };
  return {
    events,
    end: run()
      .then(() => "ended")
      .catch((error: unknown) => error),
  };
}

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const pod = (resourceVersion: string) => ({ metadata: { name: "a", resourceVersion } });

test("events come in order until the server ends the watch", async () => {
  const { events, end } = start();
  await pass();
  request?.take("ADDED", pod("1"));
  request?.take("MODIFIED", pod("2"));
  request?.done(null);
  expect(await end).toBe("ended");
  expect(request?.path).toBe("/api/v1/namespaces/n/pods");
  expect(events.map(({ type, object }) => `${type} ${object.metadata.resourceVersion}`)).toEqual([
    "ADDED 1",
    "MODIFIED 2",
  ]);
  expect(opened).toBe(1);
});

test("an error in the stream is thrown with its status, and the connection is closed", async () => {
  const { end } = start();
  await pass();
  request?.take("ERROR", { code: 410, reason: "Expired", message: "too old" });
  expect(await end).toMatchObject({ status: 410, reason: "Expired" });
  await pass();
  expect(request?.controller.signal.aborted).toBe(true);
});

test("a refusal is thrown with its status, and does not count as opened", async () => {
  const watch: Watch["watch"] = async (_path, _query, _take, done) => {
    done(Object.assign(new Error("Gone"), { statusCode: 410 }));
    return new AbortController();
  };
  const options = { resourceVersion: "1", timeoutSeconds: 1, signal: stop.signal };
  const patience = { answerMs: 1, bookmarkMs: 1, graceMs: 1 };
  const events = watchEvents({ watch }, PODS, { ...options, patience, onOpen: () => void opened++ });
  await expect(events[Symbol.asyncIterator]().next()).rejects.toBeInstanceOf(KubeError);
  expect(opened).toBe(0);
});

/** Turns of the event loop cost nothing on the fake clock, and some time on a real one. */
const TURNS_MS = 5;

describe("silence", () => {
  test("ends the watch after the first bookmark that has no successor", async () => {
    const { end } = start();
    await pass();
    request?.take("BOOKMARK", pod("2"));
    await pass(91_000 + TURNS_MS);
    expect(await end).toBeInstanceOf(IdleError);
  });

  test("is nothing before the first bookmark, until the server should have ended the watch", async () => {
    const { end } = start();
    await pass(330_000);
    const ended = vi.fn();
    void end.then(ended);
    await pass();
    expect(ended).not.toHaveBeenCalled();
    await pass(1_000 + TURNS_MS);
    expect(await end).toBeInstanceOf(IdleError);
  });
});

describe("a stop", () => {
  test("ends a watch that is open", async () => {
    const { end } = start();
    await pass();
    stop.abort();
    expect(await end).toBe("ended");
  });

  test("before the watch begins sends no request", async () => {
    stop.abort();
    expect(await start().end).toBe("ended");
    expect(request).toBeUndefined();
  });
});
