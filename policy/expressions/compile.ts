/** From an expression to the steps of a stack machine that a hook runs. */
import type { ArgDef, ExpressionStep } from "../../crds/hook-spec.ts";
import { operandsOf } from "../../crds/hook-spec-checks.ts";
import { integerType } from "../values/integers.ts";
import { type BinaryOperator, type Expression, fail } from "./parse.ts";

type Type = "int" | "uint" | "bool";

/** Steps that leave one value. */
interface Code {
  type: Type;
  steps: ExpressionStep[];
  /** Of a literal. */
  literal?: bigint;
}

const LAST_INT = (1n << 63n) - 1n;
const LAST_UINT = (1n << 64n) - 1n;

/** The steps of an expression over the arguments, which is true or false; throws an ExpressionError. */
export function compileExpression(expression: Expression, args: readonly ArgDef[]): ExpressionStep[] {
  const { type, steps } = compile(expression, args);
  if (type !== "bool") fail(`is a number: compare it with something, as in ${name(args)} == 0`, undefined);
  return steps;
}

/** Values that are on the stack at once. */
export function depthOf(steps: readonly ExpressionStep[]): number {
  let depth = 0;
  let most = 0;
  for (const step of steps) {
    depth += 1 - operandsOf(step);
    most = Math.max(most, depth);
  }
  return most;
}

function name(args: readonly ArgDef[]): string {
  return `arg${Math.max(
    0,
    args.findIndex(({ type }) => integerType(type)),
  )}`;
}

function compile(expression: Expression, args: readonly ArgDef[]): Code {
  switch (expression.kind) {
    case "integer":
      return literal(expression.value, expression.unsigned, expression.at);
    case "boolean":
      return { type: "bool", steps: [{ op: "const", value: expression.value ? "1" : "0" }] };
    case "name":
      return argument(expression.name, expression.at, args);
    case "unary":
      return unary(expression.operator, expression.operand, expression.at, args);
    case "list":
      return fail("has a list that is not behind in", expression.at);
    case "binary": {
      const { operator, left, right, at } = expression;
      if (operator === "in" && right.kind === "list") return oneOf(left, right.entries, at, args);
      return binary(operator, compile(left, args), compile(right, args), at);
    }
  }
}

function literal(value: bigint, unsigned: boolean, at: number): Code {
  if (value > (unsigned ? LAST_UINT : LAST_INT)) fail(`has a number that is too large: ${value}`, at);
  return { type: unsigned ? "uint" : "int", steps: [{ op: "const", value: `${value}` }], literal: value };
}

function argument(written: string, at: number, args: readonly ArgDef[]): Code {
  const position = Number(/^arg(\d)$/.exec(written)?.[1] ?? Number.NaN);
  const arg = args[position];
  if (!arg) {
    const right =
      args.length === 0
        ? "args is empty"
        : `args has arg0${args.length > 1 ? ` to arg${args.length - 1}` : ""}`;
    return fail(`has the name ${written}, which is no argument: ${right}`, at);
  }
  const type = integerType(arg.type);
  if (!type) return fail(`has ${written}, of type ${arg.type}: only integers can be compared so`, at);
  if (arg.returnCopy) return fail(`has ${written}, which is not there before the function returns`, at);
  return { type: type.signed ? "int" : "uint", steps: [{ op: "arg", arg: position }] };
}

function unary(operator: "-" | "!", operand: Expression, at: number, args: readonly ArgDef[]): Code {
  const code = compile(operand, args);
  if (operator === "!") {
    if (code.type !== "bool") fail("has ! before a number", at);
    return { type: "bool", steps: [...code.steps, { op: "not" }] };
  }
  if (code.literal !== undefined && code.type === "int") {
    return { type: "int", steps: [{ op: "const", value: `${-code.literal}` }], literal: -code.literal };
  }
  if (code.type !== "int") fail(`has - before a ${code.type}`, at);
  return { type: "int", steps: [...code.steps, { op: "neg" }] };
}

function oneOf(left: Expression, entries: Expression[], at: number, args: readonly ArgDef[]): Code {
  return entries
    .map((entry) => binary("==", compile(left, args), compile(entry, args), at))
    .reduce((all, one) => ({ type: "bool", steps: [...all.steps, ...one.steps, { op: "or" }] }));
}

function binary(operator: BinaryOperator, left: Code, right: Code, at: number): Code {
  if (operator === "&&" || operator === "||") {
    if (left.type !== "bool" || right.type !== "bool") fail(`has ${operator} with a number`, at);
    return join("bool", left, right, operator === "&&" ? "and" : "or");
  }
  const type = commonType(operator, left, right, at);
  const signed = type === "int";
  switch (operator) {
    case "==":
      return join("bool", left, right, "eq");
    case "!=":
      return { type: "bool", steps: [...join("bool", left, right, "eq").steps, { op: "not" }] };
    default:
      if (type === "bool") return fail(`has ${operator} with true or false`, at);
  }
  switch (operator) {
    case "<":
      return join("bool", left, right, signed ? "slt" : "lt");
    case "<=":
      return join("bool", left, right, signed ? "sle" : "le");
    case ">":
      return join("bool", right, left, signed ? "slt" : "lt");
    case ">=":
      return join("bool", right, left, signed ? "sle" : "le");
    case "+":
      return join(type, left, right, "add");
    case "-":
      return join(type, left, right, "sub");
    case "*":
      return join(type, left, right, "mul");
    default:
      return divide(operator === "/", type, left, right, at);
  }
}

/** By a constant above 0 only: other divisions may fail, and nobody could tell. */
function divide(quotient: boolean, type: Type, left: Code, right: Code, at: number): Code {
  if (right.literal === undefined || right.literal <= 0n) {
    fail(`has a division by something else than a number above 0`, at);
  }
  const signed = type === "int";
  return join(type, left, right, quotient ? (signed ? "sdiv" : "div") : signed ? "smod" : "mod");
}

function join(type: Type, left: Code, right: Code, op: Exclude<ExpressionStep["op"], "const" | "arg">): Code {
  return { type, steps: [...left.steps, ...right.steps, { op }] };
}

/** A literal without sign takes the type of the other side. */
function commonType(operator: string, left: Code, right: Code, at: number): Type {
  if (left.type === right.type) return left.type;
  const fits = (code: Code, other: Code) =>
    code.literal !== undefined &&
    code.type !== "bool" &&
    other.type !== "bool" &&
    code.literal >= 0n &&
    code.literal <= LAST_INT;
  if (fits(left, right)) return right.type;
  if (fits(right, left)) return left.type;
  return fail(`has ${operator} between ${article(left.type)} and ${article(right.type)}`, at);
}

function article(type: Type): string {
  return type === "int" ? "an int" : `a ${type}`;
}
