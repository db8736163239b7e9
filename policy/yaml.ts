/** YAML text to plain values that remember where they stood. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type ScalarTag,
  type Tags,
} from "yaml";
import { child, type PolicyError, parent } from "./problems.ts";

/** A place in a text, both from 1. */
export interface Position {
  line: number;
  column: number;
}

/** One document of a file. */
export interface YamlDocument {
  value: unknown;
  /** Syntax errors; the value is undefined then. */
  errors: PolicyError[];
  /** Where a field stands; for one that is absent, where its owner stands. */
  locate(path: string): Position;
}

/** Values that a document may unfold to; aliases make small texts large. */
const MAX_NODES = 100_000;

/** A broken text breaks again and again: the first errors are those that help. */
const MAX_SYNTAX_ERRORS = 5;

/** kubectl reads YAML 1.1, where these words are booleans too. */
const YAML_1_1_BOOLEAN: ScalarTag = {
  tag: "tag:yaml.org,2002:bool",
  default: true,
  test: /^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/,
  resolve: (word) => /^(?:y|on)/i.test(word),
};

/** Every document of a text; comments and empty documents between others are left out. */
export function readYaml(text: string): YamlDocument[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false, // found below, with a path
    customTags: (tags: Tags) => [YAML_1_1_BOOLEAN, ...tags],
  });
  if (!Array.isArray(documents)) return [];
  return documents
    .map((document) => readDocument(document, lines))
    .filter((d) => d.value !== null || d.errors.length > 0);
}

function readDocument(document: Document.Parsed, lines: LineCounter): YamlDocument {
  const positions = new Map<string, Position>();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const start = at(document.contents?.range?.[0] ?? document.range[0]);
  const locate = (path: string): Position => find(positions, path) ?? start;
  const syntax = document.errors.slice(0, MAX_SYNTAX_ERRORS).map((error) => ({
    path: "",
    message: syntaxMessage(error.message),
    ...at(error.pos[0]),
  }));
  if (syntax.length > 0) return { value: undefined, errors: syntax, locate };
  const reader = new Reader(document, positions, at);
  const value = document.contents === null ? null : reader.read(document.contents, "");
  return { value: reader.errors.length > 0 ? undefined : value, errors: reader.errors, locate };
}

/** Keys match whatever their case, and so do positions. */
function find(positions: Map<string, Position>, path: string): Position | undefined {
  for (let at: string | undefined = path; at !== undefined; at = parent(at)) {
    const position = positions.get(at.toLowerCase());
    if (position) return position;
  }
  return undefined;
}

function syntaxMessage(message: string): string {
  return `is not YAML: ${message.replace(/\s+/g, " ")}`;
}

/** Turns nodes into values; mistakes that YAML allows but nobody means are errors. */
class Reader {
  readonly errors: PolicyError[] = [];
  private nodes = 0;
  private readonly open = new Set<Node>();
  private readonly document: Document.Parsed;
  private readonly positions: Map<string, Position>;
  private readonly at: (offset: number) => Position;

  constructor(document: Document.Parsed, positions: Map<string, Position>, at: (offset: number) => Position) {
    this.document = document;
    this.positions = positions;
    this.at = at;
  }

  read(node: unknown, path: string): unknown {
    if (++this.nodes > MAX_NODES) {
      if (this.nodes === MAX_NODES + 1) this.fail(path, `has more than ${MAX_NODES} values`);
      return null;
    }
    if (isAlias(node)) return this.readAlias(node.resolve(this.document), node.source, path);
    if (isMap(node)) return this.readMap(node.items, path);
    if (isSeq(node)) return node.items.map((item, index) => this.readMember(item, child(path, index)));
    return isScalar(node) ? node.value : null;
  }

  private readAlias(target: Node | undefined, source: string, path: string): unknown {
    if (!target || this.open.has(target)) {
      this.fail(path, target ? `*${source} contains itself` : `*${source} has no &${source} before it`);
      return null;
    }
    this.open.add(target);
    const value = this.read(target, path);
    this.open.delete(target);
    return value;
  }

  private readMap(pairs: { key: unknown; value: unknown }[], path: string): unknown {
    const members = new Map<string, unknown>();
    for (const pair of pairs) {
      const key = isScalar(pair.key) ? (pair.key.source ?? String(pair.key.value)) : undefined;
      if (key === undefined) {
        this.fail(path, "has a key that is not a text");
        continue;
      }
      const memberPath = child(path, key);
      if (members.has(key))
        this.fail(memberPath, `${JSON.stringify(key)} stands here a second time`, pair.key);
      else this.place(memberPath, pair.key);
      members.set(key, this.readMember(pair.value, memberPath));
    }
    return Object.fromEntries(members);
  }

  private readMember(node: unknown, path: string): unknown {
    if (!this.positions.has(path.toLowerCase())) this.place(path, node);
    return this.read(node, path);
  }

  private place(path: string, node: unknown): void {
    const offset = (node as Node | null)?.range?.[0];
    if (offset !== undefined) this.positions.set(path.toLowerCase(), this.at(offset));
  }

  private fail(path: string, message: string, node?: unknown): void {
    const offset = (node as Node | undefined)?.range?.[0];
    const position = offset === undefined ? find(this.positions, path) : this.at(offset);
    this.errors.push({ path, message, ...(position ?? { line: 1, column: 1 }) });
  }
}
