import { expect, test } from "vitest";
import type { PolicyOutcome } from "../policies/outcome.ts";
import { makeTracingNodeStatus, type NodeFacts } from "./tracing-node.ts";

const facts: NodeFacts = {
  agentVersion: "1.2.3",
  bootTime: "2026-11-24T20:00:00Z",
  kernel: {
    release: "6.1.0",
    architecture: "x86_64",
    features: { kprobeMulti: false, fentry: true, bpfLsm: false },
    reasons: { kprobeMulti: "FPROBE is off" },
  },
};

const outcome: PolicyOutcome = {
  ref: { kind: "TracingPolicyNamespaced", namespace: "shop", name: "p" },
  specHash: "new",
  attachedHash: "old",
  state: "Failed",
  reason: "VerifierRejected",
  message: "x".repeat(2000),
  hooks: [
    {
      path: "spec.kprobes[0]",
      call: "commit_creds",
      state: "Attached",
      attach: "fentry",
      function: "commit_creds",
    },
    { path: "spec.kprobes[1]", call: "f", state: "Failed", reason: "VerifierRejected", message: "a\n  b\n" },
  ],
};

test("kernel facts are sorted and each missing feature has a reason", () => {
  const { kernel } = makeTracingNodeStatus(facts, []);
  expect(Object.keys(kernel.features)).toEqual(["bpfLsm", "fentry", "kprobeMulti"]);
  expect(kernel.missing).toEqual([
    { feature: "bpfLsm", reason: "not available" },
    { feature: "kprobeMulti", reason: "FPROBE is off" },
  ]);
});

test("a policy is reported with its reference and both hashes", () => {
  expect(makeTracingNodeStatus(facts, [outcome]).policies[0]).toMatchObject({
    kind: "TracingPolicyNamespaced",
    namespace: "shop",
    name: "p",
    specHash: "new",
    attachedHash: "old",
    state: "Failed",
    reason: "VerifierRejected",
  });
});

test("messages are one bounded line", () => {
  const [policy] = makeTracingNodeStatus(facts, [outcome]).policies;
  expect(policy?.message).toHaveLength(512);
  expect(policy?.hooks?.[0]?.message).toBe("a | b");
});

test("fifty policies of eight hooks that run are less than 4 KiB, with the metadata of the object", () => {
  const hooks = Array.from({ length: 8 }, (_, i) => ({
    path: `spec.kprobes[${i}]`,
    call: "sys_setresuid",
    state: "Attached" as const,
    attach: "fentry" as const,
    function: "__x64_sys_setresuid",
  }));
  const outcomes = Array.from({ length: 50 }, (_, i) => ({
    ref: { kind: "TracingPolicy" as const, name: `credentials-of-team-${i}` },
    specHash: `${i}`.padEnd(40, "a"),
    attachedHash: `${i}`.padEnd(40, "a"),
    state: "Attached" as const,
    hooks,
  }));
  const METADATA = 1_100; // names, owner and managed fields, which name each field once
  expect(JSON.stringify(makeTracingNodeStatus(facts, outcomes)).length).toBeLessThan(4_096 - METADATA);
});

test("only what the schema knows is written", () => {
  const hook = { ...outcome.hooks[1], programId: 7 } as unknown as PolicyOutcome["hooks"][number];
  const [policy] = makeTracingNodeStatus(facts, [{ ...outcome, hooks: [hook] }]).policies;
  expect(Object.keys(policy?.hooks?.[0] ?? {})).toEqual(["path", "call", "state", "reason", "message"]);
});

test.each([
  [0, "0"],
  [1, "1+"],
  [4, "2+"],
  [9, "5+"],
  [10, "10+"],
  [4_999, "2000+"],
  [123_456_789, "100000000+"],
])("%i lost events are %s", (count, lost) => {
  expect(makeTracingNodeStatus(facts, [], count).lost).toBe(lost);
});
