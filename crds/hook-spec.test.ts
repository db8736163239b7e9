import { expect, expectTypeOf, test } from "vitest";
import { HOOK_SPEC_VERSION, type HookSpec } from "./hook-spec.ts";
import { encodeHookSpec, hookSpecHash, parseHookSpec } from "./hook-spec-codec.ts";
import { HOOK_SPEC_LIMITS, HOOK_SPEC_SCHEMA } from "./hook-spec-schema.ts";

/** The type of what a schema accepts, for the keywords that HOOK_SPEC_SCHEMA uses. */
type Accepted<S> = S extends { const: infer C }
  ? C
  : S extends { enum: readonly (infer E)[] }
    ? E
    : S extends { anyOf: readonly (infer A)[] }
      ? A extends unknown
        ? Accepted<A>
        : never
      : S extends { type: "object"; properties: infer P; required: readonly (infer R)[] }
        ? { [K in keyof P & R]: Accepted<P[K]> } & { [K in Exclude<keyof P, R>]?: Accepted<P[K]> }
        : S extends { type: "object"; additionalProperties: infer V }
          ? Record<string, Accepted<V>>
          : S extends { type: "array"; items: readonly [infer A, infer B] }
            ? [Accepted<A>, Accepted<B>]
            : S extends { type: "array"; items: infer I }
              ? Accepted<I>[]
              : S extends { type: "string" }
                ? string
                : S extends { type: "integer" }
                  ? number
                  : S extends { type: "boolean" }
                    ? boolean
                    : never;

type FromSchema = Accepted<typeof HOOK_SPEC_SCHEMA>;

test("the HookSpec type and the schema accept the same values", () => {
  expectTypeOf<FromSchema>().toExtend<HookSpec>();
  expectTypeOf<HookSpec>().toExtend<FromSchema>();
  expect(HOOK_SPEC_SCHEMA.properties.version.const).toBe(HOOK_SPEC_VERSION);
});

const FULL: HookSpec = {
  version: HOOK_SPEC_VERSION,
  policy: { kind: "TracingPolicyNamespaced", namespace: "team", name: "creds" },
  nodeSelector: { matchLabels: { a: "b" }, matchExpressions: [{ key: "c", operator: "In", values: ["d"] }] },
  hooks: [
    {
      path: "spec.kprobes[0]",
      section: "kprobes",
      call: "commit_creds",
      syscall: false,
      ignoreCallNotFound: true,
      args: [
        { index: 0, type: "cred", label: "new" },
        { index: 1, type: "int" },
      ],
      returnArg: { type: "int", label: "error" },
      selectors: [
        {
          label: "s",
          filters: [
            { match: "pid", negate: false, values: [0, 4294967295], namespacePid: true, followForks: false },
            { match: "namespace", negate: true, namespace: "Pid", values: ["host_ns", 4026531836] },
            { match: "binary", negate: false, compare: "postfix", values: ["/su"] },
            { match: "arg", arg: 1, negate: false, compare: "range", ranges: [["-2147483648", "-1"]] },
            { match: "arg", arg: 1, negate: false, compare: "mask", masks: ["18446744073709551615"] },
            { match: "currentCred", negate: false, field: "auid", ranges: [["4294967295", "4294967295"]] },
            { match: "credChange", fields: ["uid", "noNewPrivs"], change: "Raised" },
            { match: "arg", arg: 0, newArg: 1, compare: "gained" },
          ],
          returnFilters: [{ match: "return", negate: true, compare: "range", ranges: [["0", "0"]] }],
          returnActions: [{ action: "Signal", signal: 9 }],
          actions: [
            { action: "Post", rateLimit: { intervalMs: 60000, scope: "thread" } },
            { action: "NoPost" },
          ],
        },
      ],
      message: "m",
      tags: ["t"],
      drift: true,
    },
  ],
};

/** A copy of FULL with one value replaced or, when undefined, removed. */
function changed(path: (string | number)[], value: unknown): string {
  const copy = structuredClone(FULL) as unknown;
  const last = path.at(-1) as string;
  const owner = path.slice(0, -1).reduce((at, key) => (at as Record<string, unknown>)[key], copy);
  if (value === undefined) delete (owner as Record<string, unknown>)[last];
  else (owner as Record<string, unknown>)[last] = value;
  return JSON.stringify(copy);
}

const HOOK = ["hooks", 0];
const FILTER = [...HOOK, "selectors", 0, "filters"];

test("what is encoded parses to the same spec and encodes to the same text", () => {
  const text = encodeHookSpec(FULL);
  const parsed = parseHookSpec(text);
  expect(parsed).toEqual({ ok: true, spec: FULL });
  expect(parsed.ok && encodeHookSpec(parsed.spec)).toBe(text);
});

test("key order and absent fields do not change the hash, content does", () => {
  const reversed = Object.fromEntries(Object.entries(FULL).reverse()) as unknown as HookSpec;
  const withUndefined = { ...FULL, extra: undefined };
  expect(hookSpecHash(reversed)).toBe(hookSpecHash(FULL));
  expect(hookSpecHash(withUndefined)).toBe(hookSpecHash(FULL));
  expect(hookSpecHash(FULL)).toMatch(/^[0-9a-f]{40}$/);
  expect(hookSpecHash({ ...FULL, hooks: [...FULL.hooks, ...FULL.hooks] })).not.toBe(hookSpecHash(FULL));
});

const overriding = (error: number) =>
  changed([...HOOK, "selectors", 0, "actions"], [{ action: "Override", error }]);

test.each([
  ["a security_ function", { call: "security_task_prctl" }],
  ["an LSM hook", { call: "task_prctl", section: "lsmhooks" }],
])("takes a positive result of %s", (_name, parts) => {
  const hook = { ...FULL.hooks[0], ...parts, returnArg: undefined };
  const selectors = [{ filters: [], actions: [{ action: "Override", error: 4095 }] }];
  const text = JSON.stringify({ ...FULL, hooks: [{ ...hook, selectors }] });
  expect(parseHookSpec(text)).toMatchObject({ ok: true });
});

const refused: Record<string, [text: string, path: string, message: string]> = {
  "text that is not JSON": ["{", "", "is not JSON"],
  "an empty text": ["", "", "is not JSON"],
  "a JSON value of another kind": ["[]", "", "must be object"],
  null: ["null", "", "must be object"],
  "another version, named": [changed(["version"], 7), "version", "is 7, this release reads version 2 only"],
  "a missing version": [changed(["version"], undefined), "version", "is missing"],
  "an unknown field": [changed([...HOOK, "colour"], 1), "hooks[0].colour", "is unknown"],
  "no hooks": [changed(["hooks"], []), "hooks", "fewer than 1 items"],
  "an unknown section": [
    changed([...HOOK, "section"], "x"),
    "hooks[0].section",
    "must be one of kprobes, fentries",
  ],
  "an unknown argument type": [
    changed([...HOOK, "args", 0, "type"], "sock"),
    "hooks[0].args[0].type",
    "must be one of auto, int,",
  ],
  "an argument index above 4": [
    changed([...HOOK, "args", 0, "index"], 5),
    "hooks[0].args[0].index",
    "must be <= 4",
  ],
  "a field index of a function": [
    changed([...HOOK, "args", 0, "index"], 64),
    "hooks[0].args[0].index",
    "must be <= 63",
  ],
  "a hook of tracepoints that is none": [
    changed([...HOOK, "section"], "tracepoints"),
    "hooks[0].tracepoint",
    "belongs to hooks of tracepoints",
  ],
  "a return value of an LSM hook": [
    changed([...HOOK, "section"], "lsmhooks"),
    "hooks[0].returnArg",
    "does not fit lsmhooks",
  ],
  "a system call among LSM hooks": [
    JSON.stringify({
      ...FULL,
      hooks: FULL.hooks.map((hook) => ({ ...hook, section: "lsmhooks", syscall: true })),
    }),
    "hooks[0].syscall",
    "does not fit lsmhooks",
  ],
  "a filter on new credentials where there are none": [
    changed([...HOOK, "call"], "create_user_ns"),
    "hooks[0].selectors[0].filters[6]",
    "create_user_ns receives no new credentials",
  ],
  "a second set that is not there": [
    changed([...FILTER, 7, "newArg"], 2),
    "hooks[0].selectors[0].filters[7].newArg",
    "is 2, the hook has 2 arguments",
  ],
  "a filter on a return value that is not read": [
    changed([...HOOK, "returnArg"], undefined),
    "hooks[0].selectors[0].returnFilters",
    "need a returnArg",
  ],
  "an empty range of a return value": [
    changed([...HOOK, "selectors", 0, "returnFilters", 0, "ranges", 0], ["1", "0"]),
    "hooks[0].selectors[0].returnFilters[0].ranges[0]",
    "is empty: 1 is above 0",
  ],
  "a step without its values": [
    changed([...FILTER, 0], { match: "expression", steps: [{ op: "arg", arg: 0 }, { op: "eq" }] }),
    "hooks[0].selectors[0].filters[0].steps[1]",
    "finds 1 values on the stack",
  ],
  "steps that leave several values": [
    changed([...FILTER, 0], { match: "expression", steps: Array(2).fill({ op: "const", value: "1" }) }),
    "hooks[0].selectors[0].filters[0].steps",
    "leave 2 values",
  ],
  "more values than the stack has": [
    changed([...FILTER, 0], { match: "expression", steps: Array(9).fill({ op: "const", value: "1" }) }),
    "hooks[0].selectors[0].filters[0].steps[8]",
    "finds 8 values on the stack",
  ],
  "a step with an argument that is not there": [
    changed([...FILTER, 0], { match: "expression", steps: [{ op: "arg", arg: 2 }] }),
    "hooks[0].selectors[0].filters[0].steps[0].arg",
    "is 2, the hook has 2 arguments",
  ],
  "an unknown filter": [
    changed([...FILTER, 0], { match: "moon" }),
    "hooks[0].selectors[0].filters[0].match",
    "must be",
  ],
  "a filter with a wrong member, by its own kind": [
    changed([...FILTER, 3, "negate"], "no"),
    "hooks[0].selectors[0].filters[3].negate",
    "must be boolean",
  ],
  "a filter on an argument that is not there": [
    changed([...FILTER, 3, "arg"], 2),
    "hooks[0].selectors[0].filters[3].arg",
    "is 2, the hook has 2 arguments",
  ],
  "an empty range": [
    changed([...FILTER, 3, "ranges", 0], ["5", "4"]),
    "hooks[0].selectors[0].filters[3].ranges[0]",
    "is empty: 5 is above 4",
  ],
  "a number that is not decimal": [
    changed([...FILTER, 4, "masks", 0], "0x1"),
    "hooks[0].selectors[0].filters[4].masks[0]",
    "must match pattern",
  ],
  "more filters than a hook can have": [
    changed(
      [...HOOK, "selectors"],
      Array(4).fill({ filters: Array(25).fill(FULL.hooks[0]?.selectors[0]?.filters[0]), actions: [] }),
    ),
    "hooks[0].selectors",
    "have 100 filters, at most 96 are allowed",
  ],
  "too many hooks": [
    changed(["hooks"], Array(HOOK_SPEC_LIMITS.hooks + 1).fill(FULL.hooks[0])),
    "hooks",
    "must NOT have more than 512 items",
  ],
  "a rate limit of nothing": [
    changed([...HOOK, "selectors", 0, "actions", 0, "rateLimit", "intervalMs"], 0),
    "hooks[0].selectors[0].actions[0].rateLimit.intervalMs",
    "must be >= 1",
  ],
  "a positive result of another function": [
    overriding(1),
    "hooks[0].selectors[0].actions[0].error",
    "must be <= -1",
  ],
  "a positive result of a system call": [
    JSON.stringify({
      ...FULL,
      hooks: JSON.parse(overriding(1)).hooks.map((hook: object) => ({
        ...hook,
        call: "sys_setuid",
        syscall: true,
      })),
    }),
    "hooks[0].selectors[0].actions[0].error",
    "must be <= -1",
  ],
  "an Override with 0": [
    overriding(0),
    "hooks[0].selectors[0].actions[0].error",
    "must not be 0: the call would be made",
  ],
  "an Override above all errors": [
    overriding(4096),
    "hooks[0].selectors[0].actions[0].error",
    "must be <= 4095",
  ],
  "a text that is too long": [`"${"x".repeat(HOOK_SPEC_LIMITS.textBytes)}"`, "", "is longer than"],
};

test.each(Object.entries(refused))("refuses %s", (_name, [text, path, message]) => {
  const result = parseHookSpec(text);
  expect(result.ok).toBe(false);
  const errors = result.ok ? [] : result.errors;
  expect(errors).toContainEqual({ path, message: expect.stringContaining(message) as string });
});

test("names one error for one mistake in a filter", () => {
  const result = parseHookSpec(changed([...FILTER, 0, "values"], [-1]));
  expect(result).toEqual({
    ok: false,
    errors: [{ path: "hooks[0].selectors[0].filters[0].values[0]", message: "must be >= 0" }],
  });
});
