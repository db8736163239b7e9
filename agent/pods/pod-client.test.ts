import type { IncomingMessage } from "node:http";
import { expect, test, vi } from "vitest";
import type { ApiRequest, Transport } from "../../lib/api-transport.ts";
import { asNode } from "./pod-client.ts";

const REQUEST: ApiRequest = { method: "GET", path: "/api/v1/pods" };
const AS_NODE = { ...REQUEST, headers: { "impersonate-user": "system:node:node-1" } };

function makeTransport(statusAsNode: number) {
  const destroy = vi.fn();
  const status = ({ headers }: ApiRequest) => (headers ? statusAsNode : 200);
  const send = vi.fn<Transport["send"]>(async (request) => ({
    status: status(request),
    headers: {},
    text: "",
  }));
  const open = vi.fn<Transport["open"]>(
    async (request) => ({ statusCode: status(request), destroy }) as unknown as IncomingMessage,
  );
  return { send, open, close: vi.fn(), destroy };
}

test("pods are read as the node", async () => {
  const own = makeTransport(200);
  await asNode(own, "node-1").send(REQUEST);
  await asNode(own, "node-1").open(REQUEST, AbortSignal.timeout(1000));
  expect(own.send.mock.calls).toEqual([[AS_NODE]]);
  expect(own.open.mock.calls.map(([request]) => request)).toEqual([AS_NODE]);
});

test("an API server that refuses it gets the request of the agent itself", async () => {
  const own = makeTransport(403);
  const answer = await asNode(own, "node-1").send(REQUEST);
  const stream = await asNode(own, "node-1").open(REQUEST, AbortSignal.timeout(1000));
  expect([answer.status, stream.statusCode]).toEqual([200, 200]);
  expect(own.send.mock.calls).toEqual([[AS_NODE], [REQUEST]]);
  expect(own.destroy).toHaveBeenCalledOnce();
});

test("any other refusal stands: a missing page of a list is not read with other rights", async () => {
  const own = makeTransport(410);
  expect((await asNode(own, "node-1").send(REQUEST)).status).toBe(410);
  expect(own.send).toHaveBeenCalledOnce();
});
