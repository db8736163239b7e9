import { describe, expect, test } from "vitest";
import { HASH, makeNode } from "../testing/data.ts";
import { aggregate } from "./aggregate.ts";
import type { PolicyFacts } from "./conditions.ts";
import { withTransitionTimes } from "./conditions.ts";
import type { NodeFact } from "./node-index.ts";
import { conditionOf, type NewCondition, type NewPolicyStatus } from "./policy-status.ts";

const facts: PolicyFacts = { generation: 7, wanted: { hash: HASH, hookCount: 2, generation: 7 } };
const starting: NodeFact["agent"] = { state: "starting", message: "agent pod x is not ready" };
const crashing: NodeFact["agent"] = {
  state: "unavailable",
  message: "agent pod x is in CrashLoopBackOff: no BTF",
};
const failed = { state: "Failed" as const, message: "attach fentry commit_creds: EPERM", hooksAttached: 0 };

const ready: Record<string, { nodes: NodeFact[]; facts?: PolicyFacts; want: Partial<NewCondition> }> = {
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
      message: "Attached on 0 of 1 node; waiting for a (agent pod x is not ready)",
    },
  },
  "is False when an agent that had reported is not ready any more": {
    nodes: [makeNode("a", { agent: starting })],
    want: { status: "False", reason: "AgentUnavailable" },
  },
  "says why an agent does not answer": {
    nodes: [makeNode("a"), makeNode("b", { entry: null, agent: crashing })],
    want: {
      status: "False",
      reason: "AgentUnavailable",
      message: "The agent does not answer on 1 of 2 nodes: b (agent pod x is in CrashLoopBackOff: no BTF)",
    },
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
    want: { message: "The policy cannot be attached on 5 of 5 nodes: a (no), b (no), c (no) and 2 more" },
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
  test.each(Object.entries(ready))("%s", (_name, { nodes, want, ...rest }) => {
    const { conditions } = aggregate(rest.facts ?? facts, nodes);
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
    nodes: [makeNode("a", { entry: failed })],
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
    expect(aggregate(one.facts, one.nodes).conditions.map(({ type }) => type)).toEqual(one.want);
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
    ],
    want: {
      nodesSummary: "2/5",
      nodes: { total: 5, attached: 1, partial: 1, pending: 1, failed: 1, skipped: 1, unavailable: 1 },
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
  "failing nodes in order of name, without those that are only pending": {
    nodes: [
      makeNode("z", { entry: failed }),
      makeNode("b", { entry: null }),
      makeNode("a", { agent: crashing }),
    ],
    want: {
      failingNodes: [
        {
          node: "a",
          state: "Unavailable",
          reason: "AgentUnavailable",
          message: "agent pod x is in CrashLoopBackOff: no BTF",
        },
        { node: "z", state: "Failed", reason: "AttachFailed", message: "attach fentry commit_creds: EPERM" },
      ],
    },
  },
  "every node of a small cluster, with another spec that still runs there": {
    nodes: [makeNode("b", { entry: { ...failed, attachedHash: "old", attach: "" } }), makeNode("a")],
    want: {
      nodeStates: [
        { node: "a", state: "Attached", attach: "fentry×2" },
        { node: "b", state: "Failed", attachedHash: "old" },
      ],
    },
  },
};
describe("the status has", () => {
  test.each(Object.entries(rest))("%s", (_name, { nodes, want }) => {
    expect(aggregate(facts, nodes)).toMatchObject(want);
  });

  test("a bounded size with 5,000 failing nodes", () => {
    const message = "x".repeat(5_000);
    const nodes = Array.from({ length: 5_000 }, (_, i) =>
      makeNode(`node-${i}`, { entry: { ...failed, message } }),
    );
    const status = aggregate(facts, nodes);
    expect(status.failingNodes).toHaveLength(20);
    expect(status.nodeStates).toBeUndefined();
    expect(JSON.stringify(status).length).toBeLessThan(8 << 10);
  });

  test("a list of every node up to 50 of them", () => {
    const nodes = Array.from({ length: 50 }, (_, i) => makeNode(`node-${i}`));
    expect(aggregate(facts, nodes).nodeStates).toHaveLength(50);
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
