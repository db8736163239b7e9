/** API groups, versions, kinds, labels and field managers: every string that two folders must spell alike. */
import { createHash } from "node:crypto";

/** Group and version of the user's policies, upstream's own so that its YAML applies unchanged. */
export const POLICY_API = {
  group: "cilium.io",
  version: "v1alpha1",
  apiVersion: "cilium.io/v1alpha1",
} as const;

/** Group and version of the objects that Trigon adds. */
export const TRIGON_API = {
  group: "trigon.dev",
  version: "v1alpha1",
  apiVersion: "trigon.dev/v1alpha1",
} as const;

/** The two policy kinds; the namespaced one sees pods of its namespace only. */
export type PolicyKind = "TracingPolicy" | "TracingPolicyNamespaced";

/** Plural resource names, as in URLs. */
export const PLURALS = {
  TracingPolicy: "tracingpolicies",
  TracingPolicyNamespaced: "tracingpoliciesnamespaced",
  TracingNode: "tracingnodes",
} as const;

/** The agents' reports as a resource of the API. */
export const TRACING_NODES = {
  group: TRIGON_API.group,
  version: TRIGON_API.version,
  plural: PLURALS.TracingNode,
  kind: "TracingNode",
  namespaced: false,
} as const;

/** Labels and annotations on what Trigon writes. */
export const LABELS = {
  managedBy: "app.kubernetes.io/managed-by",
  component: "app.kubernetes.io/component",
  name: "app.kubernetes.io/name",
  /** On a hook-spec ConfigMap: see policyLabelValue(). */
  policy: "trigon.dev/policy",
  /** On a hook-spec ConfigMap: the full policy key, which may be too long for a label (annotation). */
  policyKey: "trigon.dev/policy-key",
  /** On a hook-spec ConfigMap: the content hash, equal to the suffix of its name. */
  specHash: "trigon.dev/spec-hash",
  /** On a hook-spec ConfigMap, "true": the annotation nodeSelector says which nodes need it. */
  selectsNodes: "trigon.dev/selects-nodes",
  /** On a hook-spec ConfigMap: the spec's nodeSelector as JSON (annotation). */
  nodeSelector: "trigon.dev/node-selector",
  /** On a hook-spec ConfigMap: metadata.generation of the policy that was compiled (annotation). */
  policyGeneration: "trigon.dev/policy-generation",
  /** On a hook-spec ConfigMap: the one with the highest revision of a policy is wanted (annotation). */
  revision: "trigon.dev/revision",
  /** On a hook-spec ConfigMap, "true": its policy is gone. A ConfigMap that is deleted without it is restored. */
  retired: "trigon.dev/retired",
} as const;

/** Values of the labels above, and the selectors that agents and operator list with. */
export const MANAGED_BY_OPERATOR = "trigon-operator";
export const AGENT_COMPONENT = "agent";
export const HOOK_SPEC_SELECTOR = `${LABELS.managedBy}=${MANAGED_BY_OPERATOR},${LABELS.policy}`;
/** Agents watch the content of the first ones, and only the metadata of the others. */
export const SPECS_FOR_ALL_NODES = `${HOOK_SPEC_SELECTOR},!${LABELS.selectsNodes}`;
export const SPECS_FOR_SOME_NODES = `${HOOK_SPEC_SELECTOR},${LABELS.selectsNodes}`;
export const AGENT_POD_SELECTOR = `${LABELS.name}=trigon,${LABELS.component}=${AGENT_COMPONENT}`;

/** Stands for the namespace of a pod where pods are selected by labels. */
export const NAMESPACE_LABEL = "k8s:io.kubernetes.pod.namespace";

/** Where the operator, the agents and the hook specs live unless configured otherwise. */
export const DEFAULT_NAMESPACE = "trigon-system";

/** Field managers of server-side apply, one per writer. */
export const FIELD_MANAGERS = { operator: "trigon-operator", agent: "trigon-agent" } as const;

/** ConfigMap data keys; `hook-spec.json.gz` is in binaryData and used when the JSON is large. */
export const HOOK_SPEC_KEYS = { json: "hook-spec.json", gzip: "hook-spec.json.gz" } as const;

/** Identity of a policy across kinds and namespaces. */
export interface PolicyRef {
  kind: PolicyKind;
  /** Absent for the cluster-scoped kind. */
  namespace?: string;
  name: string;
}

/** One string per policy: `TracingPolicy/NAME` or `TracingPolicyNamespaced/NAMESPACE/NAME`. */
export function policyKey(ref: PolicyRef): string {
  return ref.namespace === undefined ? `${ref.kind}/${ref.name}` : `${ref.kind}/${ref.namespace}/${ref.name}`;
}

/** Reads a policy key back; undefined for any other string. */
export function parsePolicyKey(key: string): PolicyRef | undefined {
  const [, kind, namespace, name] =
    /^(TracingPolicy|TracingPolicyNamespaced)\/(?:([^/]+)\/)?([^/]+)$/.exec(key) ?? [];
  if (kind === undefined || name === undefined) return undefined;
  if ((kind === "TracingPolicyNamespaced") !== (namespace !== undefined)) return undefined;
  return namespace === undefined
    ? { kind: kind as PolicyKind, name }
    : { kind: kind as PolicyKind, namespace, name };
}

/** Label value for a policy: short, valid for every key, and distinct for distinct keys. */
export function policyLabelValue(ref: PolicyRef): string {
  return sha256Hex(policyKey(ref)).slice(0, 32);
}

/** Name of the ConfigMap that carries the hook spec with this hash. */
export function hookSpecConfigMapName(specHash: string): string {
  return `trigon-spec-${specHash}`;
}

/** Reads a revision; undefined for what the operator never writes, such as numbers that leave no room to count on. */
export function parseRevision(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** The part of a spec's hash that statuses compare: 48 bits tell the few specs of one policy apart. */
export function shortSpecHash(specHash: string): string {
  return specHash.slice(0, 12);
}

/** Lower-case hex SHA-256 of a text's UTF-8 bytes. */
export function sha256Hex(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}
