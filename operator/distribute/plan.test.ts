import { describe, expect, test } from "vitest";
import { hookSpecConfigMapName, LABELS } from "../../crds/names.ts";
import { makeSpecObject, makeWanted } from "../testing/data.ts";
import type { SpecObject } from "./config-map.ts";
import { lastGoodOf, planRemoval, planSpecs, type SpecStep } from "./plan.ts";

const a = makeWanted(3, "sys_setuid");
const b = makeWanted(2, "sys_setgid");
const c = makeWanted(1, "sys_setns");
const A = hookSpecConfigMapName(a.hash);
const B = hookSpecConfigMapName(b.hash);
const C = hookSpecConfigMapName(c.hash);
const damaged = (wanted: typeof a, revision: number) =>
  makeSpecObject(wanted, revision, (object) => {
    object.data = { "hook-spec.json": "{}" };
  });

const deleted = (object: SpecObject): SpecObject => ({
  ...object,
  metadata: { ...object.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
});

const create = (revision: number): SpecStep => ({ step: "create", name: A, revision, wanted: a });
const relabel = (revision: number): SpecStep => ({ step: "relabel", name: A, revision, wanted: a });
const remove = (name: string, revision: number): SpecStep => ({
  step: "delete",
  name,
  uid: `uid-${revision}`,
});

const cases: Record<string, { existing: SpecObject[]; inUse?: string[]; want: SpecStep[] }> = {
  "creates the first": { existing: [], want: [create(1)] },
  "leaves alone what is right": { existing: [makeSpecObject(a, 4)], want: [] },
  "creates the next above the previous, which stays while a node runs it": {
    existing: [makeSpecObject(b, 4)],
    inUse: [B],
    want: [create(5)],
  },
  "removes a previous one that no node runs, after the wanted one is there": {
    existing: [makeSpecObject(b, 4)],
    want: [create(5), remove(B, 4)],
  },
  "removes the unused of several": {
    existing: [makeSpecObject(a, 6), makeSpecObject(b, 5), makeSpecObject(c, 2)],
    inUse: [B],
    want: [remove(C, 2)],
  },
  "raises an earlier spec that is wanted again": {
    existing: [makeSpecObject(a, 1), makeSpecObject(b, 2)],
    inUse: [B],
    want: [relabel(3)],
  },
  "raises it above one of the same revision": {
    existing: [makeSpecObject(a, 2), makeSpecObject(b, 2)],
    inUse: [B],
    want: [relabel(3)],
  },
  "replaces a damaged one, keeping its revision": {
    existing: [damaged(a, 4)],
    want: [remove(A, 4), create(4)],
  },
  "removes a damaged previous one although a node runs that spec": {
    existing: [makeSpecObject(a, 4), damaged(b, 3)],
    inUse: [B],
    want: [remove(B, 3)],
  },
  "leaves alone what waits for its finalizers, damaged or not": {
    existing: [makeSpecObject(a, 4), deleted(makeSpecObject(b, 3)), deleted(damaged(c, 2))],
    want: [],
  },
  "notes the new generation of a spec that did not change": {
    existing: [makeSpecObject({ ...a, generation: 1 }, 4)],
    want: [relabel(4)],
  },
  "takes back a retirement": {
    existing: [makeSpecObject(a, 4, ({ metadata }) => (metadata.labels[LABELS.retired] = "true"))],
    want: [relabel(4)],
  },
  "repairs a lost label": {
    existing: [makeSpecObject(a, 4, ({ metadata }) => delete metadata.labels[LABELS.policy])],
    want: [relabel(4)],
  },
  "repairs a revision that is no number": {
    existing: [makeSpecObject(a, 4, ({ metadata }) => (metadata.annotations[LABELS.revision] = "many"))],
    want: [relabel(1)],
  },
  "removes a nodeSelector that the spec does not have, because agents would not read the spec": {
    existing: [
      makeSpecObject(a, 4, ({ metadata }) => {
        metadata.labels[LABELS.selectsNodes] = "true";
        metadata.annotations[LABELS.nodeSelector] = '{"matchLabels":{"no":"node"}}';
      }),
    ],
    want: [relabel(4)],
  },
  "makes it immutable again": {
    existing: [makeSpecObject(a, 4, (object) => delete object.immutable)],
    want: [relabel(4)],
  },
};
describe("planSpecs", () => {
  test.each(Object.entries(cases))("%s", (_name, { existing, inUse = [], want }) => {
    expect(planSpecs(a, existing, (name) => inUse.includes(name))).toEqual(want);
  });

  test.each(Object.entries(cases))(
    "has nothing left to do after it: %s",
    (_name, { existing, inUse = [] }) => {
      const isInUse = (name: string) => inUse.includes(name);
      const after = new Map(existing.map((object) => [object.metadata.name, object]));
      for (const step of planSpecs(a, existing, isInUse)) {
        if (step.step === "delete") after.delete(step.name);
        else if (step.step !== "retire") after.set(step.name, makeSpecObject(step.wanted, step.revision));
      }
      expect(planSpecs(a, [...after.values()], isInUse)).toEqual([]);
    },
  );
});

describe("planRemoval", () => {
  test("retires each before it is deleted", () => {
    expect(planRemoval([makeSpecObject(a, 2)])).toEqual([{ step: "retire", name: A }, remove(A, 2)]);
  });
  test("only deletes what is retired already", () => {
    const retired = makeSpecObject(a, 2, ({ metadata }) => (metadata.labels[LABELS.retired] = "true"));
    expect(planRemoval([retired])).toEqual([remove(A, 2)]);
  });
});

describe("lastGoodOf", () => {
  test("is the highest revision that is intact and not retired", () => {
    const retired = makeSpecObject(
      makeWanted(9, "sys_setfsuid"),
      9,
      ({ metadata }) => (metadata.labels[LABELS.retired] = "true"),
    );
    const found = lastGoodOf([makeSpecObject(c, 1), makeSpecObject(b, 2), damaged(a, 3), retired]);
    expect(found?.metadata.name).toBe(B);
  });
  test("is nothing when nothing is there", () => {
    expect(lastGoodOf([])).toBeUndefined();
  });
});
