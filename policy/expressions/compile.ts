/** From the syntax tree of a CEL expression to the steps of a stack machine that a hook runs. */
import type { ArgDef, ExpressionStep } from "../../crds/hook-spec.ts";
import { operandsOf } from "../../crds/hook-spec-checks.ts";
import { integerType } from "../values/integers.ts";
import { fail, type Node, parseExpression, type Syntax } from "./syntax.ts";

type Type = "int" | "uint" | "bool";

/** Steps that leave one value. */
interface Code {
  type: Type;
  steps: ExpressionStep[];
  /** Value of a literal. */
  literal?: bigint;
}

const LAST_INT = (1n << 63n) - 1n;
const LAST_UINT = (1n << 64n) - 1n;

/** The steps of an expression over the arguments, which is true or false; throws an ExpressionError. */
export function compileExpression(text: string, args: readonly ArgDef[]): ExpressionStep[] {
  const syntax = parseExpression(text);
  const { type, steps } = compile(syntax.root, { syntax, args });
  if (type !== "bool") fail(`is a number: compare it with something, as in ${name(args)} == 0`, undefined);
  return steps;
}

/** What a part of an expression is compiled in. */
interface Scope {
  syntax: Syntax;
  args: readonly ArgDef[];
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

function compile(node: Node, scope: Scope): Code {
  const { exprKind } = node;
  const at = scope.syntax.at(node);
  switch (exprKind.case) {
    case "constExpr":
      return constant(exprKind.value.constantKind, at);
    case "identExpr":
      return argument(exprKind.value.name, at, scope.args);
    case "callExpr":
      if (exprKind.value.target) return fail(`has .${exprKind.value.function}(), ${ONLY}`, at);
      return call(exprKind.value.function, exprKind.value.args, at, scope);
    case "listExpr":
      return fail("has a list that is not behind in", at);
    case "selectExpr":
      return fail(`has .${exprKind.value.field}, ${ONLY}`, at);
    default:
      return fail(`has a macro or a map, ${ONLY}`, at);
  }
}

const ONLY = "but knows integers and booleans only: comparisons, arithmetic, logic, in and ?:";

type Constant = Extract<Node["exprKind"], { case: "constExpr" }>["value"]["constantKind"];

function constant(kind: Constant, at: number): Code {
  if (kind.case === "boolValue")
    return { type: "bool", steps: [{ op: "const", value: kind.value ? "1" : "0" }] };
  if (kind.case === "int64Value") return literal(kind.value, false, at);
  if (kind.case === "uint64Value") return literal(kind.value, true, at);
  return fail(`has a ${(kind.case ?? "null").replace("Value", "")}, ${ONLY}`, at);
}

const BINARY: Readonly<Record<string, BinaryOperator>> = {
  "_||_": "||",
  "_&&_": "&&",
  "_==_": "==",
  "_!=_": "!=",
  "_<_": "<",
  "_<=_": "<=",
  "_>_": ">",
  "_>=_": ">=",
  "_+_": "+",
  "_-_": "-",
  "_*_": "*",
  "_/_": "/",
  "_%_": "%",
};

type BinaryOperator = "||" | "&&" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "+" | "-" | "*" | "/" | "%";

function call(named: string, operands: readonly Node[], at: number, scope: Scope): Code {
  const [first, second, third] = operands;
  if (named === "@in" && first && second) return oneOf(first, second, at, scope);
  if (named === "_?_:_" && first && second && third) {
    const branches: [Code, Code] = [compile(second, scope), compile(third, scope)];
    return conditional(compile(first, scope), ...branches, at);
  }
  if ((named === "-_" || named === "!_") && first) return unary(named === "-_" ? "-" : "!", first, at, scope);
  const operator = Object.hasOwn(BINARY, named) ? BINARY[named] : undefined;
  if (operator && first && second) return binary(operator, compile(first, scope), compile(second, scope), at);
  return fail(`has ${named}(), ${ONLY}`, at);
}

/** No step jumps, so both branches are evaluated: no + (yes - no) * condition, which is right in every width. */
function conditional(condition: Code, yes: Code, no: Code, at: number): Code {
  if (condition.type !== "bool") fail("has a number before ?", at);
  const type = commonType("?:", yes, no, at);
  const steps: ExpressionStep[] = [
    ...no.steps,
    ...yes.steps,
    ...no.steps,
    { op: "sub" },
    ...condition.steps,
    { op: "mul" },
    { op: "add" },
  ];
  return { type, steps };
}

function literal(value: bigint, unsigned: boolean, at: number): Code {
  if (value > (unsigned ? LAST_UINT : LAST_INT) || value < -LAST_INT - 1n)
    fail(`has a number that is too large: ${value}`, at);
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

function unary(operator: "-" | "!", operand: Node, at: number, scope: Scope): Code {
  const code = compile(operand, scope);
  if (operator === "!") {
    if (code.type !== "bool") fail("has ! before a number", at);
    return { type: "bool", steps: [...code.steps, { op: "not" }] };
  }
  if (code.type !== "int") fail(`has - before a ${code.type}`, at);
  return { type: "int", steps: [...code.steps, { op: "neg" }] };
}

function oneOf(left: Node, list: Node, at: number, scope: Scope): Code {
  const entries = list.exprKind.case === "listExpr" ? list.exprKind.value.elements : [];
  if (entries.length === 0) return fail("has no list behind in: write in [1, 2]", at);
  return entries
    .map((entry) => binary("==", compile(left, scope), compile(entry, scope), at))
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

/** Only constants above 0 may be divisors: other divisions may fail, and no event would report that. */
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
