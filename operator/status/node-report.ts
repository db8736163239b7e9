/**
 * The part of a TracingNode that is kept: one small shared object per policy, or 5,000 nodes would not fit in memory.
 * Pure.
 */
import type { NodePolicyState } from "../../crds/conditions.ts";
import { policyKey } from "../../crds/names.ts";
import { type NodePolicy, type NodePolicyText, nodePolicyTexts } from "../../crds/node-policies.ts";
import type { PolicyActivity } from "../../crds/policy-activity.ts";
import type { Policy, TracingNode } from "../../crds/tracingnode-v1alpha1.gen.ts";
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
  readonly activity?: PolicyActivity;
}

/** What a kernel is known to lack; equal ones of different nodes are one object. */
export interface KernelLack {
  /** Hooks that the agent has looked for and not found: see hookKey(). */
  readonly calls: ReadonlySet<string>;
  readonly features: ReadonlySet<string>;
}

/** A node's policies by key. */
export interface NodeReport extends KubeObject {
  readonly policies: ReadonlyMap<string, NodeEntry>;
  readonly lack: KernelLack;
}

/** Identifies what a hook is attached to, in any policy: its section and the call. */
export function hookKey(section: string, call: string): string {
  return `${section} ${call}`;
}

/** Most entries that the table of shared ones holds; beyond it, the table starts anew. */
const MAX_SHARED = 20_000;

/** Reduces TracingNodes; entries that are equal come out as the same object. */
export class NodeReportParser {
  #shared = new Map<string, readonly [policy: string, NodeEntry]>();
  #lacks = new Map<string, KernelLack>();

  parse(object: KubeObject): NodeReport {
    const { status } = object as KubeObject & Pick<TracingNode, "status">;
    const policies = new Map(nodePolicyTexts(status).map((policy) => this.#share(policy)));
    return { metadata: slimMeta(object.metadata), policies, lack: this.#shareLack(status) };
  }

  #shareLack(status: TracingNode["status"]): KernelLack {
    const calls = missingCalls(status?.policies ?? []);
    const features = (status?.kernel?.missing ?? []).map(({ feature }) => feature);
    const key = JSON.stringify([calls, features]);
    const shared = this.#lacks.get(key) ?? { calls: new Set(calls), features: new Set(features) };
    if (this.#lacks.size >= MAX_SHARED) this.#lacks = new Map();
    this.#lacks.set(key, shared);
    return shared;
  }

  #share({ text, read }: NodePolicyText): readonly [policy: string, NodeEntry] {
    const shared = this.#shared.get(text);
    if (shared !== undefined) return shared;
    const policy = read();
    const made = [policyKey(policy), parseEntry(policy)] as const;
    if (this.#shared.size >= MAX_SHARED) this.#shared = new Map();
    this.#shared.set(text, made);
    return made;
  }
}

/** Keys of the policies whose entries differ. */
export function changedPolicies(before: NodeReport | undefined, after: NodeReport | undefined): string[] {
  const keys = new Set([...(before?.policies.keys() ?? []), ...(after?.policies.keys() ?? [])]);
  return [...keys].filter((key) => before?.policies.get(key) !== after?.policies.get(key));
}

function missingCalls(policies: readonly Policy[]): string[] {
  const missing = policies.flatMap(({ hooks = [] }) =>
    hooks
      .filter(({ reason }) => reason === "FunctionNotFound")
      .map(({ path, call }) => hookKey(sectionOf(path), call)),
  );
  return [...new Set(missing)].sort();
}

/** `spec.kprobes[0]` is of the section kprobes. */
function sectionOf(path: string): string {
  return /^spec\.(\w+)/.exec(path)?.[1] ?? "";
}

function parseEntry(policy: NodePolicy): NodeEntry {
  const { specHash, attachedHash, state, reason, message, retrying, hooksAttached, attach, activity } =
    policy;
  return {
    specHash,
    ...(attachedHash !== undefined && { attachedHash }),
    state,
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message: message.slice(0, 1024) }),
    ...(retrying === true && { retrying }),
    hooksAttached,
    attach,
    ...(activity !== undefined && { activity }),
  };
}
