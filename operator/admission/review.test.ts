import { describe, expect, test } from "vitest";
import { compileAndEncode, type HookCall } from "../compiler/compiled.ts";
import { missingHooks, type NodeLack } from "./missing.ts";
import { reviewPolicy } from "./review.ts";

const node = (name: string, lack: Partial<NodeLack> = {}): NodeLack => ({
  name,
  calls: new Set(),
  features: new Set(),
  ...lack,
});

/** A policy as the API server sends it, defaults filled in. */
function makePolicy(hooks: object = { kprobes: [{ call: "sys_setuid", syscall: true, return: false }] }) {
  return {
    apiVersion: "cilium.io/v1alpha1",
    kind: "TracingPolicy",
    metadata: { name: "p", uid: "u", generation: 1 },
    spec: hooks,
  };
}

const review = (object: object, oldObject?: object) => ({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: { uid: "123", operation: oldObject ? "UPDATE" : "CREATE", object, oldObject: oldObject ?? null },
});

async function answer(body: unknown, nodes: NodeLack[] = []) {
  const deps = {
    compile: async (policy: unknown) => compileAndEncode(policy),
    missing: (calls: readonly HookCall[]) => missingHooks(calls, nodes),
  };
  return (await reviewPolicy(deps, body)).response;
}

const broken = makePolicy({
  kprobes: [{ call: "sys_setuid", syscall: true, args: [{ index: 9, type: "int" }] }],
});

test("a policy that compiles is allowed, under the request's uid", async () => {
  expect(await answer(review(makePolicy()))).toEqual({ uid: "123", allowed: true });
});

test("one that does not is refused with field and reason", async () => {
  const { allowed, status } = await answer(review(broken));
  expect(allowed).toBe(false);
  expect(status).toMatchObject({ code: 422, reason: "Invalid" });
  expect(status?.message).toMatch(/^spec\.kprobes\[0\]\.args\[0\]\.index: /);
});

describe("a policy that was there before the webhook", () => {
  test("may get labels", async () => {
    const labelled = { ...broken, metadata: { ...broken.metadata, labels: { a: "b" } } };
    expect((await answer(review(labelled, broken))).allowed).toBe(true);
  });

  test("may lose its finalizers", async () => {
    const going = { ...makePolicy({}), metadata: { name: "p", deletionTimestamp: "2026-01-01T00:00:00Z" } };
    expect((await answer(review(going, broken))).allowed).toBe(true);
  });

  test("may not become another broken one", async () => {
    const other = makePolicy({
      kprobes: [{ call: "sys_setgid", syscall: true, args: [{ index: 8, type: "int" }] }],
    });
    expect((await answer(review(other, broken))).allowed).toBe(false);
  });
});

describe("warnings", () => {
  test("about noise come from the compiler", async () => {
    const noisy = makePolicy({
      kprobes: [{ call: "commit_creds", syscall: false, args: [{ index: 0, type: "cred" }] }],
    });
    expect((await answer(review(noisy))).warnings).toEqual([
      expect.stringMatching(/commit_creds runs at every exec/),
    ]);
  });

  test("name nodes on which a call is known to be missing", async () => {
    const policy = makePolicy({ kprobes: [{ call: "override_creds", syscall: false }] });
    const lacking = { calls: new Set(["kprobes override_creds"]) };
    const nodes = [node("a", lacking), node("b"), ...["c", "d", "e"].map((name) => node(name, lacking))];
    expect((await answer(review(policy), nodes)).warnings?.at(-1)).toBe(
      "spec.kprobes[0]: override_creds: is not there on 4 of 5 nodes (a, c, d and 1 more)",
    );
  });

  test("name nodes on which BPF is no LSM, for LSM hooks alone", async () => {
    const nodes = [node("a", { features: new Set(["bpfLsm"]) })];
    const policy = makePolicy({ lsmhooks: [{ hook: "capset" }] });
    expect((await answer(review(policy), nodes)).warnings?.at(-1)).toBe(
      "spec.lsmhooks[0]: capset: BPF is no active LSM on 1 of 1 nodes (a)",
    );
    expect((await answer(review(makePolicy()), nodes)).warnings).toBeUndefined();
  });
});

test.each([
  ["nothing", undefined, "body: expected an object, got nothing"],
  ["a list", [], "body: expected an object, got []"],
  [
    "another object",
    { kind: "Pod", apiVersion: "v1" },
    'expected admission.k8s.io/v1 AdmissionReview, got "v1" "Pod"',
  ],
  [
    "an old version",
    { kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1beta1", request: {} },
    'got "admission.k8s.io/v1beta1" "AdmissionReview"',
  ],
  ["no request", { ...review({}), request: undefined }, "request: expected an object, got nothing"],
  ["no uid", { ...review({}), request: { object: {} } }, "request.uid: expected a string"],
  [
    "no policy",
    { ...review({}), request: { uid: "1", object: "p" } },
    'request.object: expected an object, got "p"',
  ],
])("%s is no review of a policy", async (_name, body, message) => {
  await expect(answer(body)).rejects.toThrow(message);
});
