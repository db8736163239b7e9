import { describe, expect, test } from "vitest";
import { HASH, makeNode } from "../testing/data.ts";
import { aggregate } from "./aggregate.ts";
import type { PolicyFacts } from "./conditions.ts";
import { withTransitionTimes } from "./conditions.ts";
import type { NodeFact } from "./equal-nodes.ts";
import { conditionOf, type NewCondition, type NewPolicyStatus } from "./policy-status.ts";

const facts: PolicyFacts = { generation: 7, wanted: { hash: HASH, hookCount: 2, generation: 7 } };
const QUIET = { perMinute: 0, namespaces: [], binaries: [] };
const NOW = 1_000_000;
const since = (seconds: number) => NOW - seconds * 1_000;
const starting: NodeFact["agent"] = {
  state: "starting",
  message: "agent pod is not ready",
  since: since(40),
};
const crashing: NodeFact["agent"] = {
  state: "unavailable",
  message: "agent pod is in CrashLoopBackOff: no BTF",
  since: since(40),
};
const notReady: NodeFact["agent"] = { state: "absent", message: "the node is not ready", since: since(40) };
const failed = { state: "Failed" as const, message: "attach fentry commit_creds: EPERM", hooksAttached: 0 };
const refused = { ...failed, reason: "FunctionNotFound", message: "spec.kprobes[0] nope: no such function" };
const many = (count: number) => Array.from({ length: count }, (_, i) => makeNode(`node-${i + 100}`));

interface ReadyCase {
  nodes: NodeFact[];
  facts?: PolicyFacts;
  wasReady?: boolean;
  want: Partial<NewCondition>;
}
const ready: Record<string, ReadyCase> = {
  "is True when every node has attached every hook": {
    nodes: [makeNode("a"), makeNode("b")],
    want: { status: "True", reason: "Attached", message: "2 hooks attached on 2 nodes" },
  },
  "is Unknown without nodes": { nodes: [], want: { status: "Unknown", reason: "NoNodes" } },
  "waits for nodes that have not reported": {
    nodes: [makeNode("a"), makeNode("b", { entry: null })],
    want: {
      status: "False",
      reason: "RollingOut",
      message: "Attached on 1 of 2 nodes; waiting for b (not reported yet)",
    },
  },
  "takes a report about another spec for none": {
    nodes: [makeNode("a", { entry: { specHash: "old", attachedHash: "old" } })],
    want: { status: "False", reason: "RollingOut" },
  },
  "waits for an agent that starts for the first time": {
    nodes: [makeNode("a", { entry: null, agent: starting })],
    want: {
      status: "False",
      reason: "RollingOut",
      message: "Attached on 0 of 1 node; waiting for a (agent pod is not ready)",
    },
  },
  "does not change while an agent that had attached it restarts": {
    nodes: [makeNode("a"), makeNode("b", { agent: { ...starting, since: since(29) } })],
    want: { status: "True", reason: "Attached", message: "2 hooks attached on 2 nodes" },
  },
  "nor while it crashes for the first time": {
    nodes: [makeNode("b", { agent: { ...crashing, since: since(2) } })],
    want: { status: "True", reason: "Attached" },
  },
  "does not take the report of a restarting agent about another spec for this one": {
    nodes: [makeNode("a", { agent: { ...starting, since: since(2) }, entry: { specHash: "old" } })],
    want: { status: "False", reason: "RollingOut" },
  },
  "is False when an agent does not come back and no other node runs the policy": {
    nodes: [makeNode("a", { agent: starting })],
    want: {
      status: "False",
      reason: "NodesAbsent",
      message:
        "2 hooks attached on 0 of 1 node; 1 cannot run it now: a (agent pod is not ready), and none may be",
    },
  },
  "is False when an agent has been starting for too long": {
    nodes: [makeNode("a"), makeNode("b", { entry: null, agent: { ...starting, since: since(300) } })],
    want: {
      reason: "AgentUnavailable",
      message:
        "The agent does not answer on 1 of 2 nodes: b (agent pod is not ready for more than 5 minutes)",
    },
  },
  "is True while few nodes are not ready, and names them": {
    nodes: [...many(39), makeNode("b", { agent: notReady }), makeNode("c", { agent: notReady, entry: null })],
    want: {
      status: "True",
      reason: "Attached",
      message: "2 hooks attached on 39 of 41 nodes; 2 cannot run it now: b, c (the node is not ready)",
    },
  },
  "is False when more nodes than tolerated are not ready": {
    nodes: [makeNode("a"), makeNode("b", { agent: notReady }), makeNode("c", { agent: notReady })],
    want: {
      status: "False",
      reason: "NodesAbsent",
      message:
        "2 hooks attached on 1 of 3 nodes; 2 cannot run it now: b, c (the node is not ready), and at most 1 may be",
    },
  },
  "tolerates no absent node if none may be": {
    facts: { ...facts, tolerance: { kind: "nodes", nodes: 0 } },
    nodes: [...many(39), makeNode("b", { agent: notReady })],
    want: { status: "False", reason: "NodesAbsent" },
  },
  "waits for a node that joins": {
    nodes: [...many(39), makeNode("b", { entry: null, agent: starting })],
    want: { status: "False", reason: "RollingOut" },
  },
  "goes on when a node joins after the first time": {
    wasReady: true,
    nodes: [...many(39), makeNode("b", { entry: null, agent: starting })],
    want: {
      status: "True",
      reason: "Attached",
      message: "2 hooks attached on 39 of 40 nodes; 1 cannot run it now: b (agent pod is not ready)",
    },
  },
  "does not count a node that is not selected and not ready": {
    nodes: [makeNode("a"), makeNode("b", { agent: notReady, entry: { state: "Skipped" } })],
    want: { status: "True", message: "2 hooks attached on 1 node; 1 node not selected" },
  },
  "says why an agent does not answer": {
    nodes: [makeNode("a"), makeNode("b", { entry: null, agent: crashing })],
    want: {
      status: "False",
      reason: "AgentUnavailable",
      message: "The agent does not answer on 1 of 2 nodes: b (agent pod is in CrashLoopBackOff: no BTF)",
    },
  },
  "says that the old generation goes on when the new one cannot be attached": {
    facts: { ...facts, generations: new Map([["old", 6]]) },
    nodes: [
      makeNode("a", { entry: { ...refused, attachedHash: "old" } }),
      makeNode("b", { entry: { ...refused, attachedHash: "old" } }),
    ],
    want: {
      status: "False",
      reason: "FunctionNotFound",
      message:
        "The policy cannot be attached on 2 of 2 nodes: a, b (spec.kprobes[0] nope: no such function). Generation 6 still runs on 2 of 2 nodes",
    },
  },
  "says which generation runs after one that cannot be attached and an invalid one": {
    facts: {
      generation: 4,
      wanted: { hash: HASH, hookCount: 2, generation: 3 },
      problem: { reason: "InvalidSpec", message: "spec: empty" },
      generations: new Map([["old", 1]]),
    },
    nodes: [
      makeNode("a", { entry: { ...refused, attachedHash: "old" } }),
      makeNode("b", { entry: { ...refused, attachedHash: "old" } }),
    ],
    want: { message: "spec: empty. Generation 1 still runs on 2 of 2 nodes", observedGeneration: 4 },
  },
  "says that none runs if none does": {
    facts: {
      generation: 4,
      wanted: { hash: HASH, hookCount: 2, generation: 3 },
      problem: { reason: "InvalidSpec", message: "spec: empty" },
    },
    nodes: [makeNode("a", { entry: { ...refused, attachedHash: undefined } as never })],
    want: { message: "spec: empty. No generation of it runs on any node" },
  },
  "names the failing node while others are pending": {
    nodes: [makeNode("a", { entry: null }), makeNode("b", { entry: failed })],
    want: {
      status: "False",
      reason: "AttachFailed",
      message: "The policy cannot be attached on 1 of 2 nodes: b (attach fentry commit_creds: EPERM)",
    },
  },
  "keeps reasons that say more than that it failed": {
    nodes: [makeNode("b", { entry: { ...failed, reason: "KernelUnsupported" } })],
    want: { status: "False", reason: "KernelUnsupported" },
  },
  "shows an unknown reason of an agent as AttachFailed": {
    nodes: [makeNode("b", { entry: { ...failed, reason: "VerifierRejected" } })],
    want: { status: "False", reason: "AttachFailed" },
  },
  "puts a failure before an agent that is away": {
    nodes: [makeNode("a", { entry: failed }), makeNode("b", { agent: crashing })],
    want: { reason: "AttachFailed" },
  },
  "is True and reports it when optional hooks are missing": {
    nodes: [
      makeNode("a"),
      makeNode("b", { entry: { state: "PartiallyAttached", message: "1 of 2 hooks skipped" } }),
    ],
    want: {
      status: "True",
      reason: "PartiallyAttached",
      message: "Optional hooks are missing on 1 of 2 nodes: b (1 of 2 hooks skipped)",
    },
  },
  "says that no pod is selected, which is no fault": {
    nodes: ["a", "b"].map((name) => makeNode(name, { entry: { activity: { ...QUIET, pods: 0 } } })),
    want: {
      status: "True",
      reason: "Attached",
      message: "2 hooks attached on 2 nodes; 0 pods are selected now",
    },
  },
  "does not speak of nodes without a selected pod while another one has some": {
    nodes: [0, 3].map((pods) => makeNode(`n${pods}`, { entry: { activity: { ...QUIET, pods } } })),
    want: { status: "True", message: "2 hooks attached on 2 nodes" },
  },
  "leaves nodes out that are not selected": {
    nodes: [makeNode("a"), makeNode("b", { entry: { state: "Skipped", hooksAttached: 0 } })],
    want: { status: "True", message: "2 hooks attached on 1 node; 1 node not selected" },
  },
  "is True when no node is selected": {
    nodes: [makeNode("b", { entry: { state: "Skipped" } })],
    want: { status: "True", message: "No node is selected by spec.nodeSelector; 1 node not selected" },
  },
  "lists three nodes and counts the rest": {
    nodes: ["e", "d", "c", "b", "a"].map((name) => makeNode(name, { entry: { ...failed, message: "no" } })),
    want: { message: "The policy cannot be attached on 5 of 5 nodes: a, b, c and 2 more (no)" },
  },
  "says that an invalid policy is invalid, and what still runs": {
    facts: {
      generation: 8,
      wanted: { hash: HASH, hookCount: 2, generation: 7 },
      problem: { reason: "InvalidSpec", message: "spec.kprobes[0].call: empty" },
    },
    nodes: [makeNode("a"), makeNode("b")],
    want: {
      status: "False",
      reason: "InvalidSpec",
      message: "spec.kprobes[0].call: empty. Generation 7 still runs on 2 of 2 nodes",
      observedGeneration: 8,
    },
  },
  "does not stay as it was when the policy is deleted and a finalizer keeps it": {
    facts: { generation: 8, problem: { reason: "Terminating", message: "Deleted" } },
    nodes: [makeNode("a", { entry: null })],
    want: { status: "False", reason: "Terminating", message: "Deleted", observedGeneration: 8 },
  },
  "says only what is wrong when nothing ran before": {
    facts: { generation: 1, problem: { reason: "InvalidSpec", message: "spec: empty" } },
    nodes: [makeNode("a", { entry: null })],
    want: { status: "False", reason: "InvalidSpec", message: "spec: empty" },
  },
};
describe("Ready", () => {
  test.each(Object.entries(ready))("%s", (_name, { nodes, want, wasReady = false, ...rest }) => {
    const { conditions } = aggregate(rest.facts ?? facts, nodes, { now: NOW, wasReady });
    expect(conditionOf(conditions, "Ready")).toMatchObject({
      observedGeneration: rest.facts?.generation ?? 7,
      ...want,
    });
  });
});

const invalid: PolicyFacts = { generation: 7, problem: { reason: "InvalidSpec", message: "no" } };
const undistributed: PolicyFacts = {
  generation: 7,
  problem: { reason: "DistributionFailed", message: "403" },
};
const others: Record<string, { facts: PolicyFacts; nodes: NodeFact[]; want: string[] }> = {
  "only Ready when all is well": { facts, nodes: [makeNode("a")], want: ["Ready"] },
  "Reconciling while nodes are pending": {
    facts,
    nodes: [makeNode("a", { entry: null })],
    want: ["Ready", "Reconciling"],
  },
  "Reconciling without nodes": { facts, nodes: [], want: ["Ready", "Reconciling"] },
  "not Reconciling when a node failed and none is pending": {
    facts,
    nodes: [makeNode("a", { entry: failed }), makeNode("b")],
    want: ["Ready"],
  },
  "Stalled when every node that answers refuses the spec": {
    facts,
    nodes: [
      makeNode("a", { entry: refused }),
      makeNode("b", { entry: failed }),
      makeNode("c", { agent: notReady }),
    ],
    want: ["Ready", "Stalled"],
  },
  "not Stalled while a node may refuse it only for now": {
    facts,
    nodes: [makeNode("a", { entry: refused }), makeNode("b", { entry: { ...failed, retrying: true } })],
    want: ["Ready"],
  },
  "not Stalled while the operator mends what nodes cannot read": {
    facts,
    nodes: [makeNode("a", { entry: { ...failed, reason: "SpecUnusable" } })],
    want: ["Ready"],
  },
  "Stalled and not Reconciling when invalid": {
    facts: invalid,
    nodes: [makeNode("a", { entry: null })],
    want: ["Ready", "Stalled"],
  },
  "Reconciling when the spec could not be written": {
    facts: undistributed,
    nodes: [makeNode("a")],
    want: ["Ready", "Reconciling"],
  },
};
describe("conditions are", () => {
  test.each(Object.entries(others))("%s", (_name, one) => {
    expect(aggregate(one.facts, one.nodes, { now: NOW }).conditions.map(({ type }) => type)).toEqual(
      one.want,
    );
  });
});

const rest: Record<string, { nodes: NodeFact[]; want: Partial<NewPolicyStatus> }> = {
  "counts by state, the total without nodes that are not selected": {
    nodes: [
      makeNode("a"),
      makeNode("b", { entry: { state: "PartiallyAttached" } }),
      makeNode("c", { entry: null }),
      makeNode("d", { entry: failed }),
      makeNode("e", { entry: { state: "Skipped" } }),
      makeNode("f", { agent: crashing }),
      makeNode("g", { agent: notReady }),
    ],
    want: {
      nodesSummary: "2/6",
      nodes: {
        total: 6,
        attached: 1,
        partial: 1,
        pending: 1,
        failed: 1,
        skipped: 1,
        unavailable: 1,
        absent: 1,
      },
    },
  },
  "the hooks of the node with the fewest": {
    nodes: [makeNode("a"), makeNode("b", { entry: { state: "PartiallyAttached", hooksAttached: 1 } })],
    want: { hooksSummary: "1/2" },
  },
  "no hooks of an old spec": {
    nodes: [makeNode("a", { entry: { specHash: "old" } })],
    want: { hooksSummary: "0/2" },
  },
  "no hooks of an absent node": {
    nodes: [makeNode("a"), makeNode("b", { agent: notReady, entry: null })],
    want: { hooksSummary: "2/2" },
  },
  "failing nodes grouped by what is wrong, without those that are only pending": {
    nodes: [
      makeNode("z", { entry: failed }),
      makeNode("b", { entry: null }),
      makeNode("x", { entry: failed }),
      makeNode("a", { agent: crashing }),
      makeNode("c", { agent: notReady }),
    ],
    want: {
      failingNodes: [
        {
          nodes: ["x", "z"],
          count: 2,
          state: "Failed",
          reason: "AttachFailed",
          message: "attach fentry commit_creds: EPERM",
        },
        {
          nodes: ["a"],
          count: 1,
          state: "Unavailable",
          reason: "AgentUnavailable",
          message: "agent pod is in CrashLoopBackOff: no BTF",
        },
        {
          nodes: ["c"],
          count: 1,
          state: "Absent",
          reason: "NodesAbsent",
          message: "the node is not ready",
        },
      ],
    },
  },
  "every node of a small cluster by state, with another spec that still runs there": {
    nodes: [
      makeNode("b", { entry: { ...failed, attachedHash: "old", attach: "" } }),
      makeNode("c"),
      makeNode("a"),
    ],
    want: {
      nodeStates: [
        { nodes: ["a", "c"], state: "Attached", attach: "fentry×2" },
        { nodes: ["b"], state: "Failed", attachedHash: "old" },
      ],
    },
  },
};
describe("the status has", () => {
  test.each(Object.entries(rest))("%s", (_name, { nodes, want }) => {
    expect(aggregate(facts, nodes, { now: NOW })).toMatchObject(want);
  });

  test.each([50, 5_000])("at most 6 KiB with %i nodes that all fail for reasons of their own", (count) => {
    const nodes = Array.from({ length: count }, (_, i) => {
      const message = `${i} ${"x".repeat(5_000)}`;
      return makeNode(`ip-10-0-${i}.eu-central-1.compute.internal`, { entry: { ...failed, message } });
    });
    const status = aggregate(facts, nodes);
    expect(status.failingNodes?.length).toBeGreaterThan(0);
    expect(status.nodes.failed).toBe(count);
    expect(JSON.stringify(status).length).toBeLessThanOrEqual(6 << 10);
  });

  test("one group and five names for 5,000 nodes that fail for the same reason", () => {
    const nodes = Array.from({ length: 5_000 }, (_, i) => makeNode(`node-${i}`, { entry: failed }));
    const status = aggregate(facts, nodes);
    expect(status.failingNodes).toMatchObject([{ count: 5_000, nodes: { length: 5 } }]);
    expect(JSON.stringify(status).length).toBeLessThan(2 << 10);
  });

  test("a list of every node up to 50 of them", () => {
    const nodes = Array.from({ length: 50 }, (_, i) => makeNode(`node-${i}`));
    expect(aggregate(facts, nodes).nodeStates).toMatchObject([{ nodes: { length: 50 } }]);
    expect(aggregate(facts, [...nodes, makeNode("x")]).nodeStates).toBeUndefined();
  });
});

describe("lastTransitionTime", () => {
  const condition = (status: "True" | "False"): NewCondition => ({
    type: "Ready",
    status,
    reason: "Attached",
    message: "",
    observedGeneration: 1,
  });
  const before = [{ ...condition("False"), lastTransitionTime: "then" }];
  test("stays while the status is the same, whatever else changes", () => {
    const next = [{ ...condition("False"), reason: "RollingOut" as const, message: "new" }];
    expect(withTransitionTimes(next, before, "now")[0]?.lastTransitionTime).toBe("then");
  });
  test("moves when the status flips", () => {
    expect(withTransitionTimes([condition("True")], before, "now")[0]?.lastTransitionTime).toBe("now");
  });
});
