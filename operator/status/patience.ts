/** How long an agent may be away before it counts as away, and how many nodes may be. Pure. */
import type { AgentHealth } from "./agent-pod.ts";

/** Delays of the operator's judgement about agents. */
export interface Patience {
  /** A restarting agent that had attached the wanted spec counts as before for this long. */
  restartMs: number;
  /** An agent that starts for longer than this has a problem. */
  startMs: number;
}

/** Used unless configured otherwise. */
export const DEFAULT_PATIENCE: Patience = { restartMs: 30_000, startMs: 300_000 };

/** How many of the nodes may be absent while a policy is Ready. */
export type Tolerance = { kind: "nodes"; nodes: number } | { kind: "percent"; percent: number };

/** Used unless configured otherwise. */
export const DEFAULT_TOLERANCE: Tolerance = { kind: "percent", percent: 5 };

/** `3` or `5%`; undefined for anything else. */
export function parseTolerance(text: string): Tolerance | undefined {
  const [, digits = "", sign] = /^(\d{1,6})(%?)$/.exec(text) ?? [];
  if (digits === "") return undefined;
  const value = Number(digits);
  if (sign === "") return { kind: "nodes", nodes: value };
  return value <= 100 ? { kind: "percent", percent: value } : undefined;
}

/** Percentages are rounded up, as in maxUnavailable of a DaemonSet: 5% of three nodes is one node. */
export function toleratedNodes(tolerance: Tolerance, total: number): number {
  return tolerance.kind === "nodes" ? tolerance.nodes : Math.ceil((total * tolerance.percent) / 100);
}

/** Whether an agent that is not ready was so a moment ago. */
export function isRestarting({ state, since }: AgentHealth, now: number, patience: Patience): boolean {
  return state !== "ready" && since !== undefined && now - since < patience.restartMs;
}

/** Whether an agent has been starting for too long. */
export function isStuck({ state, since }: AgentHealth, now: number, patience: Patience): boolean {
  return state === "starting" && since !== undefined && now - since >= patience.startMs;
}

/** When the answers above change next; undefined: never. */
export function nextChangeMs(agent: AgentHealth, now: number, patience: Patience): number | undefined {
  if (agent.state === "ready" || agent.since === undefined) return undefined;
  const age = now - agent.since;
  if (age < patience.restartMs) return patience.restartMs - age;
  return agent.state === "starting" && age < patience.startMs ? patience.startMs - age : undefined;
}
