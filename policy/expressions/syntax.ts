/** The syntax tree of a CEL expression, as the library reads it, with the place of each part. */
import { parse } from "@bufbuild/cel";

/** What is wrong with an expression, as the end of a sentence about it. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
}

type Parsed = ReturnType<typeof parse>;

/** A part of an expression. */
export type Node = NonNullable<Parsed["expr"]>;

/** An expression and where its parts stand, from 1. */
export interface Syntax {
  root: Node;
  at(node: Node): number;
}

/** Longer ones would have more steps than a hook takes. */
const MAX_CHARACTERS = 4096;

/** What the library throws for a text that is no expression. */
interface SyntaxProblem {
  location: { start: { offset: number } };
  found: string;
}

/** Throws an ExpressionError where the text is no CEL. */
export function parseExpression(text: string): Syntax {
  if (text.length > MAX_CHARACTERS) fail(`is longer than ${MAX_CHARACTERS} characters`, undefined);
  const { expr, sourceInfo } = parseText(text);
  if (!expr) return fail("is empty", undefined);
  return { root: expr, at: ({ id }) => (sourceInfo?.positions[String(id)] ?? 0) + 1 };
}

function parseText(text: string): Parsed {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof RangeError) return fail("is nested too deeply", undefined);
    if (!isSyntaxProblem(error)) throw error;
    const { found, location } = error;
    const at = location.start.offset + 1;
    if (text.trim() === "") return fail("is empty: write a condition, such as arg0 != arg1", undefined);
    return at > text.trimEnd().length
      ? fail("ends where a value should stand", undefined)
      : fail(`is not CEL: it has ${JSON.stringify(found)} where that cannot stand`, at);
  }
}

function isSyntaxProblem(error: unknown): error is SyntaxProblem {
  return error instanceof Error && "location" in error && "found" in error;
}

/** Throws it. */
export function fail(what: string, at: number | undefined): never {
  throw new ExpressionError(at === undefined ? what : `${what}, at character ${at}`);
}
