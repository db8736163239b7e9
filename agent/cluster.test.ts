import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ApiRequest, ApiResponse, Transport } from "../lib/api-transport.ts";
import type { ClusterAccess } from "../lib/cluster-access.ts";
import { KubeClient } from "../lib/kube.ts";
import { createLogger } from "../lib/logger.ts";
import { createRegistry, createWatchMetrics } from "../lib/metrics.ts";
import { Cluster } from "./cluster.ts";
import { PodStore } from "./pods/pod-store.ts";

const UNHURRIED_MS = 60_000;

/** An API server in which nothing is, whose answers the test gives one by one. */
class SlowApi implements Transport {
  readonly requests: string[] = [];
  readonly #waiting: (() => void)[] = [];
  nodes = 0;

  async send({ method, path, query }: ApiRequest): Promise<ApiResponse> {
    this.requests.push(`${method} ${path.split("/").at(-1)}`);
    await new Promise<void>((answer) => this.#waiting.push(answer));
    const rest = query?.limit === 1 && { continue: "more", remainingItemCount: this.nodes };
    const metadata = { resourceVersion: "1", ...rest };
    const status = path.includes("/pods") ? 403 : 200;
    return { status, headers: {}, text: JSON.stringify({ metadata, items: [] }) };
  }

  /** Watches are accepted, and nothing happens. */
  async open({ path }: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    this.requests.push(`watch ${path.split("/").at(-1)}`);
    signal.throwIfAborted();
    await new Promise<void>((answer) => this.#waiting.push(answer));
    const stream = Object.assign(new PassThrough(), { statusCode: 200 });
    signal.addEventListener("abort", () => stream.destroy(new Error("aborted")));
    return stream as unknown as IncomingMessage;
  }

  close(): void {}

  /** Answers what waits; returns how many requests did. */
  async answer(): Promise<number> {
    const waiting = this.#waiting.splice(0);
    for (const go of waiting) go();
    await vi.advanceTimersByTimeAsync(1);
    return waiting.length;
  }
}

let api: SlowApi;
let cluster: Cluster;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  vi.spyOn(Math, "random").mockReturnValue(1);
  api = new SlowApi();
  const client = new KubeClient({} as ClusterAccess, { userAgent: "test" }, api);
  cluster = new Cluster({
    client,
    podClient: client,
    nodeName: "a",
    namespace: "trigon-system",
    podStore: new PodStore(),
    logger: createLogger({ component: "agent", level: "error" }),
    metrics: createWatchMetrics(
      createRegistry({ component: "agent", version: "test", defaultMetrics: false }),
    ),
  });
  cluster.start();
});
afterEach(async () => {
  const stopped = cluster.stop();
  await api.answer();
  await stopped;
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const URGENT = [
  "GET configmaps",
  "watch configmaps",
  "GET nodes",
  "watch nodes",
  "GET configmaps",
  "watch configmaps",
  "GET pods",
];
const UNHURRIED = ["GET tracingnodes", "PATCH trigon-write-guard-check"];

test("asks for one thing after the other, in the order of need, and goes on when one is refused", async () => {
  for (const [index] of URGENT.entries()) {
    await vi.advanceTimersByTimeAsync(10);
    expect(api.requests).toEqual(URGENT.slice(0, index + 1));
    expect(await api.answer()).toBe(1);
  }
});

test.each([
  ["three nodes", 3, 36],
  ["5,000 nodes", 5_000, UNHURRIED_MS],
])("what nothing waits for comes later among %s", async (_name, nodes, longestMs) => {
  api.nodes = nodes;
  for (const _ of URGENT) await api.answer();
  await api.answer(); // the number of nodes
  const before = api.requests.length;
  await vi.advanceTimersByTimeAsync(longestMs - 10);
  const later = () => api.requests.slice(before).filter((request) => request !== "GET pods");
  expect(later()).toEqual([]);
  await vi.advanceTimersByTimeAsync(20);
  expect(later()).toEqual(UNHURRIED);
});
