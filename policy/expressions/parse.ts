/** The part of CEL that Trigon knows: integers and booleans, comparison, arithmetic, logic, `in` with a list. */

/** An expression as it is written; `at` is where, counted from 1. */
export type Expression =
  | { kind: "integer"; value: bigint; unsigned: boolean; at: number }
  | { kind: "boolean"; value: boolean; at: number }
  | { kind: "name"; name: string; at: number }
  | { kind: "unary"; operator: "-" | "!"; operand: Expression; at: number }
  | { kind: "binary"; operator: BinaryOperator; left: Expression; right: Expression; at: number }
  | { kind: "list"; entries: Expression[]; at: number };

/** Operators between two values. */
export type BinaryOperator =
  | "||"
  | "&&"
  | "=="
  | "!="
  | "<"
  | "<="
  | ">"
  | ">="
  | "in"
  | "+"
  | "-"
  | "*"
  | "/"
  | "%";

/** What is wrong with an expression, as the end of a sentence about it. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
}

interface Token {
  text: string;
  at: number;
}

const TOKEN = /\s*(0[xX][0-9a-fA-F]+[uU]?|\d+[uU]?|[A-Za-z_]\w*|\|\||&&|[=!<>]=|[-+*/%<>!()[\],])/y;
/** Weakest first. */
const LEVELS: readonly (readonly BinaryOperator[])[] = [
  ["||"],
  ["&&"],
  ["==", "!=", "<", "<=", ">", ">=", "in"],
  ["+", "-"],
  ["*", "/", "%"],
];
const MAX_NESTING = 32;

/** Throws an ExpressionError where the text is no such expression. */
export function parseExpression(text: string): Expression {
  const parser = new Parser(tokenize(text));
  const expression = parser.level(0);
  parser.expectEnd();
  return expression;
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex;
    const [whole, token] =
      TOKEN.exec(text) ?? fail(`has ${JSON.stringify(text.slice(from).trim()[0])}`, from + 1);
    tokens.push({ text: token as string, at: from + whole.length - (token as string).length + 1 });
  }
  return tokens;
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #nesting = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  level(number: number): Expression {
    const operators = LEVELS[number];
    if (!operators) return this.#unary();
    let left = this.level(number + 1);
    for (;;) {
      const token = this.#tokens[this.#next];
      const operator = operators.find((known) => known === token?.text);
      if (!token || !operator) return left;
      this.#next++;
      const right = operator === "in" ? this.#list() : this.level(number + 1);
      left = { kind: "binary", operator, left, right, at: token.at };
    }
  }

  expectEnd(): void {
    const token = this.#tokens[this.#next];
    if (token) fail(`goes on with ${JSON.stringify(token.text)} where it should end`, token.at);
  }

  #unary(): Expression {
    const token = this.#take("a value");
    if (token.text === "-" || token.text === "!") {
      const operand = this.#nested(() => this.#unary(), token);
      return { kind: "unary", operator: token.text, operand, at: token.at };
    }
    if (token.text === "(") {
      const inner = this.#nested(() => this.level(0), token);
      this.#expect(")");
      return inner;
    }
    return primary(token);
  }

  #list(): Expression {
    const { at } = this.#expect("[");
    const entries = [this.level(3)];
    while (this.#tokens[this.#next]?.text === ",") {
      this.#next++;
      entries.push(this.level(3));
    }
    this.#expect("]");
    return { kind: "list", entries, at };
  }

  #nested(parse: () => Expression, { at }: Token): Expression {
    if (++this.#nesting > MAX_NESTING) fail(`is nested more than ${MAX_NESTING} levels deep`, at);
    const expression = parse();
    this.#nesting--;
    return expression;
  }

  #expect(text: string): Token {
    const token = this.#take(text);
    if (token.text !== text) fail(`has ${JSON.stringify(token.text)} where ${text} should stand`, token.at);
    return token;
  }

  #take(wanted: string): Token {
    return this.#tokens[this.#next++] ?? fail(`ends where ${wanted} should stand`, undefined);
  }
}

function primary({ text, at }: Token): Expression {
  if (/^\d/.test(text)) {
    const unsigned = /u$/i.test(text);
    return { kind: "integer", value: BigInt(unsigned ? text.slice(0, -1) : text), unsigned, at };
  }
  if (text === "true" || text === "false") return { kind: "boolean", value: text === "true", at };
  if (/^[A-Za-z_]/.test(text) && text !== "in") return { kind: "name", name: text, at };
  return fail(`has ${JSON.stringify(text)} where a value should stand`, at);
}

/** Throws it. */
export function fail(what: string, at: number | undefined): never {
  throw new ExpressionError(at === undefined ? what : `${what}, at character ${at}`);
}
