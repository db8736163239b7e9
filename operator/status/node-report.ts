/**
 * The part of a TracingNode that is kept: one small shared object per policy, or 5,000 nodes would not fit in memory.
 * Pure.
 */
import type { NodePolicyState } from "../../crds/conditions.ts";
import { policyKey } from "../../crds/names.ts";
import type { Policy, TracingNode } from "../../crds/tracingnode-v1alpha1.gen.ts";
import type { KubeObject } from "../../lib/resources.ts";
import { slimMeta } from "../resources.ts";

/** A policy on a node; equal entries of different nodes are one object. */
export interface NodeEntry {
  readonly specHash: string;
  readonly attachedHash?: string;
  readonly state: NodePolicyState;
  readonly reason?: string;
  readonly message?: string;
  /** The agent tries again by itself. */
  readonly retrying?: true;
  readonly hooksAttached: number;
  /** `fentry×8`, `fentry×7 kprobe×1`. */
  readonly attach: string;
}

/** A node's policies by key. */
export interface NodeReport extends KubeObject {
  readonly policies: ReadonlyMap<string, NodeEntry>;
}

/** Most entries that the table of shared ones holds; beyond it, the table starts anew. */
const MAX_SHARED = 20_000;

/** Reduces TracingNodes; entries that are equal come out as the same object. */
export class NodeReportParser {
  #shared = new Map<string, NodeEntry>();

  parse(object: KubeObject): NodeReport {
    const { status } = object as KubeObject & Pick<TracingNode, "status">;
    const entries = (status?.policies ?? []).map(
      (policy) => [policyKey(policy), this.#share(parseEntry(policy))] as const,
    );
    const policies = new Map(entries);
    return { metadata: slimMeta(object.metadata), policies };
  }

  #share(entry: NodeEntry): NodeEntry {
    const key = JSON.stringify(entry);
    const shared = this.#shared.get(key);
    if (shared !== undefined) return shared;
    if (this.#shared.size >= MAX_SHARED) this.#shared = new Map();
    this.#shared.set(key, entry);
    return entry;
  }
}

/** Keys of the policies whose entries differ. */
export function changedPolicies(before: NodeReport | undefined, after: NodeReport | undefined): string[] {
  const keys = new Set([...(before?.policies.keys() ?? []), ...(after?.policies.keys() ?? [])]);
  return [...keys].filter((key) => before?.policies.get(key) !== after?.policies.get(key));
}

function parseEntry(policy: Policy): NodeEntry {
  const { specHash, attachedHash, state, reason, message, retrying, hooks = [] } = policy;
  const attached = hooks.filter((hook) => hook.state === "Attached");
  return {
    specHash,
    ...(attachedHash !== undefined && { attachedHash }),
    state,
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message: message.slice(0, 1024) }),
    ...(retrying === true && { retrying }),
    hooksAttached: attached.length,
    attach: countKinds(attached.map((hook) => hook.attach ?? "unknown")),
  };
}

function countKinds(kinds: string[]): string {
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, count]) => `${kind}×${count}`)
    .join(" ");
}
