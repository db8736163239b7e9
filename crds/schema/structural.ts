/** Structural schemas of custom resources: the part of OpenAPI v3 that the API server takes, and short ways to write it. */

/** One node of a structural schema. */
export interface Structural {
  description?: string;
  type?: "object" | "array" | "string" | "integer" | "boolean";
  format?: "int32" | "int64" | "date-time";
  default?: unknown;
  enum?: readonly string[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
  pattern?: string;
  properties?: Record<string, Structural>;
  required?: readonly string[];
  items?: Structural;
  additionalProperties?: Structural;
  "x-kubernetes-validations"?: readonly CelRule[];
  "x-kubernetes-map-type"?: "atomic";
  "x-kubernetes-list-type"?: "atomic" | "map";
  "x-kubernetes-list-map-keys"?: readonly string[];
}

/** A rule in the Common Expression Language that the API server checks. */
export interface CelRule {
  rule: string;
  message: string;
  /** The field that the message is about, from the rule's own object: `.spec.hostSelector`. */
  fieldPath?: string;
}

/** A text. */
export function text(description: string, more: Structural = {}): Structural {
  return { description, type: "string", ...more };
}

/** One of the listed words. */
export function word(description: string, values: readonly string[], more: Structural = {}): Structural {
  return { description, enum: values, type: "string", ...more };
}

/** True or false; without a default the field stays absent. */
export function flag(description: string, byDefault?: boolean): Structural {
  return { description, type: "boolean", ...(byDefault === undefined ? {} : { default: byDefault }) };
}

/** A 32-bit integer. */
export function int32(description: string, more: Structural = {}): Structural {
  return { description, format: "int32", type: "integer", ...more };
}

/** A 32-bit integer that is not negative. */
export function count(description: string): Structural {
  return int32(description, { minimum: 0 });
}

/** A 64-bit integer. */
export function int64(description: string): Structural {
  return { description, format: "int64", type: "integer" };
}

/** A list. */
export function list(description: string, items: Structural, more: Structural = {}): Structural {
  return { description, items, type: "array", ...more };
}

/** A list of texts. */
export function texts(description: string, more: Structural = {}): Structural {
  return list(description, { type: "string" }, more);
}

/** An object with the given fields; `required` names those that must be there. */
export function object(
  description: string,
  properties: Record<string, Structural>,
  required: readonly string[] = [],
  more: Structural = {},
): Structural {
  return { description, properties, type: "object", ...(required.length > 0 ? { required } : {}), ...more };
}

/** An object with free keys. */
export function dictionary(description: string, values: Structural, more: Structural = {}): Structural {
  return { additionalProperties: values, description, type: "object", ...more };
}
