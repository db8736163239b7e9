/** Field filters: events without some of their fields, cut out of the encoded message. */
import type { DescMessage } from "@bufbuild/protobuf";
import { messageType } from "../../../proto/descriptors.ts";
import { bytesKey, ProtoWriter } from "../protobuf/writer.ts";
import { EVENT_TYPES, eventFieldOf } from "./event-types.ts";
import { FilterError } from "./filter.ts";

/** Upstream's FieldFilter in the JSON form of protobuf; the paths of `fields` are separated by commas. */
export interface FieldFilter {
  event_set?: (string | number)[];
  fields?: string;
  action?: string;
  invert_event_set?: boolean;
}

/** Makes another message of an encoded GetEventsResponse. */
export type EventRewriter = (message: Uint8Array) => Uint8Array;

/** The fields that paths name, by number; a field without a node below it is meant as a whole. */
type Tree = Map<number, Tree | undefined>;

interface Rule {
  isInclude: boolean;
  /** By the event's number in GetEventsResponse; other events are left as they are. */
  trees: Map<number, Tree>;
}

const EVENT = messageType("tetragon.GetEventsResponse");

/** Paths of a FieldMask are in lowerCamelCase in JSON. */
export function protoNames(filter: FieldFilter): FieldFilter {
  const fields = filter.fields?.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return fields === undefined ? filter : { ...filter, fields };
}

/** The filters are applied one after the other. Undefined: there are none. Throws FilterError. */
export function compileFieldFilters(filters: readonly FieldFilter[]): EventRewriter | undefined {
  const rules = filters.map((filter, index) => compileRule(filter, `field_filters[${index}]`));
  if (rules.length === 0) return undefined;
  const out = new ProtoWriter();
  return (message) => rules.reduce((bytes, rule) => rewrite(out, bytes, rule), message);
}

function compileRule(filter: FieldFilter, path: string): Rule {
  const { event_set = [], fields = "", action = "INCLUDE", invert_event_set = false } = filter;
  if (action !== "INCLUDE" && action !== "EXCLUDE") {
    throw new FilterError(`${path}.action`, `"${action}" is neither INCLUDE nor EXCLUDE`);
  }
  const listed = new Set(event_set.map((type) => (typeof type === "number" ? EVENT_TYPES.get(type) : type)));
  const isMeant = (type: string) => listed.size === 0 || listed.has(type) !== invert_event_set;
  const events = [...EVENT_TYPES].filter(([, type]) => isMeant(type));
  const paths = fields.split(",").filter((one) => one !== "");
  return { isInclude: action === "INCLUDE", trees: makeTrees(events, paths, `${path}.fields`) };
}

/** A path must lead to a field of one of the events at least. */
function makeTrees(events: [number, string][], paths: string[], at: string): Map<number, Tree> {
  const found = new Set<string>();
  const trees = new Map<number, Tree>();
  for (const [number, type] of events) {
    const message = EVENT.fields.find(({ name }) => name === eventFieldOf(type))?.message;
    const tree: Tree = new Map();
    for (const path of paths) if (message && addPath(tree, message, path.split("."))) found.add(path);
    trees.set(number, tree);
  }
  for (const path of paths) {
    if (!found.has(path)) throw new FilterError(at, `there is no field "${path}" in the events`);
  }
  return trees;
}

/** False: there is no such field. */
function addPath(tree: Tree, message: DescMessage, [name, ...rest]: string[]): boolean {
  const field = message.fields.find((one) => one.name === name);
  if (!field) return false;
  if (rest.length === 0) {
    tree.set(field.number, undefined);
    return true;
  }
  if (!field.message || field.fieldKind === "map") return false;
  const isWhole = tree.has(field.number) && tree.get(field.number) === undefined;
  const below = tree.get(field.number) ?? new Map();
  if (!addPath(below, field.message, rest)) return false;
  if (!isWhole) tree.set(field.number, below);
  return true;
}

/** Only the event itself is cut; node and time stay. */
function rewrite(out: ProtoWriter, message: Uint8Array, { isInclude, trees }: Rule): Uint8Array {
  forEachField(message, 0, message.length, (number, from, content, to) => {
    const tree = trees.get(number);
    if (tree === undefined) out.bytes(message.subarray(from, to));
    else cutMessage(out, message, number, content, to, tree, isInclude);
  });
  return out.take();
}

function cutMessage(
  out: ProtoWriter,
  message: Uint8Array,
  number: number,
  start: number,
  end: number,
  tree: Tree,
  isInclude: boolean,
): void {
  const mark = out.begin(bytesKey(number));
  forEachField(message, start, end, (field, from, content, to) => {
    const isNamed = tree.has(field);
    const below = tree.get(field);
    if (below !== undefined) cutMessage(out, message, field, content, to, below, isInclude);
    else if (isNamed === isInclude) out.bytes(message.subarray(from, to));
  });
  out.end(mark);
}

type Visit = (number: number, from: number, content: number, to: number) => void;

/** Fields of our own encoder: varints and what has its length before it. */
function forEachField(bytes: Uint8Array, start: number, end: number, visit: Visit): void {
  let at = start;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  while (at < end) {
    const from = at;
    const key = varint();
    const value = varint();
    const content = at;
    if ((key & 7) === 2) at += value;
    visit(Math.floor(key / 8), from, content, at);
  }
}
