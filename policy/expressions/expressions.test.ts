import { describe, expect, test } from "vitest";
import type { ArgType } from "../../crds/argument-types.ts";
import type { ArgDef } from "../../crds/hook-spec.ts";
import { compileExpression, depthOf } from "./compile.ts";
import { evaluate, onlyOutcome } from "./outcome.ts";
import { ExpressionError } from "./syntax.ts";

const ARGS: ArgDef[] = [
  { index: 0, type: "int" },
  { index: 1, type: "uint64" },
  { index: 2, type: "string" },
  { index: 3, type: "int", returnCopy: true },
  { index: 4, type: "long" },
];
const stepsOf = (text: string) => compileExpression(text, ARGS);

function isTrue(text: string, ...args: bigint[]): boolean {
  return evaluate(stepsOf(text), (arg) => args[arg] as bigint) === 1n;
}

describe("an expression", () => {
  const cases: [text: string, args: bigint[], want: boolean][] = [
    ["arg0 == 5", [5n], true],
    ["arg0 == 5", [6n], false],
    ["arg0 < 0", [-1n], true],
    ["arg1 < 1", [0n, 1n << 63n], false],
    ["arg1 > 9223372036854775807u", [0n, 1n << 63n], true],
    ["arg0 + arg4 * 2 == 7", [1n, 0n, 0n, 0n, 3n], true],
    ["(arg0 + arg4) * 2 == 7", [1n, 0n, 0n, 0n, 3n], false],
    ["arg0 - 1 - 1 == 0", [2n], true],
    ["-arg0 == 3", [-3n], true],
    ["arg0 / 2 == -3 && arg0 % 2 == -1", [-7n], true],
    ["arg1 % 4096 != 0", [0n, 8192n], false],
    ["arg0 == 1 || arg0 == 2 && arg1 == 3", [1n, 0n], true],
    ["!(arg0 >= 1) == true", [0n], true],
    ["arg0 in [1, 2, 0x10]", [16n], true],
    ["arg0 in [1, 2]", [3n], false],
    ["arg0 == 0 ? arg4 == 1 : arg4 == 2", [0n, 0n, 0n, 0n, 1n], true],
    ["arg0 == 0 ? arg4 == 1 : arg4 == 2", [1n, 0n, 0n, 0n, 1n], false],
    ["(arg0 < 0 ? -arg0 : arg0) > 5", [-6n], true],
    ["(arg0 < 0 ? -arg0 : arg0) > 5", [5n], false],
    ["(arg1 > 1u ? arg1 : 7) == 7u", [0n, 1n], true],
    ["(arg0 == 1 ? 9223372036854775807 : -9223372036854775807) < 0", [2n], true],
    ["  arg0!=arg4  ", [1n, 0n, 0n, 0n, 2n], true],
  ];
  test.each(cases)("%s with %o: %s", (text, args, want) => {
    expect(isTrue(text, ...args)).toBe(want);
  });

  test("knows how many values wait at once", () => {
    expect(depthOf(stepsOf("arg0 == 1"))).toBe(2);
    expect(depthOf(stepsOf("arg0 == 1 && (arg0 == 2 || arg0 == 3)"))).toBe(4);
  });
});

describe("is refused with the place", () => {
  test.each([
    ["", /^is empty: write a condition/],
    ["arg0 ==", /^is not CEL: it has "=" where that cannot stand, at character 6$/],
    ["arg0 == 1 1", /^is not CEL: it has "1" where that cannot stand, at character 11$/],
    ["arg0 = 1", /^is not CEL: it has "=" where that cannot stand, at character 6$/],
    ["(arg0 == 1", /^ends where a value should stand$/],
    ["arg0 ==\n", /^is not CEL: /],
    ["arg0 ? true : false", /^has a number before \?/],
    ["arg0 == 1 ? arg1 : arg0", /^has \?: between a uint and an int/],
    ["arg0 == (arg0 == 1 ? true : 2)", /^has \?: between a bool and an int/],
    ["arg0 in [] || true", /^has no list behind in/],
    ["arg0 in arg1", /^has no list behind in/],
    ["size(arg0) == 1", /^has size\(\), but knows integers and booleans only/],
    ["arg0.size() == 1", /^has \.size\(\), but knows/],
    ["has(arg0.uid)", /^has \.uid, but knows/],
    ["[1].all(x, x > 0)", /^has a macro or a map, but knows/],
    ["arg0 == 1.5", /^has a double, but knows/],
    [`arg0 == ${"9".repeat(4096)}`, /^is longer than 4096 characters/],
    ["arg0", /^is a number: compare it with something, as in arg0 == 0$/],
    ["arg7 == 1", /^has the name arg7, which is no argument: args has arg0 to arg4, at character 1$/],
    ["uid == 1", /^has the name uid, which is no argument/],
    ["arg2 == 1", /^has arg2, of type string: only integers/],
    ["arg3 == 1", /^has arg3, which is not there before the function returns/],
    ["arg0 == arg1", /^has == between an int and a uint, at character \d+$/],
    ["arg1 == -1", /^has == between a uint and an int/],
    ["arg0 / arg4 == 1", /^has a division by something else than a number above 0/],
    ["arg0 % 0 == 1", /^has a division by something else/],
    ["arg0 && true", /^has && with a number/],
    ["true < false", /^has < with true or false/],
    ["!arg0", /^has ! before a number/],
    ["arg0 == 9223372036854775808", /^has a number that is too large/],
    [`${"(".repeat(2000)}arg0${")".repeat(2000)}`, /^is nested too deeply/],
    ['arg0 == "a"', /^has a string, but knows/],
  ])("%s", (text, message) => {
    expect(() => stepsOf(text)).toThrow(ExpressionError);
    expect(() => stepsOf(text)).toThrow(message);
  });
});

test("an argument whose type no hook reads is refused, not a surprise", () => {
  const args: ArgDef[] = [{ index: 0, type: "iov_iter" as ArgType }];
  expect(() => compileExpression("arg0 == 1", args)).toThrow("of type iov_iter: only integers");
});

describe("the only outcome", () => {
  test.each<[string, boolean | undefined]>([
    ["arg0 == arg0", true],
    ["arg0 > 5 && arg0 < 3", false],
    ["arg0 > 5 && arg0 < 7", undefined], // 6
    ["arg0 >= -2147483648", true],
    ["arg0 > 2147483647", false],
    ["arg1 < 0u", false],
    ["arg4 != 1 || arg4 != 2", true],
    ["arg0 < arg4 && arg4 < arg0", false],
    ["arg0 < arg4 && arg0 > 5 && arg4 < 7", false],
    ["arg0 < arg4 && arg0 > 5 && arg4 < 8", undefined], // 6 and 7
    ["arg0 > 1 ? arg0 > 0 : arg0 < 2", true],
    ["arg0 > 1000 ? arg0 < 2000 : arg0 == 0", undefined],
    ["arg0 == -(-5) && arg0 != 5", false],
    ["!(arg0 == 1) == true", undefined],
    ["arg0 in [1, 2] && arg0 == 3", false],
    // computed with, so not known
    ["arg0 + 1 > arg0", undefined],
    ["arg1 * 2u == 1u", undefined],
    ["arg0 == 2 * 3", undefined],
    ["arg0 == (arg4 > 0 ? 3 : 9)", undefined],
    ["arg0 == -7", undefined],
  ])("of %s: %s", (text, outcome) => {
    expect(onlyOutcome(stepsOf(text), ARGS)).toBe(outcome);
  });
});
