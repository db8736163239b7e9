/** Ready, Reconciling and Stalled of a policy, and the sentences in them. Pure. */
import { CONDITIONS, type PolicyReason } from "../../crds/conditions.ts";
import type { Condition, NewCondition } from "./policy-status.ts";
import { conditionOf } from "./policy-status.ts";
import type { ListedNode, NodeSummary } from "./tally.ts";

/** What the operator knows about a policy besides its nodes. */
export interface PolicyFacts {
  /** metadata.generation that this is about. */
  generation: number;
  /** The spec that nodes should run: of this generation, or the last good one. */
  wanted?: { hash: string; hookCount: number; generation?: number | undefined };
  /** Why this generation does not run. */
  problem?: {
    reason: Extract<PolicyReason, "InvalidSpec" | "DistributionFailed" | "Terminating">;
    message: string;
  };
}

type Verdict = Pick<NewCondition, "status" | "reason" | "message">;

const LISTED_NODES = 3;

/** Ready always; Reconciling and Stalled only while they are true (kstatus). */
export function makeConditions(facts: PolicyFacts, summary: NodeSummary): NewCondition[] {
  const observedGeneration = facts.generation;
  const ready = readyVerdict(facts, summary);
  const conditions: NewCondition[] = [{ type: CONDITIONS.ready, ...ready, observedGeneration }];
  if (facts.problem?.reason === "InvalidSpec") {
    const { reason, message } = facts.problem;
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
  const { counts } = summary;
  if (facts.problem) {
    const { reason, message } = facts.problem;
    return { status: "False", reason, message: `${message}${whatStillRuns(facts, summary)}` };
  }
  const failure = summary.failed[0];
  if (failure)
    return {
      status: "False",
      reason: failure.reason,
      message: nodesSentence("The policy cannot be attached", counts.failed, summary, summary.failed),
    };
  if (counts.unavailable > 0) {
    const message = nodesSentence(
      "The agent does not answer",
      counts.unavailable,
      summary,
      summary.unavailable,
    );
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
  return { status: "True", ...success(facts, summary) };
}

function success(facts: PolicyFacts, summary: NodeSummary): Pick<Verdict, "reason" | "message"> {
  const { total, partial, skipped } = summary.counts;
  const notSelected = skipped === 0 ? "" : `; ${count(skipped, "node")} not selected`;
  if (total === 0)
    return { reason: "Attached", message: `No node is selected by spec.nodeSelector${notSelected}` };
  const hooks = count(facts.wanted?.hookCount ?? 0, "hook");
  if (partial === 0)
    return { reason: "Attached", message: `${hooks} attached on ${count(total, "node")}${notSelected}` };
  const sentence = nodesSentence("Optional hooks are missing", partial, summary, summary.partial);
  return { reason: "PartiallyAttached", message: `${sentence}${notSelected}` };
}

function rollout(summary: NodeSummary): Pick<Verdict, "reason" | "message"> | undefined {
  const { counts, pending } = summary;
  if (counts.pending === 0) return undefined;
  const done = counts.attached + counts.partial;
  return {
    reason: "RollingOut",
    message: `Attached on ${done} of ${count(counts.total, "node")}; waiting for ${listNodes(pending, counts.pending)}`,
  };
}

function isRollingOut(facts: PolicyFacts, { counts }: NodeSummary): boolean {
  return facts.problem !== undefined || counts.pending > 0 || counts.total + counts.skipped === 0;
}

/** After a bad edit the previous spec goes on running, and the message reports it. */
function whatStillRuns(facts: PolicyFacts, { counts }: NodeSummary): string {
  if (facts.wanted === undefined) return "";
  const which =
    facts.wanted.generation === undefined ? "The last good spec" : `Generation ${facts.wanted.generation}`;
  return `. ${which} still runs on ${counts.attached + counts.partial} of ${count(counts.total, "node")}`;
}

function nodesSentence(
  what: string,
  howMany: number,
  summary: NodeSummary,
  nodes: readonly ListedNode[],
): string {
  return `${what} on ${howMany} of ${count(summary.counts.total, "node")}: ${listNodes(nodes, howMany)}`;
}

/** `node-a (why), node-b (why) and 4 more`; `nodes` may be a part of them, `total` counts all. */
function listNodes(nodes: readonly ListedNode[], total: number): string {
  const shown = nodes
    .slice(0, LISTED_NODES)
    .map(({ node, message }) => (message ? `${node} (${message})` : node));
  const rest = total - shown.length;
  return rest > 0 ? `${shown.join(", ")} and ${rest} more` : shown.join(", ");
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
