import { describe, expect, test } from "vitest";
import { hooksOf, type Loose, makePolicy, makeProbePolicy, warningsOf } from "./testing/policies.ts";

const PROBE = "spec.kprobes[0]";
const RETURN = { index: 0, type: "int" };
const returning = (more: Loose = {}) => makeProbePolicy({ return: true, returnArg: RETURN, ...more });
const argument = (more: Loose) => makeProbePolicy({ args: [{ index: 0, type: "int", ...more }] });

/** Policy, the same policy without the field, warning. */
const cases: Record<string, [policy: Loose, same: Loose, warning: string]> = {
  "returnArg without return": [
    makeProbePolicy({ returnArg: RETURN }),
    makeProbePolicy(),
    "returnArg: has no effect without return: true: leave it out",
  ],
  "returnArg beside return: false": [
    makeProbePolicy({ return: false, returnArg: RETURN }),
    makeProbePolicy(),
    "returnArg: has no effect without return: true: leave it out",
  ],
  "returnArgAction Post": [
    returning({ returnArgAction: "Post" }),
    returning(),
    "returnArgAction: has no effect: Post is what happens anyway, leave it out",
  ],
  "returnArgAction with an action that upstream ignores": [
    returning({ returnArgAction: "Sigkill" }),
    returning(),
    "returnArgAction: has no effect: leave it out, or write Sigkill under matchReturnActions of a selector",
  ],
  "an index of the return value": [
    returning({ returnArg: { ...RETURN, index: 3 } }),
    returning(),
    "returnArg.index: is 3, which has no effect: there is one return value, index 0",
  ],
  "returnCopy of the return value": [
    returning({ returnArg: { ...RETURN, returnCopy: true } }),
    returning(),
    "returnArg.returnCopy: has no effect on a return value: leave it out",
  ],
  "the size of an integer": [
    argument({ sizeArgIndex: 2 }),
    argument({}),
    "args[0].sizeArgIndex: has no effect: leave it out, or give the argument the type char_buf instead of int",
  ],
  "more data of an integer": [
    argument({ maxData: true }),
    argument({}),
    "args[0].maxData: has no effect: leave it out, or give the argument the type char_buf instead of int",
  ],
  "a copy of nothing": [
    argument({ type: "nop", returnCopy: true }),
    argument({ type: "nop" }),
    "args[0].returnCopy: has no effect with nop, which reads nothing: leave it out",
  ],
};

describe("a field without effect", () => {
  test.each(Object.entries(cases))("%s is left out with a warning", (_name, [policy, same, warning]) => {
    expect(hooksOf(policy)).toEqual(hooksOf(same));
    expect(warningsOf(policy)).toEqual([`${PROBE}.${warning}`]);
  });

  test("a filter on the return value may repeat the index of returnArg", () => {
    const matchReturnArgs = [{ index: 3, operator: "Equal", values: ["0"] }];
    const policy = returning({ returnArg: { ...RETURN, index: 3 }, selectors: [{ matchReturnArgs }] });
    expect(hooksOf(policy)[0]?.selectors[0]?.returnFilters).toHaveLength(1);
  });

  test("imaHash beside Override warns that a refused call is not hashed", () => {
    const matchActions = [
      { action: "Override", argError: -1 },
      { action: "Post", imaHash: true },
    ];
    const hook = { hook: "bprm_check_security", args: [], selectors: [{ matchActions }] };
    expect(warningsOf(makePolicy({ lsmhooks: [hook] }))).toEqual([
      expect.stringContaining("matchActions[1].imaHash: has no effect beside Override"),
    ]);
  });
});
