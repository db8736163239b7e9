/** Makes test data: objects that together set every field of a schema, to every enum value that it allows. */
import type { Structural } from "../../crds/schema/structural.ts";

/** Members of which a rule allows only one; the numbered object sets the numbered one. */
const EXCLUSIVE = [
  ["argNewAddr", "argNewOffset", "argNewSymbol"],
  ["addrs", "offsets", "symbols"],
];

/** Paths of a schema that no object can set, because a rule requires them to be absent. */
const FORBIDDEN = /hostSelector\.match/;

/** The numbered object of a schema; `set` collects the path of every field that is set. */
export function makeMaximal(schema: Structural, number: number, set: Set<string>, path = ""): unknown {
  set.add(path || ".");
  if (schema.enum) {
    const word = schema.enum[number % schema.enum.length];
    set.add(`${path}=${word}`);
    return word;
  }
  switch (schema.type) {
    case "array":
      return [makeMaximal(schema.items ?? {}, number, set, `${path}[]`)];
    case "boolean":
      return !(schema.default ?? false);
    case "integer":
      return schema.format === "int64" ? 2 ** 40 + number : 2 ** 30 + number;
    case "string":
      return `text-${number}`;
    default:
      return makeObject(schema, number, set, path);
  }
}

function makeObject(schema: Structural, number: number, set: Set<string>, path: string): unknown {
  const values = schema.additionalProperties;
  if (values) return { [`Key.${number}/x`]: makeMaximal(values, number, set, `${path}.*`) };
  const names = Object.keys(schema.properties ?? {}).filter((name) => {
    const group = EXCLUSIVE.find((members) => members.includes(name));
    return !FORBIDDEN.test(`${path}.${name}`) && (!group || group[number % group.length] === name);
  });
  return Object.fromEntries(
    names.map((name) => [name, makeMaximal(schema.properties?.[name] ?? {}, number, set, `${path}.${name}`)]),
  );
}

/** Every path and enum value that makeMaximal can set. */
export function settablePaths(schema: Structural, path = ""): string[] {
  if (FORBIDDEN.test(path)) return [];
  const paths = [path || ".", ...(schema.enum ?? []).map((word) => `${path}=${word}`)];
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    paths.push(...settablePaths(property, `${path}.${name}`));
  }
  if (schema.items) paths.push(...settablePaths(schema.items, `${path}[]`));
  if (schema.additionalProperties) paths.push(...settablePaths(schema.additionalProperties, `${path}.*`));
  return paths;
}
