/** The state of Trigon in a cluster, from what operator and agents report. Pure. */
import { readNodePolicies } from "../../crds/node-policies.ts";
import type { Hook, TracingNode } from "../../crds/tracingnode-v1alpha1.gen.ts";
import type { TracingPolicy } from "../../crds/tracingpolicy-v1alpha1.gen.ts";
import { alignColumns } from "../columns.ts";
import type { Losses } from "./losses.ts";

/** What is known of an agent's losses, or why nothing is. */
export type NodeLosses = Losses | { unknown: string };

/** What the API server has. */
export interface ClusterFacts {
  policies: readonly TracingPolicy[];
  nodes: readonly TracingNode[];
  /** By the name of the node. */
  losses: ReadonlyMap<string, NodeLosses>;
}

/** A policy at a glance. */
export interface PolicySummary {
  name: string;
  namespace?: string;
  ready: "True" | "False" | "Unknown";
  reason: string;
  /** For people; empty when it is ready. */
  message: string;
  nodes: string;
  hooks: string;
  failures: Failure[];
}

/** What does not run on a node as it should. */
export interface Failure {
  node: string;
  hook?: string;
  reason?: string;
  message: string;
}

/** A node at a glance. */
export interface NodeSummary {
  name: string;
  agentVersion: string;
  kernel: string;
  /** Policies that run there as wanted. */
  attached: number;
  /** Policies that should run there. */
  wanted: number;
  losses: NodeLosses;
}

/** Everything at a glance. */
export interface ClusterSummary {
  /** There is an agent, and every policy is ready. */
  ready: boolean;
  policies: PolicySummary[];
  nodes: NodeSummary[];
}

/** The summary, by name. */
export function summarize({ policies, nodes, losses }: ClusterFacts): ClusterSummary {
  const all = policies.map((policy) => summarizePolicy(policy, nodes)).sort(byName);
  return {
    ready: nodes.length > 0 && all.every(({ ready }) => ready === "True"),
    policies: all,
    nodes: nodes.map((node) => summarizeNode(node, losses)).sort(byName),
  };
}

function byName(a: { name: string; namespace?: string }, b: { name: string; namespace?: string }): number {
  return `${a.namespace ?? ""}/${a.name}` < `${b.namespace ?? ""}/${b.name}` ? -1 : 1;
}

function summarizePolicy(
  { kind, metadata, status }: TracingPolicy,
  nodes: readonly TracingNode[],
): PolicySummary {
  const { name, namespace, generation } = metadata as {
    name: string;
    namespace?: string;
    generation?: number;
  };
  const condition = status?.conditions?.find(({ type }) => type === "Ready");
  const isOld = condition !== undefined && condition.observedGeneration !== generation;
  const ready = condition && !isOld ? condition.status : "Unknown";
  const waiting = isOld
    ? "the operator has not seen the newest generation yet"
    : "the operator has not reported yet";
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    ready,
    reason: condition && !isOld ? condition.reason : "Waiting",
    message: ready === "True" ? "" : condition && !isOld ? condition.message : waiting,
    nodes: status?.nodesSummary ?? "-",
    hooks: status?.hooksSummary ?? "-",
    failures: nodes.flatMap((node) => failuresOn(node, { kind: kind ?? "TracingPolicy", name, namespace })),
  };
}

interface Wanted {
  kind: string;
  name: string;
  namespace: string | undefined;
}

function failuresOn({ metadata, status }: TracingNode, wanted: Wanted): Failure[] {
  const node = String(metadata.name);
  const policy = readNodePolicies(status).find(
    ({ kind, name, namespace }) =>
      kind === wanted.kind && name === wanted.name && namespace === wanted.namespace,
  );
  if (!policy || policy.state === "Attached" || policy.state === "Skipped") return [];
  const hooks = policy.hooks.filter(isMissing).map((hook) => hookFailure(node, hook));
  if (hooks.length > 0) return hooks;
  return [{ node, ...reasonOf(policy), message: policy.message ?? policy.state }];
}

function isMissing({ state }: Hook): boolean {
  return state === "Failed" || state === "NotFound";
}

function hookFailure(node: string, hook: Hook): Failure {
  return { node, hook: `${hook.path} ${hook.call}`, ...reasonOf(hook), message: hook.message ?? hook.state };
}

function reasonOf({ reason }: { reason?: string }): { reason?: string } {
  return reason === undefined ? {} : { reason };
}

function summarizeNode({ metadata, status }: TracingNode, losses: ClusterFacts["losses"]): NodeSummary {
  const name = String(metadata.name);
  const wanted = readNodePolicies(status).filter(({ state }) => state !== "Skipped");
  return {
    name,
    agentVersion: status?.agentVersion ?? "-",
    kernel: status?.kernel?.release ?? "-",
    attached: wanted.filter(({ state }) => state === "Attached" || state === "PartiallyAttached").length,
    wanted: wanted.length,
    losses: losses.get(name) ?? { unknown: "no agent runs there" },
  };
}

/** The summary as text. */
export function summaryLines({ policies, nodes }: ClusterSummary): string[] {
  return [
    ...policyLines(policies),
    "",
    ...alignColumns([
      ["NODE", "AGENT", "KERNEL", "POLICIES", "LOST", "MISSED", "NOT EXPORTED"],
      ...nodes.map((node) => [
        node.name,
        node.agentVersion,
        node.kernel,
        `${node.attached}/${node.wanted}`,
        ...lossCells(node.losses),
      ]),
    ]),
    ...nodes.flatMap(({ name, losses }) =>
      "unknown" in losses ? [`  ${name}: losses are unknown: ${losses.unknown}`] : [],
    ),
    ...(nodes.length === 0 ? ["  no agent has reported yet"] : []),
  ];
}

function lossCells(losses: NodeLosses): string[] {
  if ("unknown" in losses) return ["?", "?", "?"];
  return [losses.kernel, losses.missedRuns, losses.export].map(String);
}

function policyLines(policies: readonly PolicySummary[]): string[] {
  const [head = "", ...rows] = alignColumns([
    ["POLICY", "READY", "NODES", "HOOKS", "REASON"],
    ...policies.map(({ name, namespace, ready, nodes, hooks, reason }) => [
      namespace === undefined ? name : `${namespace}/${name}`,
      ready,
      nodes,
      hooks,
      reason,
    ]),
  ]);
  return [head, ...policies.flatMap((policy, index) => [rows[index] ?? "", ...details(policy)])];
}

function details({ message, failures }: PolicySummary): string[] {
  return [
    ...(message === "" ? [] : [`  ${message}`]),
    ...failures.map(({ node, hook, reason, message }) =>
      [
        `  ${node}:`,
        ...(hook === undefined ? [] : [hook]),
        ...(reason === undefined ? [] : [`(${reason})`]),
        message,
      ].join(" "),
    ),
  ];
}
