import { describe, expect, test } from "vitest";
import { type FullPolicy, readNodePolicies, writeNodePolicies } from "./node-policies.ts";
import type { Hook } from "./tracingnode-v1alpha1.gen.ts";

const HASH = "0123456789abcdef0123456789abcdef01234567";
const SHORT = HASH.slice(0, 12);
const hook = (changes: Partial<Hook> = {}): Hook => ({
  path: "spec.kprobes[0]",
  call: "commit_creds",
  state: "Attached",
  attach: "fentry",
  ...changes,
});
const policy = (changes: Partial<FullPolicy> = {}): FullPolicy => ({
  kind: "TracingPolicy",
  name: "p",
  specHash: HASH,
  attachedHash: HASH,
  state: "Attached",
  hooks: [hook()],
  ...changes,
});
const roundTrip = (...policies: FullPolicy[]) => readNodePolicies(writeNodePolicies(policies));

test("a policy that runs as wanted is one line", () => {
  const hooks = [hook({ attach: "kprobe" }), hook(), hook()];
  expect(writeNodePolicies([policy({ hooks })])).toEqual({
    policiesSummary: "1/1",
    ready: "True",
    attached: { p: `${SHORT} fentry×2 kprobe×1` },
    policies: [],
  });
});

test("one that does not select the node is its hash", () => {
  const { attachedHash: _, ...skipped } = policy({ state: "Skipped", reason: "NodeNotSelected", hooks: [] });
  expect(writeNodePolicies([skipped])).toEqual({
    policiesSummary: "0/0",
    ready: "True",
    skipped: { p: SHORT },
    policies: [],
  });
});

describe("what is written is read back", () => {
  const cases: Record<string, FullPolicy> = {
    "plainly attached": policy(),
    "attached, of a namespace": policy({ kind: "TracingPolicyNamespaced", namespace: "shop", name: "a.b" }),
    "attached without a hook": policy({ hooks: [] }),
    "attached, with what it does": policy({
      activity: { pods: 0, perMinute: 20, namespaces: ["shop"], binaries: ["/usr/bin/su"] },
    }),
    "partially attached": policy({
      state: "PartiallyAttached",
      message: "1 of 2 hooks skipped",
      hooks: [hook(), hook({ state: "NotFound", call: "nope" })],
    }),
    "failed, the old one runs": policy({
      state: "Failed",
      attachedHash: "f".repeat(40),
      reason: "AttachFailed",
      message: "no",
      retrying: true,
    }),
    "disabled by a client": policy({ state: "Skipped", reason: "Disabled", message: "disabled" }),
    "attached with a remark": policy({ message: "the other file gives it, too" }),
  };
  test.each(Object.entries(cases))("%s", (_name, written) => {
    const { hooks, specHash, attachedHash, ...rest } = written;
    const attached = hooks.filter(({ state }) => state === "Attached");
    expect(roundTrip(written)).toEqual([
      {
        ...rest,
        specHash: specHash.slice(0, 12),
        attachedHash: attachedHash?.slice(0, 12),
        hooksAttached: attached.length,
        attach: attached.length === 0 ? "" : `fentry×${attached.length}`,
        hooks: hooks.filter(({ state }) => state !== "Attached"),
      },
    ]);
  });
});

test("hooks with a problem are listed up to a few", () => {
  const hooks = Array.from({ length: 20 }, () => hook({ state: "Failed" }));
  const [read] = roundTrip(policy({ state: "Failed", hooks }));
  expect(read?.hooks).toHaveLength(2);
});

test("the list of an agent of an earlier version is read", () => {
  const hooks = [hook(), hook({ attach: "kprobe" }), hook({ state: "NotFound" })];
  const old = {
    kind: "TracingPolicy" as const,
    name: "p",
    specHash: HASH,
    state: "Attached" as const,
    hooks,
  };
  expect(readNodePolicies({ policies: [old] } as never)).toMatchObject([
    { specHash: SHORT, hooksAttached: 2, attach: "fentry×1 kprobe×1", hooks: [{ state: "NotFound" }] },
  ]);
});

test("50 policies of 8 hooks leave room for the rest of a TracingNode in 4 KiB", () => {
  const hooks = Array.from({ length: 8 }, (_, i) => hook({ attach: i < 6 ? "fentry" : "kprobe" }));
  const policies = Array.from({ length: 50 }, (_, i) => policy({ name: `credentials-of-team-${i}`, hooks }));
  expect(JSON.stringify(writeNodePolicies(policies)).length).toBeLessThan(3_000);
});
