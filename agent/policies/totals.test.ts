import { beforeEach, expect, test } from "vitest";
import type { PolicyRef } from "../../crds/names.ts";
import type { Slices } from "../../lib/scraped-metrics.ts";
import { makeAttachedHook, NO_ACTIONS } from "./testing/policies.ts";
import { HookTotals } from "./totals.ts";

const policy: PolicyRef = { kind: "TracingPolicy", name: "p" };
const other: PolicyRef = { kind: "TracingPolicyNamespaced", namespace: "n", name: "p" };
let totals: HookTotals;
beforeEach(() => {
  totals = new HookTotals();
});

test("a hook's counts are the kernel's", () => {
  const hook = makeAttachedHook("sys_setuid", { stats: { hits: 5, lost: 2 } });
  expect(totals.read([{ policy, hook }])).toEqual([
    {
      policy,
      hook: "kprobe:__x64_sys_setuid",
      section: "kprobes",
      index: 0,
      hits: 5,
      posted: 0,
      lost: 2,
      rateLimited: 0,
      errors: 0,
      missed: 0,
      timedRuns: 0,
      runNs: 0,
      actions: [],
    },
  ]);
});

test("actions of a selector go on too, under its label or place", () => {
  const counted = { ...NO_ACTIONS, post: 1, signal: 2 };
  const hook = makeAttachedHook("sys_setuid", { actions: [counted, counted] });
  hook.def.selectors.push({ label: "to-root", filters: [], actions: [] });
  totals.settle(policy, hook);
  expect(totals.read([{ policy, hook }])[0]?.actions).toEqual([
    { selector: "to-root", index: 0, label: "to-root", ...counted, post: 2, signal: 4 },
    { selector: "1", index: 1, ...counted, post: 2, signal: 4 },
  ]);
});

test("counts of a labelled selector stay with it where its place changes", () => {
  const withSelectors = (...selectors: [label: string, post: number][]) => {
    const hook = makeAttachedHook("sys_setuid", {
      actions: selectors.map(([, post]) => ({ ...NO_ACTIONS, post })),
    });
    hook.def.selectors.push(...selectors.map(([label]) => ({ label, filters: [], actions: [] })));
    return hook;
  };
  totals.settle(policy, withSelectors(["noisy", 1000], ["gone", 5]));
  const hook = withSelectors(["to-root", 1], ["noisy", 20]);
  expect(totals.read([{ policy, hook }])[0]?.actions).toEqual([
    { selector: "to-root", index: 0, label: "to-root", ...NO_ACTIONS, post: 1 },
    { selector: "noisy", index: 1, label: "noisy", ...NO_ACTIONS, post: 1020 },
  ]);
});

test("a hook goes on where the one that it replaces ended", () => {
  totals.settle(policy, makeAttachedHook("sys_setuid", { stats: { hits: 5 } }));
  totals.settle(policy, makeAttachedHook("sys_setuid", { stats: { hits: 3 } }));
  const hook = makeAttachedHook("sys_setuid", { stats: { hits: 1 } });
  expect(totals.read([{ policy, hook }])[0]?.hits).toBe(9);
  expect(totals.read([{ policy, hook }])[0]?.hits).toBe(9);
});

test("two hooks of a policy on one function are counted together", () => {
  const hook = makeAttachedHook("sys_setuid", { stats: { hits: 2 } });
  totals.settle(policy, hook);
  const live = [
    { policy, hook },
    { policy, hook },
  ];
  expect(totals.read(live).map(({ hits }) => hits)).toEqual([6]);
});

test("policies with the same name are distinguished by kind and namespace, and forgotten one by one", () => {
  const hook = makeAttachedHook("sys_setuid", { stats: { hits: 1 } });
  totals.settle(policy, hook);
  totals.settle(other, hook);
  totals.forget(policy);
  expect(
    totals
      .read([
        { policy, hook },
        { policy: other, hook },
      ])
      .map(({ hits }) => hits),
  ).toEqual([1, 2]);
});

test("a hook that is detached while counts are read is counted once", async () => {
  const [first, second] = ["sys_setuid", "sys_setgid"].map((call) =>
    makeAttachedHook(call, { stats: { hits: 3 } }),
  ) as [ReturnType<typeof makeAttachedHook>, ReturnType<typeof makeAttachedHook>];
  const live = [first, second].map((hook) => ({ policy, hook }));
  let turns = 0;
  const slices = {
    pause: async () => {
      if (turns++ === 0) for (const hook of [first, second]) totals.settle(policy, hook);
    },
  };
  const counts = await totals.readInTurns(live, slices as Slices);
  expect(counts.map(({ hits }) => hits)).toEqual([3, 3]);
});
