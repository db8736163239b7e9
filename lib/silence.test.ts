import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { IdleError, IdleTimer } from "./silence.ts";

/** Turns of the event loop cost nothing on the fake clock, and some time on a real one. */
const TURNS_MS = 5;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test("silence is noticed a second after the limit", () => {
  const idle = new IdleTimer(90_000);
  vi.advanceTimersByTime(90_999);
  expect(idle.signal.aborted).toBe(false);
  vi.advanceTimersByTime(TURNS_MS);
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
  vi.advanceTimersByTime(TURNS_MS);
  expect(idle.signal.aborted).toBe(true);
});

test("nothing happens after stop", () => {
  const idle = new IdleTimer(1_000);
  vi.advanceTimersByTime(1_000);
  idle.stop();
  vi.advanceTimersByTime(10_000);
  expect(idle.signal.aborted).toBe(false);
});

/** Keeps the process from doing anything else. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test("a pause that covers the limit and the second look is not silence while bytes wait in the socket", async () => {
  vi.useRealTimers();
  const server = createServer().listen(0, "127.0.0.1");
  const accepted = once(server, "connection");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [peer] = (await accepted) as [Socket];
  const idle = new IdleTimer(20);
  const read = once(client, "data");
  client.on("data", () => idle.reset());
  setTimeout(() => {
    peer.write("a bookmark");
    block(1_100); // right after the limit, until the second look is due, and before any socket is read
  }, 20);
  await read;
  expect(idle.signal.aborted).toBe(false);
  idle.stop();
  client.destroy();
  server.close();
});
