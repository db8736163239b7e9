/** Checks a policy against the schema of its definition and reports mistakes in terms of the policy's fields. */
import type { ErrorObject } from "ajv";
import type { PolicyKind } from "../../crds/names.ts";
import { child, type Problems } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import { entryInstead, listExample, numberInstead, textInstead, wordInstead } from "./invented.ts";
import { validatorOf } from "./validators.ts";

/** Reports everything that the API server's schema check would refuse. */
export function checkSchema(policy: unknown, kind: PolicyKind, problems: Problems): void {
  const validate = validatorOf(kind);
  if (validate(policy)) return;
  for (const error of validate.errors ?? []) {
    if (error.keyword === "enum" && typeof error.data !== "string") continue; // its type is the error
    const { path, name, parent } = locate(policy, error);
    problems.error(path, describe(error, name, parent));
  }
}

/** The field that an ajv error is about, and its last keys. */
function locate(policy: unknown, error: ErrorObject): { path: string; name: string; parent: string } {
  const keys = error.instancePath.split("/").slice(1);
  const pointers = keys.map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  if (error.keyword === "required") pointers.push(String(error.params.missingProperty));
  let at: unknown = policy;
  let path = "";
  for (const key of pointers) {
    path = child(path, Array.isArray(at) ? Number(key) : key);
    at = (at as Record<string, unknown>)[key];
  }
  return { path, name: pointers.at(-1) ?? "", parent: pointers.at(-2) ?? "" };
}

/** What is wrong and what would be right. */
function describe(error: ErrorObject, name: string, parent: string): string {
  const { params, data } = error;
  switch (error.keyword) {
    case "type":
      return describeType(String(params.type), data, name, parent);
    case "enum": {
      const words = params.allowedValues as string[];
      const hint = typeof data === "string" ? wordInstead(data, words) || didYouMean(data, words) : "";
      return `${quote(data)} is not allowed${hint} (allowed: ${words.join(", ")})`;
    }
    case "required":
      return `${quote(name)} is missing${helpOf(error, name)}`;
    case "minimum":
      return `must be ${params.limit} or more, is ${quote(data)}`;
    case "maxItems":
      return `has ${(data as unknown[]).length} entries, ${describeMaxItems(Number(params.limit), name)}`;
    case "format":
      return `${quote(data)} does not fit a ${params.format === "int32" ? 32 : 64}-bit integer`;
    case "maxLength":
      return `is longer than ${params.limit} characters`;
    case "pattern":
      return `${quote(data)} is not a label value: letters, digits, "-", "_" and ".", a letter or digit at both ends`;
    default:
      return error.message ?? "is invalid";
  }
}

function describeMaxItems(limit: number, name: string): string {
  if (name.startsWith("match")) return `only ${limit} is allowed: put all values into one entry`;
  return `at most ${limit} are allowed`;
}

const TYPE_NAMES: Record<string, string> = {
  array: "a list",
  object: "an object",
  string: "a text",
  integer: "an integer",
  boolean: "true or false",
};

function describeType(wanted: string, data: unknown, name: string, parent: string): string {
  const found = Array.isArray(data)
    ? "a list"
    : data === null
      ? "null"
      : (TYPE_NAMES[typeof data] ?? "a number");
  const base = `must be ${TYPE_NAMES[wanted] ?? wanted}, is ${typeof data === "boolean" ? data : found}`;
  if (wanted === "string" && (typeof data === "number" || typeof data === "boolean")) {
    return `${base}: ${textInstead(data)}`;
  }
  if (wanted === "array" && data !== null) {
    const example = listExample(name);
    return `${base}: start each entry with "- "${example ? `, or write ${example}` : ""}`;
  }
  if (wanted === "object" && typeof data === "string") return `${base}${entryInstead(parent)}`;
  return wanted === "integer" && typeof data === "string" ? `${base}${numberInstead(data)}` : base;
}

/** The description of a missing field, from the schema of the object that lacks it. */
function helpOf(error: ErrorObject, name: string): string {
  const properties = (error.parentSchema as { properties?: Record<string, { help?: string }> } | undefined)
    ?.properties;
  const help = properties?.[name]?.help;
  return help === undefined ? "" : `: ${help}`;
}
