import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { EventStream } from "./event-stream.ts";

const limits = { maxEvents: 3, maxBytes: 100, patienceMs: 30_000 };

/** A connection that takes as many messages as it has room for. */
class FakeClient {
  room = Number.POSITIVE_INFINITY;
  readonly got: string[] = [];
  readonly stuck = vi.fn();
  readonly counts = { sent: 0, lost: 0 };
  readonly losses = { queue: 0, export: 0, client: 0 };
  readonly stream = new EventStream({
    send: (message) => {
      this.got.push(Buffer.from(message).toString());
      return --this.room > 0;
    },
    lossMessage: (lost) => Buffer.from(`lost ${lost}`),
    onStuck: this.stuck,
    counts: this.counts,
    nowMs: () => Date.now(),
    limits,
  });

  write(...texts: string[]): void {
    for (const text of texts) this.stream.write(Buffer.from(text), 1, [this.losses]);
  }

  /** The connection takes this many more. */
  drain(room = Number.POSITIVE_INFINITY): void {
    this.room = room;
    this.stream.drained();
  }

  take(): string[] {
    return this.got.splice(0);
  }
}

let client: FakeClient;

beforeEach(() => {
  vi.useFakeTimers();
  client = new FakeClient();
});
afterEach(() => vi.useRealTimers());

test("a client that keeps up gets each event at once", () => {
  client.write("a", "b");
  expect(client.take()).toEqual(["a", "b"]);
});

describe("a slow client", () => {
  test("gets what waited in order, and nothing twice", () => {
    client.room = 1;
    client.write("a", "b", "c");
    expect(client.take()).toEqual(["a"]);
    client.drain(1);
    client.write("d");
    client.drain();
    client.write("e");
    expect(client.take()).toEqual(["b", "c", "d", "e"]);
  });

  test("learns how many events it has lost, where they are missing", () => {
    client.room = 1;
    client.write("a", "b", "c", "d", "e", "f");
    expect(client.counts.lost).toBe(2);
    expect(client.losses).toEqual({ queue: 0, export: 0, client: 2 });
    client.drain();
    client.write("g");
    expect(client.take()).toEqual(["a", "b", "c", "d", "lost 2", "g"]);
  });

  test("loses what is too much in bytes", () => {
    client.room = 1;
    client.write("a", "x".repeat(60), "y".repeat(60));
    expect(client.counts.lost).toBe(1);
  });

  test("is told at most once a second, and then also without another event", () => {
    client.room = 1;
    client.write("a", "b", "c", "d", "e");
    client.drain(1);
    client.write("f", "g");
    client.drain();
    client.write("h");
    expect(client.take()).toEqual(["a", "b", "c", "d", "lost 1", "h"]);
    vi.advanceTimersByTime(1_000);
    expect(client.take()).toEqual(["lost 2"]);
  });
});

describe("a client that reads nothing", () => {
  test("is cut off after a while, once", () => {
    client.room = 1;
    client.write("a", "b", "c", "d", "e");
    vi.advanceTimersByTime(limits.patienceMs);
    client.write("f");
    expect(client.stuck).toHaveBeenCalledExactlyOnceWith(2);
    client.write("g");
    expect(client.counts.lost).toBe(2);
  });

  test("is not, if it has read something meanwhile", () => {
    client.room = 1;
    client.write("a", "b", "c", "d", "e");
    vi.advanceTimersByTime(limits.patienceMs - 1);
    client.drain(1);
    client.write("f", "g", "h");
    vi.advanceTimersByTime(limits.patienceMs - 1);
    client.write("i");
    expect(client.stuck).not.toHaveBeenCalled();
  });
});

test("after its end a stream takes nothing, and no timer is left", () => {
  client.room = 1;
  client.write("a", "b", "c", "d", "e");
  client.stream.close();
  client.write("f");
  client.drain();
  expect(client.take()).toEqual(["a"]);
  expect(vi.getTimerCount()).toBe(0);
});
