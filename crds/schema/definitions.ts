/** The CustomResourceDefinitions as objects; generate.ts writes them down as YAML. */
import { PLURALS, POLICY_API, TRIGON_API } from "../names.ts";
import { TRACING_NODE } from "./node.ts";
import { TRACING_POLICY, TRACING_POLICY_NAMESPACED } from "./policy.ts";
import type { Structural } from "./structural.ts";

interface Column {
  name: string;
  type: "string" | "integer" | "date";
  jsonPath: string;
  description?: string;
  priority?: number;
}

interface Kind {
  api: { group: string; version: string };
  kind: string;
  plural: string;
  singular: string;
  shortNames: string[];
  categories: string[];
  scope: "Cluster" | "Namespaced";
  columns: Column[];
  schema: Structural;
}

/** Until the operator has seen a policy: kstatus (Flux, `helm --wait`) counts an object without a status as finished. */
const UNSEEN = { observedGeneration: -1 };

/** A CustomResourceDefinition, ready to apply. */
export type Definition = Record<string, unknown>;

const AGE: Column = { name: "AGE", type: "date", jsonPath: ".metadata.creationTimestamp" };

const POLICY_COLUMNS: Column[] = [
  { name: "READY", type: "string", jsonPath: `.status.conditions[?(@.type=="Ready")].status` },
  { name: "NODES", type: "string", jsonPath: ".status.nodesSummary", description: "Nodes attached, of all." },
  {
    name: "HOOKS",
    type: "string",
    jsonPath: ".status.hooksSummary",
    description: "Hooks attached, on the node with the fewest, of all.",
  },
  { name: "REASON", type: "string", jsonPath: `.status.conditions[?(@.type=="Ready")].reason` },
  AGE,
  // A column cannot compare the two, and READY is about what was observed. operator/status/decision-stale-ready.md
  {
    name: "GENERATION",
    type: "integer",
    jsonPath: ".metadata.generation",
    description: "Goes up by one with each edit of the spec.",
  },
  {
    name: "OBSERVED",
    type: "integer",
    jsonPath: ".status.observedGeneration",
    description: "Generation that the other columns are about; behind GENERATION while the operator is away.",
  },
  {
    name: "PODS",
    type: "integer",
    jsonPath: ".status.pods",
    description: "Pods that the policy is about.",
    priority: 1,
  },
  {
    name: "EVENTS",
    type: "integer",
    jsonPath: ".status.eventsPerMinute",
    description: "Events per minute.",
    priority: 1,
  },
  {
    name: "MESSAGE",
    type: "string",
    jsonPath: `.status.conditions[?(@.type=="Ready")].message`,
    priority: 1,
  },
];

const NODE_COLUMNS: Column[] = [
  {
    name: "READY",
    type: "string",
    jsonPath: ".status.ready",
    description: "Whether every policy that the node should run does.",
  },
  { name: "KERNEL", type: "string", jsonPath: ".status.kernel.release" },
  {
    name: "POLICIES",
    type: "string",
    jsonPath: ".status.policiesSummary",
    description: "Policies attached, of all that the node should run.",
  },
  { name: "LOST", type: "string", jsonPath: ".status.lost", description: "Events lost, at least." },
  { name: "AGENT", type: "string", jsonPath: ".status.agentVersion" },
  AGE,
  {
    name: "FAILING",
    type: "string",
    jsonPath: `.status.policies[?(@.state=="Failed")].name`,
    description: "The first policy that cannot be attached.",
    priority: 1,
  },
  {
    name: "MESSAGE",
    type: "string",
    jsonPath: `.status.policies[?(@.state=="Failed")].message`,
    description: "Why it cannot.",
    priority: 1,
  },
];

/** Helm upgrades the CRDs with the chart, but an uninstall must not delete them and with them every policy. */
const ANNOTATIONS = { "helm.sh/resource-policy": "keep" };

/**
 * Tetragon's operator, where it runs beside Trigon, replaces definitions whose version is older than its own. Its own
 * have no status.
 */
const NEWER_THAN_TETRAGON = { "cilium.io.k8s.crd.schema.version": "1.999.0" };

function definition(kind: Kind, schema: Structural): Definition {
  const { group, version } = kind.api;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: `${kind.plural}.${group}`,
      annotations: ANNOTATIONS,
      ...(kind.api === POLICY_API && { labels: NEWER_THAN_TETRAGON }),
    },
    spec: {
      group,
      names: {
        categories: kind.categories,
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        shortNames: kind.shortNames,
        singular: kind.singular,
      },
      scope: kind.scope,
      versions: [
        {
          additionalPrinterColumns: kind.columns,
          name: version,
          schema: { openAPIV3Schema: schema },
          served: true,
          storage: true,
          subresources: { status: {} },
        },
      ],
    },
  };
}

/** The schema with defaults in descriptions only. The compiler applies them: decision-defaults.md. */
function describeDefaults({ default: value, ...schema }: Structural): Structural {
  const { description, properties, items, additionalProperties, required } = schema;
  const isAbsent = (name: string) => properties?.[name]?.default !== undefined;
  return {
    ...schema,
    ...(required?.some(isAbsent) && { required: required.filter((name) => !isAbsent(name)) }),
    ...(value !== undefined && {
      description: `${description ?? ""} Default: ${JSON.stringify(value)}.`.trim(),
    }),
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, property]) => [name, describeDefaults(property)]),
      ),
    }),
    ...(items && { items: describeDefaults(items) }),
    ...(additionalProperties && { additionalProperties: describeDefaults(additionalProperties) }),
  };
}

/** Only for kinds whose status has the generation that it is about. */
function withUnseenStatus(schema: Structural): Structural {
  const status = schema.properties?.status;
  const observed = status?.properties?.observedGeneration;
  if (!status || !observed) return schema;
  const properties = { ...status.properties, observedGeneration: { ...observed, minimum: -1 } };
  return {
    ...schema,
    properties: { ...schema.properties, status: { ...status, properties, default: UNSEEN } },
  };
}

const KINDS = {
  tracingpolicies: {
    api: POLICY_API,
    kind: "TracingPolicy",
    plural: PLURALS.TracingPolicy,
    singular: "tracingpolicy",
    shortNames: ["tgtp"],
    categories: ["tetragon"],
    scope: "Cluster",
    columns: POLICY_COLUMNS,
    schema: TRACING_POLICY,
  },
  tracingpoliciesnamespaced: {
    api: POLICY_API,
    kind: "TracingPolicyNamespaced",
    plural: PLURALS.TracingPolicyNamespaced,
    singular: "tracingpolicynamespaced",
    shortNames: ["tgtpn"],
    categories: ["tetragon"],
    scope: "Namespaced",
    columns: POLICY_COLUMNS,
    schema: TRACING_POLICY_NAMESPACED,
  },
  tracingnodes: {
    api: TRIGON_API,
    kind: "TracingNode",
    plural: PLURALS.TracingNode,
    singular: "tracingnode",
    shortNames: ["tgn"],
    categories: ["trigon"],
    scope: "Cluster",
    columns: NODE_COLUMNS,
    schema: TRACING_NODE,
  },
} satisfies Record<string, Kind>;

/** Names of the files, without extension. */
export type DefinitionName = keyof typeof KINDS;

/** The definition that is installed. */
export function installedDefinition(name: DefinitionName): Definition {
  return definition(KINDS[name], withUnseenStatus(describeDefaults(KINDS[name].schema)));
}

/** The definition of what the compiler works on, where every field with a default is there. */
export function compiledDefinition(name: DefinitionName): Definition {
  return definition(KINDS[name], KINDS[name].schema);
}
