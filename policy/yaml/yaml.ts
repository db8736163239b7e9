/** YAML text to plain values that remember where they stood. */
import { type Document, LineCounter, parseAllDocuments, type Tags } from "yaml";
import type { PolicyError } from "../problems.ts";
import { findPosition, type Position, YamlReader } from "./reader.ts";
import { YAML_1_1_SCALARS } from "./scalars.ts";

/** One document of a file. */
export interface YamlDocument {
  value: unknown;
  /** Syntax errors; the value is undefined then. */
  errors: PolicyError[];
  /** Where a field stands; for one that is absent, where its owner stands. */
  locate(path: string): Position;
}

/** A broken text breaks again and again: the first errors are those that help. */
const MAX_SYNTAX_ERRORS = 5;

/** An action of a Helm template where a value or a line begins. */
const TEMPLATE = /(?<=^[ \t]*|: +)\{\{/m;

/** Every document of a text; comments and empty documents between others are left out. */
export function readYaml(text: string): YamlDocument[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false, // found below, with a path
    customTags: (tags: Tags) => [...YAML_1_1_SCALARS, ...tags],
  });
  if (!Array.isArray(documents)) return [];
  return documents
    .map((document) => asTemplate(readDocument(document, lines), document, text, lines))
    .filter((d) => d.value !== null || d.errors.length > 0);
}

/** Reports a template as one error, because its YAML errors would not help. */
function asTemplate(read: YamlDocument, { range }: Document.Parsed, text: string, lines: LineCounter) {
  if (read.errors.length === 0) return read;
  const offset = text.slice(range[0], range[2]).search(TEMPLATE);
  if (offset < 0) return read;
  const { line, col } = lines.linePos(range[0] + offset);
  const message = "is a template, not YAML: render it first, for example with `helm template`";
  return { ...read, errors: [{ path: "", message, line, column: col }] };
}

function readDocument(document: Document.Parsed, lines: LineCounter): YamlDocument {
  const positions = new Map<string, Position>();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const start = at(document.contents?.range?.[0] ?? document.range[0]);
  const locate = (path: string): Position => findPosition(positions, path) ?? start;
  const syntax = document.errors.slice(0, MAX_SYNTAX_ERRORS).map((error) => ({
    path: "",
    message: syntaxMessage(error.message),
    ...at(error.pos[0]),
  }));
  if (syntax.length > 0) return { value: undefined, errors: syntax, locate };
  const reader = new YamlReader(document, positions, at);
  const value = document.contents === null ? null : reader.read(document.contents, "");
  return { value: reader.errors.length > 0 ? undefined : value, errors: reader.errors, locate };
}

function syntaxMessage(message: string): string {
  if (message.startsWith("Maximum call stack size exceeded")) return "nests too deeply";
  return `is not YAML: ${message.replace(/\s+/g, " ")}`;
}
