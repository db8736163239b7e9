import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Logger } from "../../lib/logger.ts";
import { StatusPublisher, type TracingNodeApi } from "./publish.ts";
import { makeTracingNodeStatus, type TracingNodeStatus } from "./tracing-node.ts";

const logger = { warn: () => {} } as unknown as Logger;

/** An API server with one object, which can be away. */
class FakeApi implements TracingNodeApi {
  object: TracingNodeStatus | undefined;
  exists = false;
  away = false;
  writes = 0;
  creations = 0;
  reads = 0;
  patches: object[] = [];
  async read() {
    this.reads++;
    this.#check();
    return this.exists ? this.object : undefined;
  }
  async create() {
    this.#check();
    this.exists = true;
    this.creations++;
  }
  async patch(status: object) {
    this.#check();
    if (!this.exists) return false;
    this.writes++;
    this.patches.push(status);
    this.object = patched(this.object ?? {}, status) as unknown as TracingNodeStatus;
    return true;
  }
  #check() {
    if (this.away) throw new Error("connect ECONNREFUSED");
  }
}

/** Merge patches as the API server applies them. */
function patched(target: object, patch: object): object {
  const entries = new Map(Object.entries(structuredClone(target)));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) entries.delete(name);
    else if (typeof value !== "object" || Array.isArray(value)) entries.set(name, value);
    else entries.set(name, patched(entries.get(name) ?? {}, value));
  }
  return Object.fromEntries(entries);
}

/** A status in which a policy runs the spec with this hash. */
function status(specHash: string, agentVersion = "1"): TracingNodeStatus {
  const kernel = { release: "6.1", architecture: "x86_64", features: {}, reasons: {} };
  const outcome = { specHash, attachedHash: specHash, state: "Attached" as const, hooks: [] };
  const others = ["p", "q"].map((name) => ({ ...outcome, ref: { kind: "TracingPolicy" as const, name } }));
  const [p, q] = others as [(typeof others)[0], (typeof others)[0]];
  return makeTracingNodeStatus({ agentVersion, kernel }, [p, { ...q, specHash: "0", attachedHash: "0" }]);
}

const timing = {
  coalesceMs: 100,
  jitterMs: 0,
  factsMs: 30_000,
  restartMs: 5_000,
  retry: { initialMs: 1000, maxMs: 8000 },
  checkMs: 60_000,
};
/** Part of a large cluster that the tests' is. */
let share: number;
const cluster = { share: async () => share };
let api: FakeApi;
let publisher: StatusPublisher;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  api = new FakeApi();
  share = 1;
  publisher = new StatusPublisher({ api, logger, cluster, random: () => 1, timing });
});
afterEach(() => {
  publisher.close();
  vi.useRealTimers();
});

async function pass(ms: number) {
  await vi.advanceTimersByTimeAsync(ms);
}

describe("a status", () => {
  test("is written into an object that is created first", async () => {
    publisher.publish(status("1"));
    await pass(100);
    expect(api.object).toEqual(status("1"));
    expect(api.writes).toBe(1);
  });

  test("gets its object made anew when the node is another one, also while the API server is away", async () => {
    publisher.publish(status("1"));
    await pass(100);
    api.away = true;
    publisher.nodeReplaced();
    await pass(100);
    api.away = false;
    await pass(1000);
    expect({ creations: api.creations, writes: api.writes }).toEqual({ creations: 2, writes: 1 });
    await pass(60_000);
    expect(api.creations).toBe(2);
  });

  test("is written at once when the node is back, however long it was away", async () => {
    publisher.publish(status("1"));
    await pass(100);
    api.exists = false;
    const create = vi.spyOn(api, "create").mockRejectedValue(new Error("there is no such Node"));
    publisher.objectChanged(undefined);
    await pass(60_000);
    create.mockRestore();
    publisher.nodeReplaced();
    await pass(100);
    expect(api).toMatchObject({ exists: true, object: status("1") });
  });

  test("that changes three times in a moment is written once, as it was last", async () => {
    for (const version of ["1", "2", "3"]) publisher.publish(status(version));
    await pass(1000);
    expect(api.writes).toBe(1);
    expect(api.object).toEqual(status("3"));
  });

  test("that is published again unchanged is not written", async () => {
    publisher.publish(status("1"));
    await pass(100);
    publisher.publish(status("1"));
    await pass(10_000);
    expect(api.writes).toBe(1);
    expect(api.reads).toBe(1); // before the first write
  });

  test("is written as a patch of what has changed", async () => {
    publisher.publish(status("1"));
    await pass(100);
    publisher.publish(status("2"));
    await pass(100);
    expect(api.patches[1]).toEqual({ attached: { p: "2" } });
  });
});

describe("an agent that starts anew", () => {
  beforeEach(() => {
    api.exists = true;
  });

  test("writes nothing if its status is what an earlier one wrote", async () => {
    api.object = status("1");
    publisher.publish(status("1"));
    await pass(50_000);
    expect(api.writes).toBe(0);
  });

  test("takes its time for what is not about policies, because all agents of a cluster may do so", async () => {
    api.object = status("1", "old");
    publisher.publish(status("1", "new"));
    await pass(29_000);
    expect(api.writes).toBe(0);
    await pass(2_000);
    expect(api.patches).toEqual([{ agentVersion: "new" }]);
  });

  test.each([
    ["new", "1", 30_000],
    ["1", "2", 5_000],
  ])("takes less in a smaller cluster: version %s, spec %s", async (version, hash, longestMs) => {
    share = 0.1;
    api.object = status("1", "1");
    publisher.publish(status(hash, version));
    await pass(longestMs / 10);
    expect(api.writes).toBe(0);
    await pass(200);
    expect(api.writes).toBe(1);
  });

  test("takes less time for news about policies, and writes all of it together", async () => {
    api.object = status("1", "old");
    publisher.publish(status("1", "new"));
    await pass(1_000);
    publisher.publish(status("2", "new"));
    await pass(4_900);
    expect(api.writes).toBe(0);
    await pass(300);
    expect(api.patches).toEqual([{ agentVersion: "new", attached: { p: "2" } }]);
    await pass(40_000);
    expect(api.writes).toBe(1);
  });

  test("writes news about policies at once when its first minute is over, or nothing is there yet", async () => {
    api.object = status("1");
    publisher.publish(status("1"));
    await pass(61_000);
    publisher.publish(status("2"));
    await pass(100);
    expect(api.writes).toBe(1);
    api.object = {} as never;
    const other = new StatusPublisher({ api, logger, cluster, random: () => 1, timing });
    other.publish(status("1"));
    await pass(100);
    other.close();
    expect(api.writes).toBe(2);
  });

  test("removes what only an earlier version wrote", async () => {
    api.object = { ...status("1"), old: true } as never;
    publisher.publish(status("2"));
    await pass(5_200);
    expect(api.object).toEqual(status("2"));
  });
});

describe("while the API server is away", () => {
  test("it is tried again, ever more seldom, and written when it is back", async () => {
    api.away = true;
    const tries = vi.spyOn(api, "read");
    publisher.publish(status("1"));
    await pass(100 + 1000 + 2000 + 4000 + 8000 + 8000);
    expect(tries).toHaveBeenCalledTimes(6);
    api.away = false;
    await pass(8000);
    expect(api.object).toEqual(status("1"));
  });

  test("changes do not make it try sooner, and only the newest is written", async () => {
    api.away = true;
    const tries = vi.spyOn(api, "read");
    publisher.publish(status("1"));
    await pass(100);
    for (let change = 0; change < 50; change++) publisher.publish(status(`c${change}`));
    await pass(900);
    expect(tries).toHaveBeenCalledTimes(1);
    api.away = false;
    await pass(200);
    expect(api.writes).toBe(1);
    expect(api.object).toEqual(status("c49"));
  });
});

describe("an object that is read from time to time", () => {
  beforeEach(async () => {
    publisher.publish(status("1"));
    await pass(100);
  });

  test("is left alone when it is as written", async () => {
    await pass(60_000);
    expect(api.reads).toBe(2);
    expect(api.writes).toBe(1);
  });

  test("is written again after another client deleted it", async () => {
    api.exists = false;
    await pass(60_000);
    expect(api.exists).toBe(true);
    expect(api.writes).toBe(2);
  });

  test("is written again after another client changed it", async () => {
    api.object = status("forged");
    await pass(60_000);
    expect(api.object).toEqual(status("1"));
  });
});

describe("an object that is seen to change", () => {
  beforeEach(async () => {
    publisher.publish(status("1"));
    await pass(100);
  });

  test("is left alone when that was the own write", async () => {
    publisher.objectChanged(status("1"));
    await pass(1000);
    expect({ reads: api.reads, writes: api.writes }).toEqual({ reads: 1, writes: 1 });
  });

  test("is written again after another client deleted it", async () => {
    api.exists = false;
    publisher.objectChanged(undefined);
    await pass(100);
    expect(api).toMatchObject({ exists: true, creations: 2, writes: 2, object: status("1") });
  });

  test("is written again after another client changed it", async () => {
    api.object = status("forged");
    publisher.objectChanged(status("forged"));
    await pass(100);
    expect(api.object).toEqual(status("1"));
  });

  test("is not fought over with a second agent on the node", async () => {
    for (let second = 0; second < 120; second++) {
      if (api.object?.agentVersion === "1") api.object = status("1", "other");
      publisher.objectChanged(api.object);
      await pass(1000);
    }
    expect(api.writes).toBeLessThan(15);
    expect(publisher.problem).toMatch(/second Trigon agent/);
  });

  test("is not written because an older write is seen late", async () => {
    publisher.publish(status("2"));
    await pass(100);
    publisher.objectChanged(status("1"));
    await pass(1000);
    expect(api.writes).toBe(2);
  });
});

test("a change during a write is written after it", async () => {
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  api.exists = true;
  const patch = api.patch.bind(api);
  const apply = vi.spyOn(api, "patch");
  apply.mockImplementationOnce((changes) => finished.then(() => patch(changes)));
  publisher.publish(status("1"));
  await pass(100);
  publisher.publish(status("2"));
  await pass(5000);
  expect(apply).toHaveBeenCalledTimes(1);
  finish();
  await pass(100);
  expect(apply).toHaveBeenCalledTimes(2);
  expect(api.object).toEqual(status("2"));
});
