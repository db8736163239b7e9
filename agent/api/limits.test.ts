import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { type ClientReadableStream, type ServiceError, status } from "@grpc/grpc-js";
import { afterEach, expect, test, vi } from "vitest";
import { makeHit } from "../events/testing/pipeline.ts";
import { credSlot, makeBatch } from "../records/testing/records.ts";
import { makeApi, type TestApi, TestClient } from "./testing/api.ts";

let api: TestApi;
const closers: (() => void)[] = [];

function makeClient(): TestClient {
  const client = new TestClient(api.socket);
  closers.push(() => client.close());
  return client;
}

/** A connection that sends nothing. */
function makeIdle(): Socket {
  const socket = connect(api.socket).on("error", () => {});
  closers.push(() => socket.destroy());
  return socket.resume();
}

const hit = () => api.pipeline.handleBatch(makeBatch(makeHit([credSlot({ uid: 7 })])));

/** Counts the events of a stream. */
function collect(stream: ClientReadableStream<never>): { events: number } {
  const got = { events: 0 };
  stream.on("data", () => got.events++);
  return got;
}

const failing = (client: TestClient) => client.failure({}).then(({ code, details }) => ({ code, details }));

afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await api.close();
});

test("calls beyond what a connection may have are refused, and the others go on", async () => {
  api = await makeApi({ callLimits: { total: 5, perConnection: 3 } });
  const [first, second] = [makeClient(), makeClient()];
  const streams = await Promise.all([first.events(), first.events(), first.events()]);
  const refused = { code: status.RESOURCE_EXHAUSTED, details: expect.anything() as string };
  const ofConnection = "this connection has 3 calls open, which is the most";
  expect(await failing(first)).toEqual({ ...refused, details: ofConnection });
  expect((await first.call("GetVersion")) as ServiceError).toMatchObject(refused);
  streams.push(await second.events(), await second.events());
  const inAll = "clients have 5 calls open, which is the most";
  expect(await failing(second)).toEqual({ ...refused, details: inAll });
  const got = streams.map(collect);
  hit();
  await vi.waitFor(() => expect(got.map(({ events }) => events)).toEqual([1, 1, 1, 1, 1]));
});

test("a call that ends makes room for another one", async () => {
  api = await makeApi({ callLimits: { total: 1, perConnection: 1 } });
  const client = makeClient();
  for (let turn = 0; turn < 5; turn++) {
    expect(await client.call("GetVersion")).toHaveProperty("version", "1.2.3");
    const stream = await client.events();
    expect(await failing(client)).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    stream.cancel();
    await vi.waitFor(() => expect(api.counts.open).toBe(0));
  }
});

test("requests that never end count as calls", async () => {
  api = await makeApi({ callLimits: { total: 10, perConnection: 2 } });
  const session = connectHttp2("http://localhost", { createConnection: () => connect(api.socket) });
  closers.push(() => session.destroy());
  const open = () =>
    session.request({
      ...{ ":method": "POST", ":path": "/tetragon.FineGuidanceSensors/GetVersion" },
      ...{ "content-type": "application/grpc", te: "trailers" },
    });
  open();
  open();
  const [headers] = await once(open(), "response");
  expect(headers["grpc-status"]).toBe(String(status.RESOURCE_EXHAUSTED));
});

test("of too many connections those without calls are closed, and streams go on", async () => {
  api = await makeApi({ maxConnections: 8 });
  const warn = vi.spyOn(api.logger, "warn");
  const streams = await Promise.all([makeClient().events(), makeClient().events()]);
  const got = streams.map(collect);
  const idle = Array.from({ length: 2_000 }, makeIdle);
  const isOpen = ({ destroyed, readyState }: Socket) => !destroyed && readyState === "open";
  await vi.waitFor(() => expect(idle.filter(isOpen).length).toBeLessThanOrEqual(6), 30_000);
  expect(await makeClient().call("GetVersion")).toHaveProperty("version", "1.2.3");
  hit();
  await vi.waitFor(() => expect(got.map(({ events }) => events)).toEqual([1, 1]));
  expect(warn.mock.calls).toEqual([["gRPC: more than 8 connections: those without calls are closed first"]]);
}, 60_000);

test("a connection is closed when all that there may be have calls", async () => {
  api = await makeApi({ maxConnections: 2 });
  const streams = await Promise.all([makeClient().events(), makeClient().events()]);
  await once(makeIdle(), "close");
  streams[0]?.cancel();
  await vi.waitFor(() => expect(api.counts.open).toBe(1));
  expect(await makeClient().call("GetVersion")).toHaveProperty("version", "1.2.3");
});
