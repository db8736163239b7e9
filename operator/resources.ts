/** The custom resources as the operator reads them. */
import { PLURALS, POLICY_API, type PolicyKind, type PolicyRef } from "../crds/names.ts";
import type { KubeObject, ObjectMeta, Resource } from "../lib/resources.ts";
import type { PolicyStatus } from "./status/policy-status.ts";

/** The two kinds of policies. */
export const POLICY_RESOURCES: Record<PolicyKind, Resource> = {
  TracingPolicy: policyResource("TracingPolicy", false),
  TracingPolicyNamespaced: policyResource("TracingPolicyNamespaced", true),
};

/** A policy as the API server has it; its spec is for the compiler. */
export interface PolicyObject extends KubeObject {
  kind: PolicyKind;
  spec?: unknown;
  status?: PolicyStatus;
}

/** Keeps only what is used: managed fields and last-applied annotations can be larger than the spec. */
export function parsePolicyObject(kind: PolicyKind, object: KubeObject): PolicyObject {
  const { spec, status } = object as Partial<PolicyObject>;
  return {
    apiVersion: POLICY_API.apiVersion,
    kind,
    metadata: slimMeta(object.metadata),
    ...(spec !== undefined && { spec }),
    ...(status !== undefined && { status }),
  };
}

/** Name, identity and versions of an object. */
export function slimMeta(meta: ObjectMeta): ObjectMeta {
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp } = meta;
  const all = { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp };
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined),
  ) as unknown as ObjectMeta;
}

/** Identity of a policy object. */
export function policyRefOf(policy: PolicyObject): PolicyRef {
  const { name, namespace } = policy.metadata;
  return namespace === undefined ? { kind: policy.kind, name } : { kind: policy.kind, namespace, name };
}

function policyResource(kind: PolicyKind, namespaced: boolean): Resource {
  return { group: POLICY_API.group, version: POLICY_API.version, plural: PLURALS[kind], kind, namespaced };
}
