/** Field filters on JSON: events without some of their fields. */
import { EVENT_TYPES, eventFieldOf } from "./event-types.ts";
import type { FieldFilter } from "./fields.ts";

/** Makes another event of one, as JSON.parse() gives it; may change and keep parts of it. */
export type JsonRewriter = (event: JsonObject) => JsonObject;

type JsonObject = Record<string, unknown>;

/** The fields that paths name; a field without a node below it is meant as a whole. */
interface Tree {
  [name: string]: Tree | undefined;
}

interface Rule {
  isInclude: boolean;
  /** Fields of GetEventsResponse; other events are left as they are. */
  events: ReadonlySet<string>;
  tree: Tree;
}

/** The filters are applied one after the other; compileFieldFilters() has accepted them. Undefined: there are none. */
export function compileJsonFieldFilters(filters: readonly FieldFilter[]): JsonRewriter | undefined {
  if (filters.length === 0) return undefined;
  const rules = filters.map(makeRule);
  return (event) => rules.reduce(applyRule, event);
}

function makeRule({ event_set = [], fields = "", action, invert_event_set = false }: FieldFilter): Rule {
  const listed = new Set(event_set.map((type) => (typeof type === "number" ? EVENT_TYPES.get(type) : type)));
  const isMeant = (type: string) => listed.size === 0 || listed.has(type) !== invert_event_set;
  const tree: Tree = Object.create(null);
  for (const path of fields.split(",")) if (path !== "") addPath(tree, path.split("."));
  const events = new Set([...EVENT_TYPES.values()].filter(isMeant).map(eventFieldOf));
  return { isInclude: action !== "EXCLUDE", events, tree };
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

/** Only the event itself is cut; node and time stay. */
function applyRule(event: JsonObject, { isInclude, events, tree }: Rule): JsonObject {
  for (const name of Object.keys(event))
    if (events.has(name)) event[name] = cut(event[name], tree, isInclude);
  return event;
}

function cut(value: unknown, tree: Tree, isInclude: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => cut(item, tree, isInclude));
  if (typeof value !== "object" || value === null) return value;
  const kept: JsonObject = {};
  for (const [name, content] of Object.entries(value)) {
    const below = tree[name];
    if (below !== undefined) kept[name] = cut(content, below, isInclude);
    else if (name in tree === isInclude) kept[name] = content;
  }
  return kept;
}
