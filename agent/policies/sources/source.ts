/** Sources of hook specs. */
import type { HookSpec, LabelSelector } from "../../../crds/hook-spec.ts";
import type { PolicyRef } from "../../../crds/names.ts";

/** A policy that a source wants to run: with its spec, or with the reason why the spec cannot be used. */
export type DesiredPolicy = WantedPolicy | BrokenPolicy | UnreadPolicy;

interface PolicyOfSource {
  ref: PolicyRef;
  /** Content hash of the spec; the hash in the name of the ConfigMap if the spec cannot be read. */
  hash: string;
  /** The origin for messages: `file a.yaml`, `ConfigMap trigon-system/trigon-spec-...`. */
  origin: string;
  /**
   * Earlier specs, newest first. If this one cannot be attached and no other one runs, the first that attaches is used.
   */
  fallbacks?: readonly { hash: string; spec: HookSpec }[];
  /** True if a client has disabled the policy: none of its hooks run. */
  isDisabled?: boolean;
}

/** A policy with its spec. */
export interface WantedPolicy extends PolicyOfSource {
  spec: HookSpec;
  /** Another source with the same policy; this one comes first and runs. */
  rival?: { origin: string; hash: string };
}

/** A policy whose spec cannot be used; the running spec keeps running. */
export interface BrokenPolicy extends PolicyOfSource {
  problem: string;
}

/** A policy whose spec has not been read, because this node does not need it or its labels are not known yet. */
export interface UnreadPolicy extends PolicyOfSource {
  nodeSelector: LabelSelector;
}

/** A source of a complete set of policies. */
export interface SpecSource {
  readonly name: string;
  /** All policies by policyKey(); undefined until the source has been read completely once. */
  desired(): ReadonlyMap<string, DesiredPolicy> | undefined;
  /** Called after each change of desired(). */
  onChange(listener: () => void): void;
  close(): void;
}

/** Merges the sources. If two have the same policy, the first one wins. Undefined until all have been read. */
export function mergeSources(sources: readonly SpecSource[]): ReadonlyMap<string, DesiredPolicy> | undefined {
  const merged = new Map<string, DesiredPolicy>();
  for (const source of sources) {
    const policies = source.desired();
    if (!policies) return undefined;
    for (const [key, policy] of policies) merged.set(key, withRival(merged.get(key), policy));
  }
  return merged;
}

function withRival(first: DesiredPolicy | undefined, second: DesiredPolicy): DesiredPolicy {
  if (!first) return second;
  if (!("spec" in first)) return first;
  return { ...first, rival: { origin: second.origin, hash: second.hash } };
}
