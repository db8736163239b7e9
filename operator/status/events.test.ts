import { beforeEach, expect, test } from "vitest";
import { KubeError } from "../../lib/kube-error.ts";
import { makeLogger } from "../../lib/testing/api-server.ts";
import { makePolicy } from "../testing/data.ts";
import { EventRecorder } from "./events.ts";

interface Written {
  metadata: { name: string; namespace: string };
  involvedObject: { namespace?: string; uid: string };
  count: number;
  message: string;
}

let created: Written[];
let patched: { name: string; count: number; message: string }[];
let refusal: KubeError | undefined;
let recorder: EventRecorder;
beforeEach(() => {
  created = [];
  patched = [];
  refusal = undefined;
  const client = {
    async createEvent(_namespace: string, event: unknown) {
      if (refusal) throw refusal;
      created.push(event as Written);
    },
    async patchEvent(_namespace: string, name: string, patch: object) {
      if (refusal) throw refusal;
      patched.push({ name, ...(patch as { count: number; message: string }) });
      return true;
    },
  };
  recorder = new EventRecorder({ client, logger: makeLogger(), now: () => 0, instance: "pod" });
});

const failed = (message = "no") => ({ type: "Warning" as const, reason: "AttachFailed", message });

test("the Event of a cluster-scoped policy lives in default and points at the policy", async () => {
  await recorder.record(makePolicy(), failed());
  expect(created[0]).toMatchObject({
    metadata: { namespace: "default" },
    involvedObject: { uid: "uid-p" },
    count: 1,
  });
});

test("the Event of a namespaced policy lives beside it", async () => {
  const metadata = { name: "p", namespace: "n", uid: "u" };
  await recorder.record(makePolicy({ kind: "TracingPolicyNamespaced", metadata }), failed());
  expect(created[0]).toMatchObject({ metadata: { namespace: "n" }, involvedObject: { namespace: "n" } });
});

test("the same again is counted in the same Event, with the newest message", async () => {
  await recorder.record(makePolicy(), failed("first"));
  await recorder.record(makePolicy(), failed("second"));
  await recorder.record(makePolicy(), failed("third"));
  expect(created).toHaveLength(1);
  expect(patched).toMatchObject([
    { name: created[0]?.metadata.name, count: 2, message: "second" },
    { name: created[0]?.metadata.name, count: 3, message: "third" },
  ]);
});

test("another reason is another Event", async () => {
  await recorder.record(makePolicy(), failed());
  await recorder.record(makePolicy(), { ...failed(), reason: "AgentUnavailable" });
  expect(created).toHaveLength(2);
  expect(created[0]?.metadata.name).not.toBe(created[1]?.metadata.name);
});

test("an Event that has expired is written anew", async () => {
  await recorder.record(makePolicy(), failed());
  const client = {
    createEvent: async (_namespace: string, event: unknown) => void created.push(event as Written),
    patchEvent: async () => false,
  };
  recorder = new EventRecorder({ client, logger: makeLogger(), now: () => 0, instance: "pod" });
  await recorder.record(makePolicy(), failed());
  await recorder.record(makePolicy(), failed());
  expect(created.map(({ count }) => count)).toEqual([1, 1, 1]);
});

test("an Event that cannot be written is nobody's problem", async () => {
  refusal = new KubeError("POST", 403, { reason: "Forbidden" });
  await expect(recorder.record(makePolicy(), failed())).resolves.toBeUndefined();
});

test("names stay names however long or odd the policy's is", async () => {
  const name = `${"a".repeat(198)}..${"b".repeat(40)}`;
  await recorder.record(makePolicy({ metadata: { name, uid: "u" } }), failed("x".repeat(5_000)));
  expect(created[0]?.metadata.name).toMatch(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
  expect(created[0]?.metadata.name).not.toContain("..");
  expect(created[0]?.message).toHaveLength(1_024);
});
