/** The CEL rules of the definitions, so that a file is refused for what the API server would refuse, in the same words. */
import { type CelInput, plan } from "@bufbuild/cel";
import type { PolicyKind } from "../../crds/names.ts";
import type { CelRule, Structural } from "../../crds/schema/structural.ts";
import { child, type Problems } from "../problems.ts";
import { environment } from "./environment.ts";
import { POLICY_SCHEMAS } from "./json-schema.ts";
import { treeOf } from "./rule-trees.ts";

/** Reports everything that the API server's rules would refuse. */
export function checkRules(policy: object, kind: PolicyKind, problems: Problems): void {
  checkValue(policy, POLICY_SCHEMAS[kind], "", problems);
}

function checkValue(value: unknown, schema: Structural, path: string, problems: Problems): void {
  if (typeof value !== "object" || value === null || !hasRules(schema)) return;
  for (const rule of schema["x-kubernetes-validations"] ?? []) checkRule(value, rule, path, problems);
  for (const [key, member] of Array.isArray(value) ? value.entries() : Object.entries(value)) {
    const part = partOf(schema, key);
    if (part) checkValue(member, part, child(path, key), problems);
  }
}

function partOf({ items, properties, additionalProperties }: Structural, key: number | string) {
  if (typeof key === "number") return items;
  return properties && Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
}

function checkRule(value: object, rule: CelRule, path: string, problems: Problems): void {
  if (isTrue(rule.rule, value)) return;
  const field = rule.fieldPath?.slice(1).split(".") ?? [];
  problems.error(field.reduce<string>(child, path), rule.message);
}

const programs = new Map<string, ReturnType<typeof plan>>();

function isTrue(rule: string, self: object): boolean {
  return programOf(rule)({ self: self as CelInput }) === true;
}

function programOf(rule: string): ReturnType<typeof plan> {
  let program = programs.get(rule);
  if (!program) {
    program = plan(environment, treeOf(rule));
    programs.set(rule, program);
  }
  return program;
}

/** Makes every rule ready, one for each value that it yields. What is not ready becomes so when it is first needed. */
export function* prepareRules(): Generator<string, void, undefined> {
  for (const schema of Object.values(POLICY_SCHEMAS)) {
    for (const { rule } of rulesOf(schema)) {
      programOf(rule);
      yield rule;
    }
  }
}

function rulesOf(schema: Structural): CelRule[] {
  return [...(schema["x-kubernetes-validations"] ?? []), ...partsOf(schema).flatMap(rulesOf)];
}

function partsOf({ items, properties = {}, additionalProperties }: Structural): Structural[] {
  return [...Object.values(properties), items, additionalProperties].filter((part) => part !== undefined);
}

const ruled = new WeakMap<Structural, boolean>();

/** Whether a part of the schema has rules. Most have none, and their values need no look. */
function hasRules(schema: Structural): boolean {
  let known = ruled.get(schema);
  if (known === undefined) {
    known = schema["x-kubernetes-validations"] !== undefined || partsOf(schema).some(hasRules);
    ruled.set(schema, known);
  }
  return known;
}
