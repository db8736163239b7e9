import { beforeEach, describe, expect, test } from "vitest";
import type { AgentPod } from "./agent-pod.ts";
import { NodeIndex } from "./node-index.ts";
import { NodeReportParser } from "./node-report.ts";

const parser = new NodeReportParser();
const KEY = "TracingPolicy/p";

const RESTART = 30_000;

let now = 1_000_000;
let index: NodeIndex;
beforeEach(() => {
  index = new NodeIndex(() => now, { restartMs: RESTART, startMs: 300_000 });
});

function makePod(node: string, state: "ready" | "unavailable" = "ready", name = `agent-${node}`): AgentPod {
  return { metadata: { name }, nodeName: node, health: { state } };
}

function makeReport(node: string, ...policies: { name: string; state?: string; attachedHash?: string }[]) {
  const wire = policies.map((policy) => ({
    kind: "TracingPolicy",
    specHash: "h",
    state: "Attached",
    ...policy,
  }));
  return parser.parse({ metadata: { name: node }, status: { policies: wire } } as never);
}

const nodesOf = (key: string) =>
  [...index.nodesOf(key)].flatMap(({ names, entry }) => [...names].map((name) => [name, entry?.state]));

test("a node counts from its agent Pod on, with and without a report", () => {
  index.setReport(makeReport("b", { name: "p" }));
  expect(nodesOf(KEY)).toEqual([]);
  index.setPod(makePod("a"));
  index.setPod(makePod("b"));
  expect(nodesOf(KEY)).toEqual([
    ["a", undefined],
    ["b", "Attached"],
  ]);
});

test("a node without an agent Pod does not count any more, and counts again with a new one", () => {
  index.setPod(makePod("a"));
  index.setReport(makeReport("a", { name: "p" }));
  expect(index.removePod(makePod("a"))).toBe("all");
  now += RESTART;
  expect(nodesOf(KEY)).toEqual([]);
  index.setPod(makePod("a", "ready", "other"));
  expect(nodesOf(KEY)).toEqual([["a", "Attached"]]);
});

describe("a Pod that is gone", () => {
  beforeEach(() => {
    index.setPod(makePod("a"));
    index.setReport(makeReport("a", { name: "p" }));
    index.removePod(makePod("a"));
  });

  test("leaves its node counted for as long as a restart may take", () => {
    expect(index.nextChangeMs()).toBe(RESTART);
    now += RESTART - 1;
    expect(nodesOf(KEY)).toEqual([["a", "Attached"]]);
    expect(index.nextChangeMs()).toBe(1);
    now += 1;
    expect(nodesOf(KEY)).toEqual([]);
    expect(index.nextChangeMs()).toBeUndefined();
  });

  test("counts no longer once the Node's report is gone, too", () => {
    expect(index.removeReport(makeReport("a"))).toBe("all");
    expect(nodesOf(KEY)).toEqual([]);
  });

  test("gives the time of its absence to the Pod that replaces it", () => {
    now += 20_000;
    index.setPod(makePod("a", "unavailable", "new"));
    expect(index.nextChangeMs()).toBe(RESTART - 20_000);
  });
});

test("a Pod that leaves a node that never reported leaves no node", () => {
  index.setPod(makePod("a"));
  index.removePod(makePod("a"));
  expect(index.size).toBe(0);
});

test("absence begins now if the Pod's own time lies in the future", () => {
  const health = { state: "unavailable" as const, since: now + 9_000 };
  index.setPod({ metadata: { name: "x" }, nodeName: "a", health });
  expect([...index.nodesOf(KEY)][0]?.agent.since).toBe(now);
});

test("a Pod that replaces another on its node leaves the node where it was", () => {
  index.setPod(makePod("a", "ready", "old"));
  index.setPod(makePod("a", "ready", "new"));
  index.removePod(makePod("a", "ready", "old"));
  expect(index.size).toBe(1);
});

test("nodes with a ready agent that are equal come together", () => {
  for (const name of ["a", "b", "c", "d"]) index.setPod(makePod(name));
  for (const name of ["a", "b"]) index.setReport(makeReport(name, { name: "p" }));
  index.setPod(makePod("d", "unavailable"));
  const groups = [...index.nodesOf(KEY)].map(({ names, agent, entry }) => [
    [...names],
    agent.state,
    entry?.state,
  ]);
  expect(groups).toEqual([
    [["a", "b"], "ready", "Attached"],
    [["c"], "ready", undefined],
    [["d"], "unavailable", undefined],
  ]);
});

test("what is kept up to date change by change equals what is found at once, also for a policy that comes back", () => {
  const asked = index;
  const random = seeded(7);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const changes: ((to: NodeIndex) => unknown)[] = [];
  for (let step = 0; step < 2_000; step++) {
    const node = pick(["a", "b", "c", "d", "e"]);
    const pod = makePod(node, pick(["ready", "unavailable"]), `agent-${node}-${pick(["x", "y"])}`);
    const state = pick(["Attached", "Failed"]);
    const report = makeReport(
      node,
      ...pick([[], [{ name: "p", state }], [{ name: "q" }, { name: "p", state }]]),
    );
    const change = pick<(to: NodeIndex) => unknown>([
      (to) => to.setPod(pod),
      (to) => to.removePod(pod),
      (to) => to.setReport(report),
      (to) => to.removeReport(report),
    ]);
    changes.push(change);
    change(asked);
    if (random() < 0.02) asked.forgetPolicy(KEY);
    const fresh = new NodeIndex(() => now, { restartMs: RESTART, startMs: 300_000 });
    if (step % 20 === 0) {
      for (const earlier of changes) earlier(fresh);
      expect(sorted(asked)).toEqual(sorted(fresh));
    }
  }
});

/** A line for each node that counts. */
function sorted(of: NodeIndex): string[] {
  const lines = [...of.nodesOf(KEY)].flatMap(({ names, agent, entry }) =>
    [...names].map((name) => `${name} ${agent.state} ${entry?.state}`),
  );
  return lines.sort();
}

/** Random numbers that are the same in each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x80000000;
  };
}

describe("returns as changed", () => {
  beforeEach(() => {
    index.setPod(makePod("a"));
    index.setReport(makeReport("a", { name: "p" }, { name: "q" }));
  });

  test("only the policies whose state changed on the node", () => {
    expect(index.setReport(makeReport("a", { name: "p", state: "Failed" }, { name: "q" }))).toEqual([KEY]);
  });
  test("nothing when a report is equal to the one before", () => {
    expect(index.setReport(makeReport("a", { name: "p" }, { name: "q" }))).toEqual([]);
  });
  test("a policy that left the node", () => {
    expect(index.setReport(makeReport("a", { name: "q" }))).toEqual([KEY]);
  });
  test("all policies when an agent stops answering", () => {
    expect(index.setPod(makePod("a", "unavailable"))).toBe("all");
  });
  test("nothing when a Pod changes in a field that is not used", () => {
    expect(index.setPod(makePod("a"))).toEqual([]);
  });
});

test("knows who runs a spec, nodes without an agent Pod included", () => {
  index.setReport(makeReport("gone", { name: "p", attachedHash: "old" }));
  expect(index.runs(KEY, "old")).toBe(true);
  expect(index.runs(KEY, "older")).toBe(false);
  index.removeReport(makeReport("gone"));
  expect(index.runs(KEY, "old")).toBe(false);
});

test("equal entries of different nodes are one object: 5,000 nodes share them", () => {
  const [one, other] = [makeReport("a", { name: "p" }), makeReport("b", { name: "p" })];
  expect(one.policies.get(KEY)).toBe(other.policies.get(KEY));
});

test("hooks are counted by how they are attached", () => {
  const hooks = [
    { state: "Attached", attach: "fentry" },
    { state: "Attached", attach: "kprobe" },
    { state: "Attached", attach: "fentry" },
    { state: "NotFound" },
  ];
  const policies = [{ kind: "TracingPolicy", name: "p", specHash: "h", state: "PartiallyAttached", hooks }];
  const report = parser.parse({ metadata: { name: "a" }, status: { policies } } as never);
  expect(report.policies.get(KEY)).toMatchObject({ hooksAttached: 3, attach: "fentry×2 kprobe×1" });
});

test("a TracingNode without a status is a node that has reported nothing", () => {
  expect(parser.parse({ metadata: { name: "a" } }).policies.size).toBe(0);
});
