import { afterEach, expect, test, vi } from "vitest";
import { makeHit } from "../events/testing/pipeline.ts";
import { credSlot, makeBatch } from "../records/testing/records.ts";
import { makeApi, type TestApi, TestClient } from "./testing/api.ts";
import { RawStream } from "./testing/raw-stream.ts";

let api: TestApi;
const clients: TestClient[] = [];

function makeClient(): TestClient {
  const client = new TestClient(api.socket);
  clients.push(client);
  return client;
}

/** Hits of which each is a message of about 400 bytes. */
function hit(times = 1): void {
  for (let i = 0; i < times; i++) api.pipeline.handleBatch(makeBatch(makeHit([credSlot({ uid: i })])));
}

type Stream = Awaited<ReturnType<TestClient["events"]>>;

/** What a stream brings: uids of hits, and how many events are lost. */
function collect(stream: Stream) {
  const got = { uids: [] as number[], lost: 0 };
  stream.on("data", ({ event }) => {
    if (event.case === "rateLimitInfo") got.lost += Number(event.value.numberOfDroppedProcessEvents);
    else got.uids.push(event.value.args[0].arg.value.uid);
  });
  return got;
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await api.close();
});

test.each([10, 1_000])(
  "%d clients get every event",
  async (count) => {
    api = await makeApi();
    const connections = Array.from({ length: 10 }, makeClient);
    const streams = await Promise.all(
      Array.from({ length: count }, (_, index) => (connections[index % 10] as TestClient).events()),
    );
    const got = streams.map(collect);
    expect(api.counts.open).toBe(count);
    hit(5);
    await vi.waitFor(() => expect(got.every(({ uids }) => uids.length === 5)).toBe(true), 30_000);
    expect(api.counts).toMatchObject({ sent: 5 * count, lost: 0 });
    for (const stream of streams) stream.cancel();
    await vi.waitFor(() => expect(api.counts.open).toBe(0), 30_000);
  },
  60_000,
);

const limits = { maxEvents: 1_000, maxBytes: 1 << 20, patienceMs: 500 };

test("a client that does not read for a while loses events and is told how many; others lose none", async () => {
  api = await makeApi({ limits: { ...limits, patienceMs: 60_000 } });
  const slow = new RawStream(api.socket);
  await slow.open;
  const quick = collect(await makeClient().events());
  const count = 3_000;
  for (let sent = 0; sent < count; sent += 100) {
    hit(100);
    await vi.waitFor(() => expect(quick.uids.length).toBe(sent + 100), 30_000);
  }
  expect(quick.lost).toBe(0);
  slow.read();
  const totals = () => {
    const lost = slow.events.flatMap(({ rateLimitInfo: info }) =>
      info ? [Number(info.numberOfDroppedProcessEvents)] : [],
    );
    return { lost: lost.reduce((sum, one) => sum + one, 0), hits: slow.events.length - lost.length };
  };
  await vi.waitFor(() => expect(totals().hits + totals().lost).toBe(count), 30_000);
  expect(totals().lost).toBe(api.counts.lost);
  expect(api.counts.lost).toBeGreaterThan(0);
  slow.close();
}, 60_000);

test("a client that never reads is cut off, and its connection with it; others go on", async () => {
  api = await makeApi({ limits });
  const stuck = new RawStream(api.socket);
  await stuck.open;
  const quick = collect(await makeClient().events());
  let hits = 0;
  while (api.counts.open > 1) {
    hit(50);
    hits += 50;
    await vi.waitFor(() => expect(quick.uids.length).toBe(hits), 30_000);
  }
  await stuck.closed;
  hit();
  await vi.waitFor(() => expect(quick.uids.length).toBe(hits + 1));
}, 60_000);
