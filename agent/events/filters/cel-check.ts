/** Looks for what makes a CEL expression useless whatever the event is: names that nothing has, and results that are no condition. */
import type { parse } from "@bufbuild/cel";
import type { DescField, DescMessage } from "@bufbuild/protobuf";

type Expr = ReturnType<typeof parse>["expr"];

/** What is known before there is a value; undefined: nothing. */
type Type = { message: DescMessage } | { list: Type } | "condition" | "no condition" | undefined;
type Scope = ReadonlyMap<string, Type>;

const WRAPPER = /^google\.protobuf\.(\w+)Value$/;
const CONDITIONS = /^(!_|_(&&|\|\||==|!=|<|<=|>|>=)_|@in|contains|startsWith|endsWith|matches)$/;
const NO_CONDITIONS = /^(_[-+*/%]_|-_|size|int|uint|double|string|bytes|duration|timestamp|type)$/;
/** Operators are functions, some of which the library does not list. */
const IS_WORD = /^\w*[a-z]\w*$/i;
/** Types have names, too. */
const TYPE_NAMES = [
  "bool",
  "bytes",
  "double",
  "dyn",
  "int",
  "list",
  "map",
  "null_type",
  "string",
  "type",
  "uint",
];

/** What an expression may name. */
export interface Known {
  /** Messages by the names of variables. */
  variables: ReadonlyMap<string, DescMessage>;
  /** First parts of the names of messages and enumerations. */
  others: readonly string[];
  hasFunction(name: string): boolean;
}

/** Throws for an expression that can be true for no event: it names what is not there, or has another result. */
export function checkCondition(expr: Expr, known: Known): void {
  const scope = new Map<string, Type>([...TYPE_NAMES, ...known.others].map((name) => [name, undefined]));
  for (const [name, message] of known.variables) scope.set(name, { message });
  const type = typeOf(expr, scope, known);
  if (type === undefined || type === "condition") return;
  throw new Error("its result is neither true nor false");
}

function typeOf(expr: Expr | undefined, scope: Scope, known: Known): Type {
  const typeIn = (one: Expr | undefined) => typeOf(one, scope, known);
  switch (expr?.exprKind.case) {
    case "constExpr":
      return expr.exprKind.value.constantKind.case === "boolValue" ? "condition" : "no condition";
    case "identExpr":
      return identifier(expr.exprKind.value.name, scope, known);
    case "selectExpr": {
      const { operand, field, testOnly } = expr.exprKind.value;
      const type = select(typeIn(operand), field);
      return testOnly ? "condition" : type;
    }
    case "callExpr": {
      const { function: name, target, args } = expr.exprKind.value;
      if (IS_WORD.test(name) && !known.hasFunction(name)) throw new Error(`there is no function ${name}`);
      return call(name, typeIn(target), args.map(typeIn));
    }
    case "listExpr":
      return { list: expr.exprKind.value.elements.map(typeIn)[0] };
    case "comprehensionExpr": {
      const { iterRange, iterVar, iterVar2, accuVar, accuInit, loopStep } = expr.exprKind.value;
      const range = typeIn(iterRange);
      const inner = new Map(scope);
      inner.set(iterVar, iterVar2 === "" ? elementOf(range) : undefined).set(iterVar2, undefined);
      inner.set(accuVar, typeIn(accuInit));
      typeOf(loopStep, inner, known);
      return undefined;
    }
    default:
      return undefined;
  }
}

function identifier(name: string, scope: Scope, { variables }: Known): Type {
  if (scope.has(name)) return scope.get(name);
  throw new Error(`there is no ${name}: events are ${[...variables.keys()].join(", ")}`);
}

function select(operand: Type, name: string): Type {
  if (typeof operand !== "object" || !("message" in operand)) return undefined;
  const { message } = operand;
  const field = message.fields.find((one) => one.name === name);
  if (field) return fieldType(field);
  throw new Error(`${message.name} has no field ${name}`);
}

function fieldType(field: DescField): Type {
  if (field.fieldKind === "map") return "no condition";
  const { message } = field;
  const scalar = field.fieldKind === "scalar" && field.scalar === BOOL ? "condition" : "no condition";
  const one = message ? messageType(message) : scalar;
  return field.fieldKind === "list" ? { list: one } : one;
}

/** ScalarType.BOOL of protobuf-es, which is the number of the type in descriptors. */
const BOOL = 8;

function messageType(message: DescMessage): Type {
  const wrapped = WRAPPER.exec(message.typeName)?.[1];
  if (wrapped === undefined) return { message };
  return wrapped === "Bool" ? "condition" : "no condition";
}

function elementOf(type: Type): Type {
  return typeof type === "object" && "list" in type ? type.list : undefined;
}

function call(name: string, target: Type, args: readonly Type[]): Type {
  if (CONDITIONS.test(name)) return "condition";
  if (name === "_[_]") return elementOf(args[0]);
  return NO_CONDITIONS.test(name) && target === undefined ? "no condition" : undefined;
}
