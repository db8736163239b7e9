import { expect, test } from "vitest";
import type { WorkloadScope } from "../../../crds/hook-spec.ts";
import { MAX_SCOPES } from "../config/layout.ts";
import { HookError } from "../hook-error.ts";
import { ScopeTable } from "./scope-table.ts";

const scopeOf = (app: string): WorkloadScope => ({ pods: { matchLabels: { app } }, host: false });

function makeTable(problem?: string) {
  const decided: ReadonlyMap<number, WorkloadScope>[] = [];
  const table = new ScopeTable({ problem, decide: (scopes) => void decided.push(scopes) });
  return { table, decided };
}

test("hooks with equal scopes share a bit, others do not, and each new one is decided before it is used", () => {
  const { table, decided } = makeTable();
  const reordered = { host: false, pods: { matchLabels: { app: "a" } } };
  expect([table.take(1, scopeOf("a")), table.take(2, reordered), table.take(3, scopeOf("b"))]).toEqual([
    0, 0, 1,
  ]);
  expect(decided.map((scopes) => [...scopes.keys()])).toEqual([[0], [0, 1]]);
});

test("a bit is free again when the last hook has released it", () => {
  const { table } = makeTable();
  table.take(1, scopeOf("a"));
  table.take(2, scopeOf("a"));
  table.release(1);
  expect(table.take(3, scopeOf("b"))).toBe(1);
  table.release(2);
  table.release(2);
  expect(table.take(4, scopeOf("c"))).toBe(0);
});

test("more scopes than there are bits are refused", () => {
  const { table } = makeTable();
  for (let n = 0; n < MAX_SCOPES; n++) table.take(n, scopeOf(`${n}`));
  expect(() => table.take(MAX_SCOPES, scopeOf("one more"))).toThrow(
    `the hooks of this node are about ${MAX_SCOPES} different sets of workloads, more are not possible`,
  );
});

test("where pods are not known, scopes of pods are refused with the reason, and the host is no problem", () => {
  const { table } = makeTable("no pods here");
  expect(() => table.take(1, scopeOf("a"))).toThrow(new HookError("InvalidArgument", "no pods here"));
  expect(table.take(1, { host: true })).toBe(0);
});
