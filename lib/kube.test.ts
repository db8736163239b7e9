import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { KubeClient } from "./kube.ts";
import { hasStatus } from "./kube-error.ts";
import { CONFIG_MAPS } from "./resources.ts";

interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: unknown;
}

let server: Server;
let client: KubeClient;
let seen: Seen[];
let answer: (response: ServerResponse, request: IncomingMessage) => void;

beforeEach(async () => {
  seen = [];
  answer = (response) => response.end("{}");
  server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const { method = "", url = "", headers } = request;
    seen.push({ method, url, headers, body: text === "" ? undefined : JSON.parse(text) });
    answer(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix`);
  let token = 0;
  const authorize = async () => ({ authorization: `Bearer ${++token}` });
  client = new KubeClient(
    { server: address, tls: {}, authorize },
    { userAgent: "test", requestTimeoutMs: 300 },
  );
});
afterEach(async () => {
  client.transport.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const object = { metadata: { name: "a", namespace: "n" } };

test("apply is a server-side apply with our field manager, group and kind", async () => {
  await client.apply(CONFIG_MAPS, object, { fieldManager: "trigon-operator" });
  expect(seen[0]).toMatchObject({
    method: "PATCH",
    url: "/prefix/api/v1/namespaces/n/configmaps/a?fieldManager=trigon-operator&force=true",
    headers: { "content-type": "application/apply-patch+yaml", "user-agent": "test" },
    body: { apiVersion: "v1", kind: "ConfigMap", ...object },
  });
});

test("applyStatus writes the subresource", async () => {
  await client.applyStatus(CONFIG_MAPS, object, { fieldManager: "m" });
  expect(seen[0]?.url).toMatch(/configmaps\/a\/status\?/);
});

test("every request is authorized anew: tokens rotate", async () => {
  await client.get(CONFIG_MAPS, object.metadata);
  await client.get(CONFIG_MAPS, object.metadata);
  expect(seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer 1", "Bearer 2"]);
});

test("find is undefined for what does not exist, and throws for what may not be read", async () => {
  answer = (response) => response.writeHead(404).end('{"reason":"NotFound"}');
  expect(await client.find(CONFIG_MAPS, object.metadata)).toBeUndefined();
  answer = (response) => response.writeHead(403).end('{"reason":"Forbidden"}');
  await expect(client.find(CONFIG_MAPS, object.metadata)).rejects.toSatisfy((error) => hasStatus(error, 403));
});

test("delete with a uid leaves another object of that name alone", async () => {
  answer = (response) => response.writeHead(409).end('{"reason":"Conflict"}');
  expect(await client.delete(CONFIG_MAPS, object.metadata, "u")).toBe(false);
  expect(seen[0]?.body).toEqual({ preconditions: { uid: "u" } });
});

test("compressed answers are read", async () => {
  answer = (response) =>
    response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync('{"metadata":{"name":"ü"}}'));
  expect(await client.get(CONFIG_MAPS, object.metadata)).toEqual({ metadata: { name: "ü" } });
});

test("Retry-After of flow control is kept", async () => {
  answer = (response) => response.writeHead(429, { "retry-after": "3" }).end();
  await expect(client.get(CONFIG_MAPS, object.metadata)).rejects.toMatchObject({
    status: 429,
    retryAfterMs: 3_000,
  });
});

test("a request without a response times out, and the error names the request", async () => {
  answer = () => undefined;
  await expect(client.get(CONFIG_MAPS, object.metadata)).rejects.toThrow(
    "GET /api/v1/namespaces/n/configmaps/a",
  );
});

test("a kept-alive connection that the server closed meanwhile costs no error", async () => {
  await client.get(CONFIG_MAPS, object.metadata);
  let isFirst = true;
  answer = (response, request) => {
    if (isFirst) request.socket.resetAndDestroy();
    else response.end("{}");
    isFirst = false;
  };
  await client.get(CONFIG_MAPS, object.metadata);
  expect(seen).toHaveLength(3);
});

test("a POST is never repeated by itself: it may have been done", async () => {
  await client.get(CONFIG_MAPS, object.metadata);
  answer = (_response, request) => request.socket.resetAndDestroy();
  await expect(client.create(CONFIG_MAPS, object, { fieldManager: "m" })).rejects.toThrow("POST");
  expect(seen).toHaveLength(2);
});

test("an empty list of metadata, whose items are null, is a list, and only metadata is asked for", async () => {
  answer = (response) => response.end('{"metadata":{"resourceVersion":"7"},"items":null}');
  const page = await client.onlyMetadata().listPage(CONFIG_MAPS, { namespace: "n" }, 500);
  expect(page).toEqual({ items: [], resourceVersion: "7" });
  expect(seen[0]?.headers.accept).toMatch(/as=PartialObjectMetadataList/);
});
