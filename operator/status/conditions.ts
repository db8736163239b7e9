/** Ready, Reconciling and Stalled of a policy, and the sentences in them. Pure. */
import { CONDITIONS, type PolicyReason } from "../../crds/conditions.ts";
import { shortSpecHash } from "../../crds/names.ts";
import { DEFAULT_TOLERANCE, type Tolerance, toleratedNodes } from "./patience.ts";
import type { Condition, NewCondition } from "./policy-status.ts";
import { conditionOf } from "./policy-status.ts";
import type { NodeGroup, NodeSummary } from "./tally.ts";

/** What the operator knows about a policy besides its nodes. */
export interface PolicyFacts {
  /** metadata.generation that this is about. */
  generation: number;
  /** The spec that nodes should run: of this generation, or the last good one. */
  wanted?: { hash: string; hookCount: number; generation?: number | undefined };
  /** Why this generation does not run. */
  problem?: {
    reason: Extract<PolicyReason, "InvalidSpec" | "DistributionFailed" | "Terminating" | "ReportsMissing">;
    message: string;
  };
  /** Generations of the specs that may still run, by short hash. */
  generations?: ReadonlyMap<string, number>;
  /** How many nodes may be absent while the policy is Ready. */
  tolerance?: Tolerance;
}

type Verdict = Pick<NewCondition, "status" | "reason" | "message">;

const LISTED_GROUPS = 3;
const LISTED_NAMES = 3;

/** Ready always; Reconciling and Stalled only while they are true (kstatus). */
export function makeConditions(facts: PolicyFacts, summary: NodeSummary): NewCondition[] {
  const observedGeneration = facts.generation;
  const ready = readyVerdict(facts, summary);
  const conditions: NewCondition[] = [{ type: CONDITIONS.ready, ...ready, observedGeneration }];
  if (facts.problem?.reason === "InvalidSpec" || isRefusedEverywhere(facts, summary)) {
    const { reason, message } = ready;
    conditions.push({ type: CONDITIONS.stalled, status: "True", reason, message, observedGeneration });
  } else if (isRollingOut(facts, summary)) {
    const { reason, message } = rollout(summary) ?? ready;
    conditions.push({ type: CONDITIONS.reconciling, status: "True", reason, message, observedGeneration });
  }
  return conditions;
}

/** `lastTransitionTime` changes only when the status of the condition does. */
export function withTransitionTimes(
  next: readonly NewCondition[],
  previous: readonly Condition[] | undefined,
  now: string,
): Condition[] {
  return next.map((condition) => {
    const before = conditionOf(previous, condition.type);
    const flipped = before?.status !== condition.status;
    return { ...condition, lastTransitionTime: flipped ? now : before.lastTransitionTime };
  });
}

/** The most serious fact comes first: it is the one that needs action. */
function readyVerdict(facts: PolicyFacts, summary: NodeSummary): Verdict {
  const { counts, failed, unavailable } = summary;
  if (facts.problem) {
    const { reason, message } = facts.problem;
    const rest = reason === "ReportsMissing" ? "" : whatStillRuns(facts, summary);
    return { status: "False", reason, message: `${message}${rest}` };
  }
  if (failed[0]) {
    const sentence = nodesSentence("The policy cannot be attached", counts.failed, summary, failed);
    return {
      status: "False",
      reason: failed[0].reason,
      message: `${sentence}${olderThatRun(facts, summary)}`,
    };
  }
  if (counts.unavailable > 0) {
    const message = nodesSentence("The agent does not answer", counts.unavailable, summary, unavailable);
    return { status: "False", reason: "AgentUnavailable", message };
  }
  const rollingOut = rollout(summary);
  if (rollingOut) return { status: "False", ...rollingOut };
  if (counts.total + counts.skipped === 0) {
    return {
      status: "Unknown",
      reason: "NoNodes",
      message: "No agent is running yet, so the policy runs nowhere",
    };
  }
  if (tooManyAbsent(facts, summary)) {
    const message = `${runningOn(facts, summary)}; ${absentNodes(summary)}, and ${tolerated(facts, summary)}`;
    return { status: "False", reason: "NodesAbsent", message };
  }
  return { status: "True", ...success(facts, summary) };
}

/** A policy that runs nowhere is not Ready, however many absent nodes are tolerated. */
function tooManyAbsent({ tolerance = DEFAULT_TOLERANCE }: PolicyFacts, { counts }: NodeSummary): boolean {
  if (counts.absent === 0) return false;
  return counts.absent === counts.total || counts.absent > toleratedNodes(tolerance, counts.total);
}

function tolerated({ tolerance = DEFAULT_TOLERANCE }: PolicyFacts, { counts }: NodeSummary): string {
  const most = Math.min(toleratedNodes(tolerance, counts.total), counts.total - 1);
  return most === 0 ? "none may be" : `at most ${most} may be`;
}

function success(facts: PolicyFacts, summary: NodeSummary): Pick<Verdict, "reason" | "message"> {
  const { total, partial, skipped, absent } = summary.counts;
  const rest = [
    ...(absent > 0 ? [absentNodes(summary)] : []),
    ...(skipped > 0 ? [`${count(skipped, "node")} not selected`] : []),
    ...(summary.activity.pods === 0 ? ["0 pods are selected now"] : []),
  ].map((part) => `; ${part}`);
  if (total === 0)
    return { reason: "Attached", message: `No node is selected by spec.nodeSelector${rest.join("")}` };
  if (partial === 0) return { reason: "Attached", message: `${runningOn(facts, summary)}${rest.join("")}` };
  const sentence = nodesSentence("Optional hooks are missing", partial, summary, summary.partial);
  return { reason: "PartiallyAttached", message: `${sentence}${rest.join("")}` };
}

function runningOn({ wanted }: PolicyFacts, { counts }: NodeSummary): string {
  const { total, attached, partial } = counts;
  const hooks = count(wanted?.hookCount ?? 0, "hook");
  const nodes =
    attached + partial === total ? count(total, "node") : `${attached + partial} of ${count(total, "node")}`;
  return `${hooks} attached on ${nodes}`;
}

function absentNodes({ counts, absent }: NodeSummary): string {
  return `${counts.absent} cannot run it now: ${listGroups(absent, counts.absent)}`;
}

function rollout({ counts, pending }: NodeSummary): Pick<Verdict, "reason" | "message"> | undefined {
  if (counts.pending === 0) return undefined;
  const done = counts.attached + counts.partial;
  return {
    reason: "RollingOut",
    message: `Attached on ${done} of ${count(counts.total, "node")}; waiting for ${listGroups(pending, counts.pending)}`,
  };
}

function isRollingOut(facts: PolicyFacts, { counts }: NodeSummary): boolean {
  return facts.problem !== undefined || counts.pending > 0 || counts.total + counts.skipped === 0;
}

/** Every node that has an answer refuses the spec, and none will try it again. */
function isRefusedEverywhere(facts: PolicyFacts, { counts, failed }: NodeSummary): boolean {
  if (facts.problem !== undefined || counts.failed === 0) return false;
  const isRunning = counts.attached + counts.partial + counts.pending > 0;
  return !isRunning && failed.every(({ mayPass }) => !mayPass);
}

/** After a bad edit, what was attached before goes on running, and the message reports it. */
function whatStillRuns(facts: PolicyFacts, { running, counts }: NodeSummary): string {
  if (facts.wanted === undefined) return "";
  const parts = generationsThatRun(facts, running);
  if (parts.length === 0) return ". No generation of it runs on any node";
  return `. ${parts.map((part) => `${part} of ${count(counts.total, "node")}`).join(", ")}`;
}

/** The same without the newest spec, which the message is about. */
function olderThatRun(facts: PolicyFacts, summary: NodeSummary): string {
  const running = new Map(summary.running);
  if (facts.wanted !== undefined) running.delete(shortSpecHash(facts.wanted.hash));
  return running.size === 0 ? "" : whatStillRuns(facts, { ...summary, running });
}

/** `Generation 3 still runs on 2`; the one that runs on most nodes comes first. */
function generationsThatRun(facts: PolicyFacts, running: ReadonlyMap<string, number>): string[] {
  const byNodes = [...running].sort(([, a], [, b]) => b - a);
  return byNodes
    .slice(0, LISTED_GROUPS)
    .map(([hash, nodes]) => `${nameSpec(facts, hash)} still runs on ${nodes}`);
}

function nameSpec({ wanted, generations }: PolicyFacts, hash: string): string {
  const isWanted = wanted !== undefined && shortSpecHash(wanted.hash) === hash;
  if (isWanted && wanted.generation === undefined) return "The last good spec";
  const generation = isWanted ? wanted.generation : generations?.get(hash);
  return generation === undefined ? "An earlier spec" : `Generation ${generation}`;
}

function nodesSentence(
  what: string,
  howMany: number,
  summary: NodeSummary,
  groups: readonly NodeGroup[],
): string {
  return `${what} on ${howMany} of ${count(summary.counts.total, "node")}: ${listGroups(groups, howMany)}`;
}

/** `node-a, node-b and 4 more (why); node-g (why)`; `groups` may be a part of them, `total` counts all nodes. */
function listGroups(groups: readonly NodeGroup[], total: number): string {
  const shown = groups.slice(0, LISTED_GROUPS);
  const rest = total - shown.reduce((sum, group) => sum + group.count, 0);
  const more = rest > 0 ? [`${rest} more`] : [];
  return [...shown.map(nameGroup), ...more].join("; ");
}

function nameGroup({ nodes, count: howMany, message }: NodeGroup): string {
  const names = nodes.slice(0, LISTED_NAMES);
  const rest = howMany - names.length;
  const all = rest > 0 ? `${names.join(", ")} and ${rest} more` : names.join(", ");
  return message ? `${all} (${message})` : all;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
