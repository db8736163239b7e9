/** The nodes of a YAML document become plain values; where each stood is kept. */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node } from "yaml";
import { child, type PolicyError, parent } from "../problems.ts";
import { quoteVisibly } from "../suggest.ts";

/** A place in a text, both from 1. */
export interface Position {
  line: number;
  column: number;
}

/** Values that a document may unfold to; aliases make small texts large. */
const MAX_NODES = 100_000;

/** Where a field stands, or the object around it; keys match whatever their case, and so do positions. */
export function findPosition(positions: Map<string, Position>, path: string): Position | undefined {
  for (let at: string | undefined = path; at !== undefined; at = parent(at)) {
    const position = positions.get(at.toLowerCase());
    if (position) return position;
  }
  return undefined;
}

/** A key and its value. */
interface Pair {
  key: unknown;
  value: unknown;
}

/** The key as written; undefined for a list or an object. */
function keyOf(node: unknown): string | undefined {
  return isScalar(node) ? (node.source ?? String(node.value)) : undefined;
}

function keysOf(pairs: Pair[]): Set<string> {
  return new Set(pairs.flatMap(({ key }) => keyOf(key) ?? []));
}

/** In quotes it is a key like any other. */
function isMergeKey(node: unknown): boolean {
  return isScalar(node) && node.type === "PLAIN" && node.source === "<<";
}

/** Turns nodes into values; reports mistakes that YAML allows as errors. */
export class YamlReader {
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
    if (this.isTooLarge(path)) return null;
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

  private isTooLarge(path: string): boolean {
    if (++this.nodes === MAX_NODES + 1) this.fail(path, `has more than ${MAX_NODES} values`);
    return this.nodes > MAX_NODES;
  }

  private readMap(pairs: Pair[], path: string): unknown {
    const members = new Map<string, unknown>();
    const own = keysOf(pairs);
    for (const { key: node, value } of pairs) {
      if (this.nodes > MAX_NODES) break;
      const key = keyOf(node);
      const memberPath = child(path, key ?? "");
      if (key === undefined) this.fail(path, "has a key that is not a text");
      else if (isMergeKey(node)) this.merge(value, path, members, own);
      else {
        if (members.has(key)) this.fail(memberPath, `${quoteVisibly(key)} stands here a second time`, node);
        else this.place(memberPath, node);
        members.set(key, this.readMember(value, memberPath));
      }
    }
    return Object.fromEntries(members);
  }

  /** `<<: *OTHER`: the members of other objects that this one does not have itself. */
  private merge(node: unknown, path: string, members: Map<string, unknown>, own: ReadonlySet<string>): void {
    for (const source of isSeq(node) ? node.items : [node]) {
      if (this.isTooLarge(path)) return;
      const other = isAlias(source) ? source.resolve(this.document) : source;
      const at = child(path, "<<");
      if (!isMap(other)) this.fail(at, "must be an object or a list of objects: write *NAME", node);
      else if (this.open.has(other)) this.fail(at, "contains itself", node);
      else {
        this.open.add(other);
        this.mergeMembers(other.items, path, members, own);
        this.open.delete(other);
      }
    }
  }

  private mergeMembers(
    pairs: Pair[],
    path: string,
    members: Map<string, unknown>,
    own: ReadonlySet<string>,
  ): void {
    const nearer = new Set([...own, ...keysOf(pairs)]);
    for (const { key: node, value } of pairs) {
      const key = keyOf(node);
      if (key === undefined) continue; // said where the object stands
      const memberPath = child(path, key);
      if (isMergeKey(node)) this.merge(value, path, members, nearer);
      else if (own.has(key)) {
        const message = `stands before "<<", which brings another ${quoteVisibly(key)}: write "<<" first`;
        if (members.has(key)) this.fail(memberPath, message); // kubectl would take the other one
      } else if (!members.has(key)) {
        this.place(memberPath, node);
        members.set(key, this.readMember(value, memberPath));
      }
    }
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
    const position = offset === undefined ? findPosition(this.positions, path) : this.at(offset);
    this.errors.push({ path, message, ...(position ?? { line: 1, column: 1 }) });
  }
}
