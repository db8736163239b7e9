/** From anything to a policy that fits its schema: kind, keys, defaults, types, rules. */
import { POLICY_API, type PolicyKind, type PolicyRef } from "../../crds/names.ts";
import { child, type Problems } from "../problems.ts";
import { didYouMean, quote } from "../suggest.ts";
import type { Policy } from "../types.ts";
import { applyDefaults } from "./defaults.ts";
import { textInstead } from "./invented.ts";
import { POLICY_SCHEMAS } from "./json-schema.ts";
import { type KeyMatching, normaliseKeys } from "./keys.ts";
import { checkRules } from "./rules.ts";
import { checkSchema } from "./schema.ts";

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** The policy with defaults applied; undefined when an error was reported. */
export function checkPolicy(object: unknown, matching: KeyMatching, problems: Problems): Policy | undefined {
  if (typeof object !== "object" || object === null || Array.isArray(object)) {
    problems.error("", `is not a policy: expected an object with apiVersion, kind, metadata and spec`);
    return undefined;
  }
  const kind = kindOf(object, matching, problems);
  if (kind === undefined) return undefined;
  const before = problems.errors.length;
  const policy = withDefaults(object, kind, matching, problems);
  checkSchema(policy, kind, problems);
  checkMetadata(policy, problems);
  if (problems.errors.length > before) return undefined;
  checkRules(policy as Policy, kind, problems);
  return problems.errors.length > before ? undefined : (policy as Policy);
}

/** Name, namespace and kind of a checked policy. */
export function refOf(policy: Policy): PolicyRef {
  const { name, namespace } = policy.metadata as { name: string; namespace?: string };
  const kind = policy.kind as PolicyKind;
  return kind === "TracingPolicy" ? { kind, name } : { kind, namespace: namespace ?? "default", name };
}

function withDefaults(object: object, kind: PolicyKind, matching: KeyMatching, problems: Problems): unknown {
  const schema = POLICY_SCHEMAS[kind];
  const { status: _, ...intent } = object as Record<string, unknown>; // the operator's words, not the user's to get right
  return applyDefaults(normaliseKeys(intent, schema, matching, problems), schema);
}

function kindOf(object: object, matching: KeyMatching, problems: Problems): PolicyKind | undefined {
  const kind = member(object, "kind", matching);
  const apiVersion = member(object, "apiVersion", matching);
  const kinds = Object.keys(POLICY_SCHEMAS);
  if (typeof kind !== "string" || !kinds.includes(kind)) {
    const found = kind === undefined ? `"kind" is missing` : `kind ${quote(kind)} is not a policy`;
    const hint = typeof kind === "string" ? didYouMean(kind, kinds) : "";
    problems.error("kind", `${found}${hint || `: must be ${kinds.join(" or ")}`}`);
    return undefined;
  }
  return checkVersion(apiVersion, POLICY_API.apiVersion, problems) ? (kind as PolicyKind) : undefined;
}

/** Whether an object's apiVersion is the right one; reports an error if not. */
export function checkVersion(apiVersion: unknown, right: string, problems: Problems): boolean {
  if (apiVersion === right) return true;
  const found = apiVersion === undefined ? `"apiVersion" is missing` : `${quote(apiVersion)} is not known`;
  problems.error("apiVersion", `${found}: must be ${right}`);
  return false;
}

/** A member of an object, whose key may be written in another case. */
export function member(object: object, name: string, matching: KeyMatching): unknown {
  if (Object.hasOwn(object, name) || matching === "exact") return (object as Record<string, unknown>)[name];
  const wanted = name.toLowerCase();
  return Object.entries(object).find(([key]) => key.toLowerCase() === wanted)?.[1];
}

function checkMetadata(policy: unknown, problems: Problems): void {
  const metadata = (policy as { metadata?: unknown }).metadata;
  if (typeof metadata !== "object" || metadata === null) return; // the schema has said so
  const { name, namespace } = metadata as { name?: unknown; namespace?: unknown };
  if (name === undefined) problems.error("metadata.name", `"name" is missing: every policy has one`);
  else checkName(name, "metadata.name", problems);
  if (namespace !== undefined) checkName(namespace, "metadata.namespace", problems);
  for (const dictionary of ["labels", "annotations"]) checkTexts(metadata, dictionary, problems);
}

/** The API server decodes nothing else. */
function checkTexts(metadata: object, name: string, problems: Problems): void {
  const path = child("metadata", name);
  const texts = (metadata as Record<string, unknown>)[name] ?? {};
  if (typeof texts !== "object" || Array.isArray(texts)) {
    problems.error(path, `must be an object: write KEY: "VALUE" below it`);
    return;
  }
  for (const [key, value] of Object.entries(texts)) {
    if (typeof value === "string" || value === null) continue;
    const isPlain = typeof value === "number" || typeof value === "boolean";
    const found = isPlain ? `${value}: ${textInstead(value)}` : quote(value);
    problems.error(child(path, key), `must be a text, is ${found}`);
  }
}

function checkName(name: unknown, path: string, problems: Problems): void {
  if (typeof name === "string" && name.length <= 253 && NAME.test(name)) return;
  if (typeof name === "number" || typeof name === "boolean") {
    problems.error(path, `must be a text, is ${name}: write the name in quotes`);
    return;
  }
  problems.error(path, `${quote(name)} is not a name: lower-case letters, digits, "-" and ".", at most 253`);
}
