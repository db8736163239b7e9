/** Makes a policy's status from the reports of all nodes. Pure; its size is bounded however many nodes there are. */
import { makeConditions, type PolicyFacts } from "./conditions.ts";
import type { NodeFact } from "./node-index.ts";
import type { NewPolicyStatus } from "./policy-status.ts";
import { byNode, MAX_LISTED, tally } from "./tally.ts";

/** The whole status except for the times of its conditions. */
export function aggregate(facts: PolicyFacts, nodes: Iterable<NodeFact>): NewPolicyStatus {
  const { wanted } = facts;
  const summary = tally(nodes, wanted?.hash);
  const { counts, lines } = summary;
  const failingNodes = [...summary.failed, ...summary.unavailable].sort(byNode).slice(0, MAX_LISTED);
  return {
    observedGeneration: facts.generation,
    ...(wanted && { specHash: wanted.hash }),
    nodesSummary: `${counts.attached + counts.partial}/${counts.total}`,
    ...(wanted && { hooksSummary: `${summary.fewestHooks}/${wanted.hookCount}` }),
    nodes: counts,
    ...(failingNodes.length > 0 && { failingNodes }),
    ...(lines && lines.length > 0 && { nodeStates: lines }),
    conditions: makeConditions(facts, summary),
  };
}
