/** What an expression is for given arguments, and whether it is the same for all. */
import type { ArgDef, ExpressionStep } from "../../crds/hook-spec.ts";
import { operandsOf } from "../../crds/hook-spec-checks.ts";
import { bounds, integerType } from "../values/integers.ts";

const word = (value: bigint) => BigInt.asUintN(64, value);
const signed = (value: bigint) => BigInt.asIntN(64, value);

const BINARY: Readonly<Partial<Record<ExpressionStep["op"], (left: bigint, right: bigint) => bigint>>> = {
  add: (left, right) => left + right,
  sub: (left, right) => left - right,
  mul: (left, right) => left * right,
  div: (left, right) => left / right,
  mod: (left, right) => left % right,
  sdiv: (left, right) => signed(left) / right,
  smod: (left, right) => signed(left) % right,
  eq: (left, right) => BigInt(left === right),
  lt: (left, right) => BigInt(left < right),
  le: (left, right) => BigInt(left <= right),
  slt: (left, right) => BigInt(signed(left) < signed(right)),
  sle: (left, right) => BigInt(signed(left) <= signed(right)),
  and: (left, right) => left & right,
  or: (left, right) => left | right,
};

/** The value that the steps leave, as bpf/include/expression.h computes it. `argument` gives the value of one. */
export function evaluate(steps: readonly ExpressionStep[], argument: (arg: number) => bigint): bigint {
  const stack: bigint[] = [];
  const pop = () => stack.pop() as bigint;
  for (const step of steps) {
    if (step.op === "const") stack.push(word(BigInt(step.value)));
    else if (step.op === "arg") stack.push(word(argument(step.arg)));
    else if (step.op === "neg") stack.push(word(-pop()));
    else if (step.op === "not") stack.push(pop() ? 0n : 1n);
    else {
      const right = pop();
      const left = pop();
      stack.push(word(BINARY[step.op]?.(left, right) ?? 0n));
    }
  }
  return pop();
}

/** More arguments and values than these are not tried. */
const MOST_ARGS = 2;
const MOST_TRIES = 4_096;

/**
 * What the expression is for all values of its arguments; undefined where it differs, and where that is not known: where
 * arguments are computed with, not only compared. All that comparisons can tell apart is tried: values at and beside each
 * number of the expression, and at both ends of the type.
 */
export function onlyOutcome(steps: readonly ExpressionStep[], args: readonly ArgDef[]): boolean | undefined {
  const used = [...new Set(steps.flatMap((step) => (step.op === "arg" ? [step.arg] : [])))];
  if (used.length > MOST_ARGS || !onlyCompares(steps)) return undefined;
  const numbers = steps.flatMap((step) => (step.op === "const" ? [BigInt(step.value)] : []));
  const values = new Map(used.map((arg) => [arg, valuesToTry(args[arg], numbers)]));
  if ([...values.values()].reduce((product, { length }) => product * length, 1) > MOST_TRIES)
    return undefined;
  let only: boolean | undefined;
  for (const chosen of combinations(used, values)) {
    const outcome = evaluate(steps, (arg) => chosen.get(arg) ?? 0n) !== 0n;
    if (only !== undefined && outcome !== only) return undefined;
    only = outcome;
  }
  return only;
}

/** Two values on each side: as many as there are arguments find room between two numbers. */
function valuesToTry(arg: ArgDef | undefined, numbers: readonly bigint[]): bigint[] {
  const type = arg && integerType(arg.type);
  if (!type) return [];
  const [low, high] = bounds(type);
  const around = [low, high, ...numbers, ...numbers.map((number) => -number)].flatMap((number) =>
    [-2n, -1n, 0n, 1n, 2n].map((distance) => number + distance),
  );
  return [...new Set(around)].filter((value) => low <= value && value <= high);
}

/** One after the other: most expressions have both outcomes after a few. */
function* combinations(
  [arg, ...others]: readonly number[],
  values: ReadonlyMap<number, readonly bigint[]>,
  chosen: ReadonlyMap<number, bigint> = new Map(),
): Generator<ReadonlyMap<number, bigint>> {
  if (arg === undefined) {
    yield chosen;
    return;
  }
  for (const value of values.get(arg) ?? [])
    yield* combinations(others, values, new Map(chosen).set(arg, value));
}

/** Whether numbers are compared only: what is computed with are outcomes of comparisons, as ?: is compiled. */
function onlyCompares(steps: readonly ExpressionStep[]): boolean {
  const isTruth: boolean[] = [];
  for (const [n, { op }] of steps.entries()) {
    if (op === "const" || op === "arg") {
      isTruth.push(false);
      continue;
    }
    const operands = isTruth.splice(-operandsOf(steps[n] as ExpressionStep));
    const compares = COMPARISONS.includes(op);
    // The sign of a number is tried, too.
    const isSign = op === "neg" && steps[n - 1]?.op === "const";
    if (!compares && !isSign && operands.includes(false)) return false;
    isTruth.push(!isSign);
  }
  return true;
}

const COMPARISONS: readonly ExpressionStep["op"][] = ["eq", "lt", "le", "slt", "sle"];
