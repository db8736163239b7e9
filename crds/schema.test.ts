import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { type DefinitionName, installedDefinition } from "./schema/definitions.ts";
import { TRACING_POLICY, TRACING_POLICY_NAMESPACED } from "./schema/policy.ts";
import type { Structural } from "./schema/structural.ts";

const DEFINITION_NAMES: DefinitionName[] = ["tracingpolicies", "tracingpoliciesnamespaced", "tracingnodes"];

interface Crd {
  spec: {
    names: Record<string, unknown>;
    scope: string;
    versions: {
      name: string;
      schema: { openAPIV3Schema: Structural };
      subresources: unknown;
      additionalPrinterColumns: { name: string; priority?: number }[];
    }[];
  };
}

function readCrd(name: string): Crd {
  return parse(readFileSync(join(import.meta.dirname, `${name}.yaml`), "utf8")) as Crd;
}

function rootSchema(name: string): Structural {
  const schema = readCrd(name).spec.versions[0]?.schema.openAPIV3Schema;
  if (!schema) throw new Error(`${name} has no schema`);
  return schema;
}

/** `PATH<TAB>TYPE<TAB>CONSTRAINTS`, the constraints sorted. */
function row(path: string, type: string, constraints: string[]): string {
  return [path, type, constraints.toSorted().join("; ")].join("\t");
}

/** What upstream does not have. */
const OURS = ["status", "matchCredChanges", "matchCurrentCred"];

/** One row per field of a schema, without what is ours. */
function rowsOf(schema: Structural, path = ""): string[] {
  const rows = [row(path || ".", schema.type ?? "", constraintsOf(schema))];
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (!OURS.includes(name)) rows.push(...rowsOf(property, `${path}.${name}`));
  }
  if (schema.items) rows.push(...rowsOf(schema.items, `${path}[]`));
  if (schema.additionalProperties) rows.push(...rowsOf(schema.additionalProperties, `${path}.*`));
  return rows;
}

function constraintsOf(schema: Structural): string[] {
  const constraints: string[] = [];
  for (const [keyword, value] of Object.entries(schema)) {
    if (["type", "description", "properties", "items", "additionalProperties"].includes(keyword)) continue;
    if (keyword === "x-kubernetes-validations") {
      for (const { rule } of value as { rule: string }[]) constraints.push(`cel=${rule}`);
    } else if (keyword === "enum") constraints.push(`enum=${(value as string[]).join("|")}`);
    else if (keyword === "required") constraints.push(`required=${(value as string[]).join(",")}`);
    else if (keyword === "default") constraints.push(`default=${printDefault(value)}`);
    else constraints.push(`${keyword}=${String(value)}`);
  }
  return constraints;
}

function printDefault(value: unknown): string {
  return value === true ? "True" : value === false ? "False" : String(value);
}

type Row = [path: string, type: string, constraints: string];

function readRows(lines: string[]): Row[] {
  return lines
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line): Row => {
      const [path = "", type = "", constraints = ""] = line.split("\t");
      return [path, type, constraints];
    });
}

function normalise([path, type, constraints]: Row): string {
  return row(path, type, constraints.split("; ").filter(Boolean));
}

/** The rows of upstream-schema.tsv with every part put in its place. */
function upstreamRows(): string[] {
  const words = new Map<string, string>();
  const parts = new Map<string, Row[]>();
  let part: Row[] = [];
  const text = readFileSync(join(import.meta.dirname, "upstream-schema.tsv"), "utf8");
  for (const found of readRows(text.split("\n"))) {
    const [first, second] = found;
    if (first.startsWith("$")) words.set(first, second);
    else if (first.startsWith("== ")) {
      part = [];
      parts.set(first.slice(3), part);
    } else part.push(found);
  }
  const expand = (name: string, at: string): string[] =>
    (parts.get(name) ?? []).flatMap(([path, type, constraints]) => {
      const full = path === "@" ? at : `${at}${path}`;
      const reference = /^<(.*)>$/.exec(type)?.[1];
      if (reference !== undefined) return expand(reference, full);
      const enumeration = constraints.replace(/\$\w+/, (word) => words.get(word) ?? word);
      return [normalise([full, type, enumeration])];
    });
  return expand("root", "");
}

const NAMESPACED_RULE = "cel=!has(self.spec.hostSelector)";

/** The same rows for the namespaced kind. */
function namespaced(rows: string[]): string[] {
  return rows.map((text) => {
    if (!text.startsWith(".\t")) return text;
    const [path = "", type = "", constraints = ""] = text.split("\t");
    return row(path, type, [...constraints.split("; "), NAMESPACED_RULE]);
  });
}

test("TracingPolicy has every field, default and rule of upstream's, and nothing else but what is ours", () => {
  const upstream = upstreamRows();
  expect(upstream.length).toBeGreaterThan(1200);
  expect(rowsOf(TRACING_POLICY).sort()).toEqual(upstream.sort());
});

/** The row of a schema that has no defaults, where no field can be required that has one in the other. */
function withoutDefaults(text: string, withDefault: ReadonlySet<string>): string {
  const [path = "", type = "", constraints = ""] = text.split("\t");
  const kept = constraints.split("; ").flatMap((constraint) => {
    const [keyword, value = ""] = constraint.split("=");
    if (keyword === "default") return [];
    if (keyword !== "required") return [constraint];
    const names = value.split(",").filter((name) => !withDefault.has(`${path === "." ? "" : path}.${name}`));
    return names.length > 0 ? [`required=${names.join(",")}`] : [];
  });
  return row(path, type, kept);
}

test("the API server applies no default, so that what it stores is what was applied", () => {
  const rows = rowsOf(TRACING_POLICY);
  const withDefault = new Set(
    rows.filter((text) => text.includes("default=")).map((text) => text.split("\t")[0] ?? ""),
  );
  const expected = rows.map((text) => withoutDefaults(text, withDefault));
  expect(rowsOf(rootSchema("tracingpolicies")).sort()).toEqual(expected.sort());
  expect(withDefault.size).toBeGreaterThan(10);
});

test("TracingPolicyNamespaced is the same with one more rule", () => {
  expect(rowsOf(TRACING_POLICY_NAMESPACED).sort()).toEqual(namespaced(upstreamRows()).sort());
});

const UPSTREAM = process.env.TRIGON_UPSTREAM_SCHEMA;

test.skipIf(UPSTREAM === undefined)(
  `equals upstream's own list of fields${UPSTREAM === undefined ? " (TRIGON_UPSTREAM_SCHEMA is not set)" : ""}`,
  () => {
    const rows = readRows(readFileSync(UPSTREAM ?? "", "utf8").split("\n")).map(normalise);
    expect(rows.length).toBeGreaterThan(0);
    expect(rowsOf(TRACING_POLICY).sort()).toEqual(rows.sort());
  },
);

test.each(DEFINITION_NAMES)("%s.yaml says what crds/schema says", (name) => {
  expect(readCrd(name)).toEqual(JSON.parse(JSON.stringify(installedDefinition(name))));
});

test.each([
  ["tracingpolicies", "Cluster", "TracingPolicy", "tracingpolicy", "tgtp"],
  ["tracingpoliciesnamespaced", "Namespaced", "TracingPolicyNamespaced", "tracingpolicynamespaced", "tgtpn"],
])(
  "%s has upstream's names, the status subresource and the columns",
  (plural, scope, kind, singular, short) => {
    const { spec } = readCrd(plural);
    expect(spec.scope).toBe(scope);
    expect(spec.names).toMatchObject({
      kind,
      plural,
      singular,
      shortNames: [short],
      categories: ["tetragon"],
    });
    expect(spec.versions).toHaveLength(1);
    const [version] = spec.versions;
    expect(version?.name).toBe("v1alpha1");
    expect(version?.subresources).toEqual({ status: {} });
    const columns = version?.additionalPrinterColumns.map(({ name, priority }) => `${name}:${priority ?? 0}`);
    expect(columns).toEqual([
      "READY:0",
      "NODES:0",
      "HOOKS:0",
      "REASON:0",
      "AGE:0",
      "GENERATION:0",
      "OBSERVED:0",
      "PODS:1",
      "EVENTS:1",
      "MESSAGE:1",
    ]);
  },
);

test.each(DEFINITION_NAMES)("%s.yaml can be applied by kubectl apply, which keeps a copy of it", (name) => {
  const limit = 262_144; // bytes of all annotations of an object
  expect(Buffer.byteLength(JSON.stringify(readCrd(name)))).toBeLessThan(limit * 0.75);
});
