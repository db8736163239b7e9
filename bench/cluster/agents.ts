/** The agents of the cluster, read without a process of their node: that would take time from what is measured. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { AGENT_POD_SELECTOR, DEFAULT_NAMESPACE } from "../../crds/names.ts";
import { getObject } from "../../e2e/stories/kubectl.ts";

const POLL_MS = 100;
const LONGEST_MS = 180_000;

/** An agent and the address of its pod, which can be reached where no network policy is enforced. */
export interface Agent {
  node: string;
  address: string;
}

/** What an agent's /metrics says. */
export class Metrics {
  readonly #lines: readonly string[];

  constructor(text: string) {
    this.#lines = text.split("\n");
  }

  /** Whether a hook of the policy is attached. */
  isAttached(policy: string): boolean {
    return this.#of("trigon_hook_attached", policy).length > 0;
  }

  /** Records that the programs of the policy wrote. */
  posted(policy: string): number {
    return sum(this.#of("trigon_hook_posted_total", policy));
  }

  /** Records of pods that the programs did not know. */
  get undecided(): number {
    return sum(this.#of("trigon_undecided_scope_records_total"));
  }

  #of(metric: string, policy?: string): string[] {
    const own = this.#lines.filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `));
    return policy === undefined ? own : own.filter((line) => line.includes(`policy="${policy}"`));
  }
}

function sum(lines: readonly string[]): number {
  return lines.reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
}

/** All agents, by node. */
export async function findAgents(): Promise<Agent[]> {
  const list = await getObject<{ items: { spec: { nodeName: string }; status: { podIP: string } }[] }>(
    ...["pods", "-n", DEFAULT_NAMESPACE, "-l", AGENT_POD_SELECTOR],
  );
  return (list?.items ?? [])
    .map(({ spec, status }) => ({ node: spec.nodeName, address: status.podIP }))
    .sort((a, b) => a.node.localeCompare(b.node));
}

/** What the agent counts now. */
export async function readMetrics({ address }: Agent): Promise<Metrics> {
  // A connection that is kept may be closed by the agent at the same moment.
  const response = await fetch(`http://${address}:2112/metrics`, { headers: { connection: "close" } });
  return new Metrics(await response.text());
}

/** Polls every agent until each one's metrics pass the check; throws after three minutes. */
export async function onEveryNode(
  agents: readonly Agent[],
  check: (metrics: Metrics, agent: Agent) => boolean,
): Promise<void> {
  await Promise.all(
    agents.map(async (agent) => {
      for (const end = Date.now() + LONGEST_MS; !check(await readMetrics(agent), agent); await delay(POLL_MS))
        assert.ok(Date.now() < end, `${agent.node}: no effect within ${LONGEST_MS / 1000} s`);
    }),
  );
}
