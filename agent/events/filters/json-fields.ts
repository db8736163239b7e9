/** Field filters on JSON: lines without some of their fields, cut out of the encoded line. */
import { type ByteWriter, utf8 } from "../byte-writer.ts";
import { EVENT_TYPES, eventFieldOf } from "./event-types.ts";
import type { FieldFilter } from "./fields.ts";

/** Writes an event, one line without its end, as it is after the filter. */
export type JsonCutter = (line: Uint8Array, out: ByteWriter) => void;

/** The fields that paths name; a field without a node below it is meant as a whole. */
interface Tree {
  [name: string]: Tree | undefined;
}

/** The fields of an object that are treated in a way of their own. */
interface Node {
  /** Whether the fields that are named as a whole are kept, or all others. */
  isInclude: boolean;
  fields: readonly Field[];
}

interface Field {
  name: Uint8Array;
  /** Absent: the field is meant as a whole. */
  below: Node | undefined;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** One cutter per filter, to be applied one after the other; compileFieldFilters() has accepted them. */
export function compileJsonFieldFilters(filters: readonly FieldFilter[]): JsonCutter[] {
  return filters.map((filter) => {
    const root = makeRoot(filter);
    return (line, out) => void cut(line, 0, out, root);
  });
}

/** Only the event itself is cut; node and time stay. */
function makeRoot({ event_set = [], fields = "", action, invert_event_set = false }: FieldFilter): Node {
  const listed = new Set(event_set.map((type) => (typeof type === "number" ? EVENT_TYPES.get(type) : type)));
  const isMeant = (type: string) => listed.size === 0 || listed.has(type) !== invert_event_set;
  const tree: Tree = Object.create(null);
  for (const path of fields.split(",")) if (path !== "") addPath(tree, path.split("."));
  const below = makeNode(tree, action !== "EXCLUDE");
  const events = [...EVENT_TYPES.values()].filter(isMeant);
  return { isInclude: false, fields: events.map((type) => ({ name: utf8(eventFieldOf(type)), below })) };
}

/** A field that is named as a whole stays whole. */
function addPath(tree: Tree, [name, ...rest]: string[]): void {
  if (name === undefined) return;
  if (rest.length === 0) tree[name] = undefined;
  else if (!(name in tree) || tree[name] !== undefined) {
    const below = tree[name] ?? Object.create(null);
    tree[name] = below;
    addPath(below, rest);
  }
}

function makeNode(tree: Tree, isInclude: boolean): Node {
  const fields = Object.entries(tree).map(([name, below]) => ({
    name: utf8(name),
    below: below && makeNode(below, isInclude),
  }));
  return { isInclude, fields };
}

/** Writes what is left of the value at an index. Returns the index after the value. Lines of our own encoder have no blanks. */
function cut(line: Uint8Array, at: number, out: ByteWriter, node: Node): number {
  if (line[at] === OPEN) return cutObject(line, at, out, node);
  if (line[at] === OPEN_LIST) return cutList(line, at, out, node);
  const end = endOfValue(line, at);
  out.bytes(line.subarray(at, end));
  return end;
}

function cutList(line: Uint8Array, start: number, out: ByteWriter, node: Node): number {
  out.byte(OPEN_LIST);
  let at = start + 1;
  while (line[at] !== CLOSE_LIST) {
    if (line[at] === COMMA) out.byte(line[at++] as number);
    at = cut(line, at, out, node);
  }
  out.byte(CLOSE_LIST);
  return at + 1;
}

function cutObject(line: Uint8Array, start: number, out: ByteWriter, node: Node): number {
  out.byte(OPEN);
  let isFirst = true;
  let at = start + 1;
  while (line[at] !== CLOSE) {
    if (line[at] === COMMA) at++;
    const name = at;
    const content = endOfString(line, at) + 1;
    const field = findField(node, line, name + 1, content - 2);
    const below = field?.below;
    at = below ? content : endOfValue(line, content);
    if (!below && (field !== undefined) !== node.isInclude) continue;
    if (!isFirst) out.byte(COMMA);
    isFirst = false;
    out.bytes(line.subarray(name, at));
    if (below) at = cut(line, at, out, below);
  }
  out.byte(CLOSE);
  return at + 1;
}

function findField({ fields }: Node, line: Uint8Array, start: number, end: number): Field | undefined {
  for (const field of fields) if (isName(field.name, line, start, end)) return field;
  return undefined;
}

function isName(name: Uint8Array, line: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== line[start + i]) return false;
  return true;
}

function endOfValue(line: Uint8Array, start: number): number {
  let depth = 0;
  let at = start;
  while (at < line.length) {
    const byte = line[at] as number;
    if (byte === QUOTE) at = endOfString(line, at) - 1;
    else if (byte === OPEN || byte === OPEN_LIST) depth++;
    else if (depth === 0 && (byte === COMMA || byte === CLOSE || byte === CLOSE_LIST)) return at;
    else if (byte === CLOSE || byte === CLOSE_LIST) depth--;
    at++;
  }
  return at;
}

/** The index after the closing quote. */
function endOfString(line: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < line.length && line[at] !== QUOTE) at += line[at] === BACKSLASH ? 2 : 1;
  return at + 1;
}
