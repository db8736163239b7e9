import { expect, test } from "vitest";
import { errorsOf, hooksOf, makeSelectorPolicy, warningsOf } from "../testing/policies.ts";

const AT = "spec.kprobes[0].selectors[0].matchArgs[0]";
const policyOf = (...values: string[]) =>
  makeSelectorPolicy(
    { matchArgs: [{ index: 0, operator: "CelExpr", values }] },
    {
      call: "some_function",
      syscall: false,
      args: [
        { index: 0, type: "int" },
        { index: 3, type: "uint64" },
      ],
    },
  );

test("one expression is one filter, several are alternatives", () => {
  const equal = (arg: number, value: string) => [{ op: "arg", arg }, { op: "const", value }, { op: "eq" }];
  expect(hooksOf(policyOf("arg0 == -1", "arg1 == 2"))[0]?.selectors[0]?.filters).toEqual([
    { match: "expression", steps: [...equal(0, "-1"), ...equal(1, "2"), { op: "or" }] },
  ]);
});

test.each([
  ["no expression", [], `${AT}.values: is empty: CelExpr needs an expression, such as "arg0 != arg1"`],
  [
    "no condition",
    ["arg0 == 0", "arg1"],
    `${AT}.values[1]: is a number: compare it with something, as in arg0 == 0`,
  ],
  [
    "a long one",
    [`${Array.from({ length: 33 }, () => "arg0").join(" + ")} == 0`],
    `${AT}.values: take 67 steps to evaluate: at most 64 are possible`,
  ],
  [
    "a deep one",
    [`${"(arg0 + ".repeat(8)}arg0${")".repeat(8)} == 0`],
    `${AT}.values: nest too deep: at most 8 values can wait for one another`,
  ],
])("%s is refused", (_name, values, error) => {
  expect(errorsOf(policyOf(...values))).toEqual([error]);
});

test("all expressions of a hook share the room for steps", () => {
  const long = `${Array.from({ length: 20 }, () => "arg0").join(" + ")} == 0`;
  const matchArgs = Array.from({ length: 2 }, () => ({ index: 0, operator: "CelExpr", values: [long] }));
  const probe = { call: "some_function", syscall: false, args: [{ index: 0, type: "int" }] };
  expect(errorsOf(makeSelectorPolicy({ matchArgs }, probe))).toEqual([
    "spec.kprobes[0].selectors: have expressions of 82 steps: at most 64 are possible",
  ]);
});

test.each(["true", "1 + 1 == 3", "2 in [1, 2] ? false : true"])("%s is the same for every call", (text) => {
  expect(warningsOf(policyOf("arg0 == 0", text))).toEqual([
    `${AT}.values[1]: names no argument: it is the same for every call`,
  ]);
});

test.each([
  [["arg0 > 5 && arg0 < 3"], `${AT}.values[0]: is false whatever the arguments are`],
  [["arg0 == 0", "arg1 >= 0u"], `${AT}.values[1]: is true whatever the arguments are`],
  [["arg0 < 5", "arg0 >= 5"], `${AT}.values: match whatever the arguments are: one of them is always true`],
])("%j is warned of", (values, warning) => {
  expect(warningsOf(policyOf(...values))).toEqual([warning]);
});
