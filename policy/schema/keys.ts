/** Brings the keys of an object into the schema's spelling; nothing that the schema does not know passes silently. */
import type { Structural } from "../../crds/schema/structural.ts";
import { child, type Problems } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import { labelInstead, partInstead, selectorInstead } from "./invented.ts";

/** How keys are compared: files match as Go's JSON does, objects from the API server exactly. */
export type KeyMatching = "exact" | "ignoreCase";

/** A copy with known keys only; unknown and doubled ones are errors, null counts as absent. */
export function normaliseKeys(
  value: unknown,
  schema: Structural,
  matching: KeyMatching,
  problems: Problems,
  path = "",
): unknown {
  if (Array.isArray(value)) {
    const items = schema.items;
    if (!items) return value;
    return value.map((item, index) => normaliseKeys(item, items, matching, problems, child(path, index)));
  }
  if (typeof value !== "object" || value === null) return value;
  const values = schema.additionalProperties;
  if (values) return dictionary(value, (v, p) => normaliseKeys(v, values, matching, problems, p), path);
  if (!schema.properties) return value;
  return knownMembers(value, schema.properties, matching, problems, path);
}

function dictionary(value: object, member: (value: unknown, path: string) => unknown, path: string): unknown {
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, member(v, child(path, key))]));
}

function knownMembers(
  value: object,
  properties: Record<string, Structural>,
  matching: KeyMatching,
  problems: Problems,
  path: string,
): unknown {
  const members = new Map<string, unknown>();
  for (const [key, member] of Object.entries(value)) {
    const known = knownKey(key, properties, matching);
    const schema = known === undefined ? undefined : properties[known];
    if (known === undefined || schema === undefined) {
      const names = Object.keys(properties);
      const selector = Object.keys(properties.selectors?.items?.properties ?? {});
      const hint =
        partInstead(key, names, selector) ||
        selectorInstead(key, names) ||
        didYouMean(key, names) ||
        labelInstead(key, names) ||
        `: allowed here are ${names.join(", ")}`;
      problems.error(child(path, key), `unknown field ${quote(key)}${hint}`);
    } else if (members.has(known)) {
      problems.error(child(path, key), `${quote(key)} sets ${quote(known)} a second time`);
    } else if (member !== null && member !== undefined) {
      members.set(known, normaliseKeys(member, schema, matching, problems, child(path, known)));
    }
  }
  return Object.fromEntries(members);
}

function knownKey(
  key: string,
  properties: Record<string, Structural>,
  matching: KeyMatching,
): string | undefined {
  if (Object.hasOwn(properties, key)) return key;
  if (matching === "exact") return undefined;
  const wanted = key.toLowerCase();
  return Object.keys(properties).find((name) => name.toLowerCase() === wanted);
}
