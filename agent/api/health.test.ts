import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Client,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { protoPath } from "grpc-health-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { HealthChecks } from "../../lib/health.ts";
import { createLogger } from "../../lib/logger.ts";
import type { ServerAddress } from "./address.ts";
import { type Api, startHealthApi } from "./start.ts";

interface Answer {
  status: string;
}
type HealthClient = Client & {
  Check(request: object, done: (error: ServiceError | null, answer: Answer) => void): void;
  Watch(request: object): ClientReadableStream<Answer>;
};

const logger = createLogger({ component: "test", level: "error" });
const clients: HealthClient[] = [];
let checks: HealthChecks;
let api: Api;
beforeEach(async () => {
  checks = { live: {}, ready: {} };
  api = await start({ host: "127.0.0.1", port: 0 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await api.close();
});

function start(address: ServerAddress): Promise<Api> {
  return startHealthApi({ address, health: { checks, intervalMs: 20 }, logger });
}

function portOf({ address }: Api): number {
  return "port" in address ? address.port : 0;
}

/** A client made from the library's own .proto file. */
function makeClient(target: string): HealthClient {
  // biome-ignore lint/suspicious/noExplicitAny: made at run time
  const { grpc } = loadPackageDefinition(loadSync(protoPath, { enums: String })) as any;
  const options = { "grpc.use_local_subchannel_pool": 1 };
  const client: HealthClient = new grpc.health.v1.Health(target, credentials.createInsecure(), options);
  clients.push(client);
  return client;
}

/** Status of a service, or the code of the error. */
function check(client: HealthClient, service: string): Promise<string> {
  return new Promise((resolve) =>
    client.Check({ service }, (error, answer) => resolve(error ? String(status[error.code]) : answer.status)),
  );
}

describe("the health server", () => {
  const cases: Record<string, { checks: HealthChecks; liveness: string; agent: string }> = {
    "serves when every check is well": {
      checks: { live: { ring: () => undefined }, ready: { engine: () => undefined } },
      liveness: "SERVING",
      agent: "SERVING",
    },
    "is alive while it is not ready": {
      checks: { live: { ring: () => undefined }, ready: { engine: () => "not started yet" } },
      liveness: "SERVING",
      agent: "NOT_SERVING",
    },
    "is neither alive nor ready when only a restart helps": {
      checks: { live: { ring: () => "stands still" }, ready: {} },
      liveness: "NOT_SERVING",
      agent: "NOT_SERVING",
    },
  };
  test.each(Object.entries(cases))("%s", async (_name, { checks: given, liveness, agent }) => {
    Object.assign(checks, given);
    const client = makeClient(`127.0.0.1:${portOf(api)}`);
    expect(await check(client, "liveness")).toBe(liveness);
    expect(await check(client, "")).toBe(agent);
    expect(await check(client, "tetragon.FineGuidanceSensors")).toBe(agent);
  });

  test("does not know other services, nor any other call", async () => {
    const client = makeClient(`127.0.0.1:${portOf(api)}`);
    expect(await check(client, "nobody")).toBe("NOT_FOUND");
    const refused = await new Promise<ServiceError | null>((resolve) =>
      client.makeUnaryRequest(
        "/tetragon.FineGuidanceSensors/GetVersion",
        () => Buffer.alloc(0),
        (bytes) => bytes,
        {},
        resolve,
      ),
    );
    expect(refused?.code).toBe(status.UNIMPLEMENTED);
  });

  test("reports each change once to a client that watches", async () => {
    const stream = makeClient(`127.0.0.1:${portOf(api)}`).Watch({ service: "liveness" });
    const seen: string[] = [];
    stream.on("data", ({ status }: Answer) => seen.push(status)).on("error", () => {});
    await vi.waitFor(() => expect(seen).toEqual(["SERVING"]));
    checks.live.ring = () => "stands still";
    await vi.waitFor(() => expect(seen).toEqual(["SERVING", "NOT_SERVING"]));
    delete checks.live.ring;
    await vi.waitFor(() => expect(seen).toEqual(["SERVING", "NOT_SERVING", "SERVING"]));
    stream.cancel();
  });

  test("refuses a message that is no health check's", async () => {
    const client = makeClient(`127.0.0.1:${portOf(api)}`);
    expect(await check(client, "x".repeat(5_000))).toBe("RESOURCE_EXHAUSTED");
    expect(await check(client, "liveness")).toBe("SERVING");
  });

  test("closes the oldest of more than 64 connections, so that idle ones keep nobody out", async () => {
    const idle = Array.from({ length: 65 }, () => connect(portOf(api), "127.0.0.1").on("error", () => {}));
    await once((idle[0] as Socket).resume(), "close");
    expect(await check(makeClient(`127.0.0.1:${portOf(api)}`), "liveness")).toBe("SERVING");
    for (const socket of idle) socket.destroy();
  });
});

test("an address that is taken is named", async () => {
  await expect(start({ host: "127.0.0.1", port: portOf(api) })).rejects.toThrow(
    `listen on 127.0.0.1:${portOf(api)}`,
  );
});

test("a UNIX socket serves as well", async () => {
  const directory = mkdtempSync(join(tmpdir(), "trigon-health-"));
  const path = join(directory, "health.sock");
  const other = await start({ path });
  expect(await check(makeClient(`unix://${path}`), "liveness")).toBe("SERVING");
  await other.close();
  rmSync(directory, { recursive: true });
});
