/** The schemas of policies in the dialect of ajv. */
import type { PolicyKind } from "../../crds/names.ts";
import { TRACING_POLICY, TRACING_POLICY_NAMESPACED } from "../../crds/schema/policy.ts";
import type { Structural } from "../../crds/schema/structural.ts";

/** The schema of each kind, as its CustomResourceDefinition has it. */
export const POLICY_SCHEMAS: Record<PolicyKind, Structural> = {
  TracingPolicy: TRACING_POLICY,
  TracingPolicyNamespaced: TRACING_POLICY_NAMESPACED,
};

/**
 * One document with a definition for each kind of policy. A part that stands in several places is a definition of its
 * own: written out, the same selector would be compiled 21 times.
 */
export function policiesSchema(): { definitions: Record<string, JsonSchema> } {
  const definitions: Record<string, JsonSchema> = {};
  const names = new Map<Structural, string>();
  const convert = (schema: Structural): JsonSchema => {
    if (schema.type !== "object") return convertMembers(schema);
    let name = names.get(schema);
    if (name === undefined) {
      name = `part${names.size}`;
      names.set(schema, name);
      definitions[name] = convertMembers(schema);
    }
    const help = schema.description === undefined ? {} : { help: schema.description };
    return { $ref: `#/definitions/${name}`, ...help };
  };
  const convertMembers = (schema: Structural): JsonSchema => {
    const { description, properties, items, additionalProperties, default: _, ...rest } = schema;
    const result: JsonSchema = Object.fromEntries(
      Object.entries(rest).filter(([keyword]) => !keyword.startsWith("x-kubernetes-")),
    );
    if (description !== undefined) result.help = description;
    if (items) result.items = convert(items);
    if (additionalProperties) result.additionalProperties = convert(additionalProperties);
    if (properties) {
      result.properties = Object.fromEntries(Object.entries(properties).map(([k, p]) => [k, convert(p)]));
    }
    return result;
  };
  for (const [kind, schema] of Object.entries(POLICY_SCHEMAS)) definitions[kind] = convert(schema);
  return { definitions };
}

type JsonSchema = Record<string, unknown>;
