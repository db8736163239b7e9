import { describe, expect, test } from "vitest";
import { hookSpecConfigMapName } from "../crds/names.ts";
import { decodeSpec, encodeSpec } from "../crds/spec-config-map.ts";
import { compilePolicy } from "./compile.ts";
import { errorsOf, type Loose, makePolicy } from "./testing/policies.ts";

/** Selectors on 64 paths of 204 bytes, on every system call. */
function makeLargePolicy(selectors: number): Loose {
  const path = (n: number) => `/${String(n).padStart(3, "0")}`.padEnd(204, "x");
  const select = (s: number) => ({
    matchBinaries: [{ operator: "In", values: Array.from({ length: 64 }, (_, i) => path(64 * s + i)) }],
  });
  return makePolicy({
    lists: [{ name: "all", type: "generated_syscalls" }],
    kprobes: [
      { call: "list:all", syscall: true, selectors: Array.from({ length: selectors }, (_, s) => select(s)) },
    ],
  });
}

describe("a policy of 13.5 KB that makes 381 hooks of 5.1 MB", () => {
  const result = compilePolicy(makeLargePolicy(1));
  test("compiles, because its hooks have one selector in common", () => {
    expect(result.ok && result.spec.hooks.length).toBe(381);
  });
  test("fits into a ConfigMap that an agent reads", () => {
    if (!result.ok) throw new Error("see above");
    const encoded = encodeSpec(result.spec);
    const data = encoded.ok ? encoded.data : {};
    expect(JSON.stringify(data).length).toBeLessThan(100_000);
    expect(decodeSpec(hookSpecConfigMapName(result.hash), data)).toEqual({ ok: true, spec: result.spec });
  });
});

test("a policy that is too large is refused with its size, the limit and what to do", () => {
  const [error, ...others] = errorsOf(makeLargePolicy(5));
  expect(error).toMatch(
    /^spec: compiles to too much: the selectors of its 381 hooks.* would have \d{5} KiB, at most 16384 KiB are allowed; shorten the value lists, or split the policy$/,
  );
  expect(others).toEqual([]);
});
