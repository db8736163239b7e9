import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { HOOK_SPEC_VERSION, type HookSpec, type SelectorDef } from "./hook-spec.ts";
import { encodeHookSpec, hookSpecHash } from "./hook-spec-codec.ts";
import { HOOK_SPEC_LIMITS } from "./hook-spec-schema.ts";
import { hookSpecConfigMapName, sha256Hex } from "./names.ts";
import { decodeSpec, encodeSpec, type SpecData } from "./spec-config-map.ts";

/** A path that compresses badly, the same one for the same number. */
const path = (n: number): string => `/${sha256Hex(String(n))}${sha256Hex(`${n}.`)}`.slice(0, 100);

/** A selector on 64 binaries, other ones for each number. */
function makeSelector(n: number): SelectorDef {
  const values = Array.from({ length: 64 }, (_, i) => path(n * 64 + i));
  return { filters: [{ match: "binary", negate: false, compare: "equal", values }], actions: [] };
}

/** One hook per element, with these selectors. */
function makeSpec(...selectorsOfHooks: SelectorDef[][]): HookSpec {
  const hooks = selectorsOfHooks.map((selectors, i) => ({
    path: `spec.kprobes[${i}]`,
    section: "kprobes" as const,
    call: `sys_${i}`,
    syscall: true,
    ignoreCallNotFound: false,
    args: [],
    selectors,
  }));
  return { version: HOOK_SPEC_VERSION, policy: { kind: "TracingPolicy", name: "p" }, hooks };
}

const many = (count: number, selectors: (n: number) => SelectorDef[]): HookSpec =>
  makeSpec(...Array.from({ length: count }, (_, n) => selectors(n)));
/** What a list of all system calls makes of one selector: equal ones, not the same object. */
const sameEverywhere = (count: number, ...numbers: number[]): HookSpec =>
  many(count, () => numbers.map(makeSelector));

const nameOf = (spec: HookSpec): string => hookSpecConfigMapName(hookSpecHash(spec));
function encoded(spec: HookSpec): SpecData {
  const result = encodeSpec(spec);
  if (!result.ok) throw new Error(result.message);
  return result.data;
}

describe("what is encoded is decoded as it was", () => {
  const specs: Record<string, { spec: HookSpec; holds: "data" | "binaryData" }> = {
    "a small spec, as JSON that people can read": { spec: makeSpec([], [makeSelector(1)]), holds: "data" },
    "a large one, compressed": { spec: many(20, (n) => [makeSelector(n)]), holds: "binaryData" },
    "381 hooks with the same selector": { spec: sameEverywhere(381, 1), holds: "data" },
    "512 hooks with selectors of their own and shared ones in turn": {
      spec: many(512, (n) => [
        makeSelector(n % 5),
        { filters: [], actions: [], label: `s${n}` },
        makeSelector(7),
      ]),
      holds: "binaryData",
    },
  };
  test.each(Object.entries(specs))("%s", (_name, { spec, holds }) => {
    const data = encoded(spec);
    expect(Object.keys(data)).toEqual([holds]);
    expect(decodeSpec(nameOf(spec), data)).toEqual({ ok: true, spec });
  });

  test("selectors that are equal come back as one object, which costs memory once", () => {
    const spec = sameEverywhere(381, 1);
    const decoded = decodeSpec(nameOf(spec), encoded(spec));
    const selectors = decoded.ok ? decoded.spec.hooks.map((hook) => hook.selectors[0]) : [];
    expect(new Set(selectors).size).toBe(1);
  });

  test("equal specs have one text, whichever of their selectors are the same object", () => {
    const [selector, other] = [makeSelector(1), makeSelector(1)];
    const texts = [makeSpec([selector], [selector]), makeSpec([selector], [other])].map(encodeHookSpec);
    expect(texts[0]).toBe(texts[1]);
  });
});

describe("encodeSpec refuses what agents could not use, with the size, the limit and what to do", () => {
  const refused: Record<string, { spec: HookSpec; message: RegExp }> = {
    "selectors that are too much for all hooks together": {
      spec: sameEverywhere(512, 1, 2, 3, 4, 5),
      message:
        /^compiles to too much: the selectors of its 512 hooks, written out for each hook, would have 167\d\d KiB, at most 16384 KiB are allowed; shorten/,
    },
    "a text that is too long": {
      spec: many(512, (n) => [makeSelector(2 * n), makeSelector(2 * n + 1)]),
      message: /its hook spec would have 67\d\d KiB, at most 4096 KiB/,
    },
    "data that does not fit into a ConfigMap": {
      spec: many(450, (n) => [makeSelector(n)]),
      message: /its hook spec, compressed, would have 1\d\d\d KiB, at most 1024 KiB/,
    },
  };
  test.each(Object.entries(refused))("%s", (_name, { spec, message }) => {
    expect(encodeSpec(spec)).toEqual({ ok: false, message: expect.stringMatching(message) as string });
  });
});

const SPEC = makeSpec([makeSelector(1)], [makeSelector(1)]);
const gz = (text: string): SpecData => ({
  binaryData: { "hook-spec.json.gz": gzipSync(text).toString("base64") },
});
const json = (text: string): SpecData => ({ data: { "hook-spec.json": text } });
const wire = JSON.parse(encodeHookSpec(SPEC)) as Record<string, unknown> & { sharedSelectors: SelectorDef[] };
const changed = (change: object): SpecData => json(JSON.stringify({ ...wire, ...change }));

describe("decodeSpec says why a ConfigMap has no spec", () => {
  const damaged: Record<string, { data: SpecData; problem: RegExp }> = {
    "no data": { data: {}, problem: /has no hook-spec\.json/ },
    "another key": { data: { data: { "hook-spec.yaml": "" } }, problem: /has no hook-spec\.json/ },
    "no JSON": { data: json("{"), problem: /holds no hook spec: is not JSON/ },
    "no object": { data: json("null"), problem: /holds no hook spec: must be object/ },
    "not base64": { data: { binaryData: { "hook-spec.json.gz": "\u00e9%" } }, problem: /cannot be unpacked/ },
    "not gzip": { data: { binaryData: { "hook-spec.json.gz": "AAAA" } }, problem: /cannot be unpacked/ },
    "gzip of something else": { data: gz("{}"), problem: /version is missing/ },
    "gzip that unpacks to more than the limit": {
      data: gz(" ".repeat(HOOK_SPEC_LIMITS.textBytes + 1)),
      problem: /cannot be unpacked: .*larger than/,
    },
    "a text above the limit": {
      data: json(" ".repeat(HOOK_SPEC_LIMITS.textBytes + 1)),
      problem: /longer than 4194304 bytes/,
    },
    "another version": {
      data: changed({ version: HOOK_SPEC_VERSION - 1 }),
      problem: /version is 1, this release reads version 2 only/,
    },
    "a field that the schema does not have": { data: changed({ more: 1 }), problem: /more is unknown/ },
    "a shared selector that does not exist": {
      data: changed({ sharedSelectors: [] }),
      problem: /hooks\[0\]\.selectors\[0\] must be object/,
    },
    "shared selectors that are no list": {
      data: changed({ sharedSelectors: {} }),
      problem: /sharedSelectors is unknown/,
    },
    "a shared selector with an error": {
      data: changed({ sharedSelectors: [{ filters: [] }] }),
      problem: /hooks\[0\]\.selectors\[0\]\.actions is missing/,
    },
    "shared selectors that stand for more than the limit": {
      data: changed({
        hooks: Array(512).fill({ ...SPEC.hooks[0], selectors: Array(5).fill(0) }),
      }),
      problem: /sharedSelectors stand for more than 16777216 bytes/,
    },
    "the content of another spec": {
      data: json(encodeHookSpec(makeSpec([]))),
      problem: /was changed by hand: its content belongs into trigon-spec-/,
    },
  };
  test.each(Object.entries(damaged))("%s", (_name, { data, problem }) => {
    const decoded = decodeSpec(nameOf(SPEC), data);
    expect(decoded).toEqual({ ok: false, problem: expect.stringMatching(problem) as string });
  });

  test("in bounded time, however many errors there are", () => {
    const data = json(JSON.stringify({ ...wire, hooks: Array(20_000).fill({}) }));
    const started = performance.now();
    const decoded = decodeSpec(nameOf(SPEC), data);
    expect(decoded.ok ? "" : decoded.problem.length).toBeLessThan(100_000);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
