/** What the API server sees of 5,000 agents that do the same at the same time. */
import { afterEach, expect, test, vi } from "vitest";
import type { Logger } from "../../lib/logger.ts";
import { StatusPublisher, type TracingNodeApi } from "./publish.ts";
import { makeTracingNodeStatus, type TracingNodeStatus } from "./tracing-node.ts";

const AGENTS = 5_000;
const POLICIES = 20;
const cluster = { share: async () => 1 };
const logger = { warn: () => {} } as unknown as Logger;

/** So many share a fake clock, whose work grows with the square of it; agents know nothing of each other anyway. */
const BATCH = 100;

afterEach(() => vi.useRealTimers());

/** Random numbers that are the same in each run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type State = "Attached" | "Pending";

function statusOf(agentVersion: string, state: State, specHash = "1"): TracingNodeStatus {
  const kernel = { release: "6.1", architecture: "x86_64", features: {}, reasons: {} };
  const outcomes = Array.from({ length: POLICIES }, (_, n) => ({
    ref: { kind: "TracingPolicy" as const, name: `p${n}` },
    specHash,
    state,
    ...(state === "Attached" && { attachedHash: specHash }),
    hooks: [],
  }));
  return makeTracingNodeStatus({ agentVersion, kernel }, outcomes);
}

/** An API server that counts, in which each node has the status of an earlier agent, or none. */
class CountingApi {
  writes: number[] = [];
  final = 0;
  startedAt = 0;

  nodeWith(status: TracingNodeStatus | undefined, wanted: TracingNodeStatus): TracingNodeApi {
    let exists = status !== undefined;
    return {
      read: async () => status,
      create: async () => {
        exists = true;
      },
      patch: async (patch) => {
        if (!exists) return false;
        const second = Math.floor((performance.now() - this.startedAt) / 1_000);
        this.writes[second] = (this.writes[second] ?? 0) + 1;
        if (JSON.stringify(patch).includes(wanted.agentVersion)) this.final++;
        return true;
      },
    };
  }
}

async function run(
  before: TracingNodeStatus | undefined,
  steps: [atMs: number, status: TracingNodeStatus][],
): Promise<{ perSecond: number; total: number; nodes: number }> {
  const api = new CountingApi();
  const wanted = steps.at(-1)?.[1] ?? statusOf("new", "Attached");
  const random = seeded(1);
  for (let done = 0; done < AGENTS; done += BATCH) {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    api.startedAt = performance.now();
    const publishers = Array.from(
      { length: BATCH },
      () => new StatusPublisher({ api: api.nodeWith(before, wanted), logger, cluster, random }),
    );
    let now = 0;
    for (const [at, status] of steps) {
      await vi.advanceTimersByTimeAsync(at - now);
      now = at;
      for (const publisher of publishers) publisher.publish(status);
    }
    await vi.advanceTimersByTimeAsync(100_000 - now);
    for (const publisher of publishers) publisher.close();
    vi.useRealTimers();
  }
  const counts = api.writes.filter((count) => count > 0);
  return { perSecond: Math.max(0, ...counts), total: sum(counts), nodes: api.final };
}

const sum = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0);
const old = statusOf("old", "Attached");

test("agents that restart as they were write nothing", async () => {
  const { total } = await run(statusOf("new", "Attached"), [[0, statusOf("new", "Attached")]]);
  expect(total).toBe(0);
});

test("an upgrade of all agents at once is one write each, at most 150 in a second", async () => {
  const { perSecond, total, nodes } = await run(old, [[0, statusOf("new", "Attached")]]);
  expect({ total, nodes }).toEqual({ total: AGENTS, nodes: AGENTS });
  expect(perSecond).toBeLessThanOrEqual(150);
});

test("one after which attaching takes long is at most two writes each, at most 500 in a second", async () => {
  const { perSecond, total, nodes } = await run(old, [
    [10_000, statusOf("new", "Pending")],
    [30_000, statusOf("new", "Attached")],
  ]);
  expect(nodes).toBe(AGENTS);
  expect(total).toBeLessThanOrEqual(2 * AGENTS);
  expect(perSecond).toBeLessThanOrEqual(500);
});

test("nodes that are new report without a delay: each comes at its own time", async () => {
  const { total } = await run(undefined, [[0, statusOf("new", "Attached")]]);
  expect(total).toBe(AGENTS);
});
