import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import { KubeError } from "../../lib/kube-error.ts";
import { makeApis, request } from "./api.ts";

let server: Server;
let connections: number;
let seen: string[];
let answer: { status: number; body: string; headers?: Record<string, string> };

beforeEach(async () => {
  connections = 0;
  seen = [];
  answer = { status: 200, body: '{"metadata":{"name":"a"}}' };
  server = createServer((incoming, response) => {
    seen.push(`${incoming.method} ${incoming.headers["user-agent"]} ${incoming.headers.authorization}`);
    response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
    response.end(answer.body);
  });
  server.on("connection", () => connections++);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function apis(mayWriteMs?: () => number) {
  const config = new KubeConfig();
  const { port } = server.address() as AddressInfo;
  const cluster = { name: "c", server: `http://127.0.0.1:${port}`, skipTLSVerify: true };
  config.loadFromClusterAndUser(cluster, { name: "u", token: "t" });
  return makeApis({ config, userAgent: "trigon-operator/1", ...(mayWriteMs && { mayWriteMs }) });
}
const at = { namespace: "n", name: "a" };

test("requests name the operator, authenticate, and share connections", async () => {
  const { core } = apis();
  for (let i = 0; i < 5; i++) await core.readNamespacedConfigMap(at);
  expect(seen[4]).toBe("GET trigon-operator/1 Bearer t");
  expect(connections).toBeLessThan(3);
});

test("a replica that does not lead reads, and writes nothing", async () => {
  const { core } = apis(() => 0);
  await core.readNamespacedConfigMap(at);
  await expect(core.deleteNamespacedConfigMap(at)).rejects.toThrow("does not lead any more");
  expect(seen).toHaveLength(1);
});

test("a refusal becomes a KubeError with what decisions need", async () => {
  answer = {
    status: 429,
    body: '{"reason":"TooManyRequests","message":"slow"}',
    headers: { "retry-after": "3" },
  };
  const { core } = apis();
  const error = await request("read a", core.readNamespacedConfigMap(at)).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(KubeError);
  expect(error).toMatchObject({ status: 429, reason: "TooManyRequests", retryAfterMs: 3_000 });
});

test("no answer is an error that names the step", async () => {
  const { core } = apis();
  server.close();
  server.closeAllConnections();
  await expect(request("read a", core.readNamespacedConfigMap(at))).rejects.toThrow("read a");
});
