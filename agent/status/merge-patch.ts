/** JSON merge patches (RFC 7386). Pure. */
import { isDeepStrictEqual } from "node:util";

/** A JSON object. */
export type Json = { readonly [name: string]: unknown };

/** What makes `after` of `before`; undefined if they are equal. Lists are replaced as a whole. */
export function mergePatchOf(before: Json, after: Json): Json | undefined {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const changes = [...names].flatMap((name) => changeOf(name, before[name], after[name]));
  return changes.length === 0 ? undefined : Object.fromEntries(changes);
}

function changeOf(name: string, before: unknown, after: unknown): [string, unknown][] {
  if (isDeepStrictEqual(before, after)) return [];
  if (after === undefined) return [[name, null]];
  if (isObject(before) && isObject(after)) return [[name, mergePatchOf(before, after)]];
  return [[name, after]];
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
