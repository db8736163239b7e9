/**
 * The part of a TracingNode that is kept: one small shared object per policy, or 5,000 nodes would not fit in memory.
 * Pure.
 */
import type { NodePolicyState } from "../../crds/conditions.ts";
import { policyKey } from "../../crds/names.ts";
import { type NodePolicy, readNodePolicies } from "../../crds/node-policies.ts";
import type { TracingNode } from "../../crds/tracingnode-v1alpha1.gen.ts";
import type { KubeObject } from "../../lib/resources.ts";
import { slimMeta } from "../resources.ts";

/** A policy on a node, with short hashes; equal entries of different nodes are one object. */
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
    const entries = readNodePolicies(status).map(
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

function parseEntry(policy: NodePolicy): NodeEntry {
  const { specHash, attachedHash, state, reason, message, retrying, hooksAttached, attach } = policy;
  return {
    specHash,
    ...(attachedHash !== undefined && { attachedHash }),
    state,
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message: message.slice(0, 1024) }),
    ...(retrying === true && { retrying }),
    hooksAttached,
    attach,
  };
}
