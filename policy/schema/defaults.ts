/** Defaults of the schema, as the API server applies them. */
import type { Structural } from "../../crds/schema/structural.ts";

/** A copy with every absent field that has a default filled in. */
export function applyDefaults(value: unknown, schema: Structural): unknown {
  if (Array.isArray(value)) {
    const items = schema.items;
    return items ? value.map((item) => applyDefaults(item, items)) : value;
  }
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([key, member]): [string, unknown] => {
    const known = schema.additionalProperties ?? ownProperty(schema, key);
    return [key, known ? applyDefaults(member, known) : member];
  });
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    if (property.default !== undefined && !Object.hasOwn(value, key)) members.push([key, property.default]);
  }
  return Object.fromEntries(members);
}

function ownProperty(schema: Structural, key: string): Structural | undefined {
  return schema.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
}
