/** Installs Trigon in a test cluster, as a user would. */
import { resolve } from "node:path";
import { DEFAULT_NAMESPACE } from "../../crds/names.ts";
import { type Progress, step } from "../progress.ts";
import { waitUntil } from "../waiting.ts";
import type { Cluster } from "./cluster.ts";

const OVERLAY = resolve(import.meta.dirname, "../../manifests/overlays/default");
const POD_COLUMNS = "NAME:.metadata.name,PHASE:.status.phase,CONDITIONS:.status.conditions[*].message";

/** Applies manifests/overlays/default and resolves when the operator and an agent on every node are ready. */
export async function installTrigon(cluster: Cluster, progress: Progress): Promise<void> {
  await step(progress, "install Trigon (kubectl apply -k manifests/overlays/default)", () => apply(cluster));
  await step(progress, "operator and agents ready", () =>
    waitUntil({
      what: "operator and agents ready",
      probe: async () => {
        const [operator, agents] = await Promise.all([readyOperators(cluster), readyAgents(cluster)]);
        return operator >= 1 && agents === cluster.nodes.length;
      },
      state: () =>
        cluster.kubectl("get", "pods", "-n", DEFAULT_NAMESPACE, "-o", `custom-columns=${POD_COLUMNS}`),
      intervalMs: 500,
    }),
  );
}

/** The first attempt may be refused: the API server may not serve a CRD yet that was created a moment ago. */
async function apply(cluster: Cluster): Promise<void> {
  const attempt = () => cluster.kubectl("apply", "--server-side", "-k", OVERLAY);
  await attempt().catch(attempt);
}

function readyOperators(cluster: Cluster): Promise<number> {
  return count(cluster, "deployments/trigon-operator", "readyReplicas");
}

function readyAgents(cluster: Cluster): Promise<number> {
  return count(cluster, "daemonsets/trigon-agent", "numberReady");
}

async function count({ plane }: Cluster, object: string, field: string): Promise<number> {
  const path = `/apis/apps/v1/namespaces/${DEFAULT_NAMESPACE}/${object}`;
  const { status } = await plane.get<{ status: Record<string, number | undefined> }>(path);
  return status[field] ?? 0;
}

/** Pods, their events and the ends of their logs, to explain a failure. */
export async function describeTrigon(cluster: Cluster, lines: number): Promise<string> {
  const show = (...args: string[]) => cluster.kubectl(...args).catch((error: Error) => `${error.message}\n`);
  const namespace = ["-n", DEFAULT_NAMESPACE];
  const names = (await show("get", "pods", ...namespace, "-o", "jsonpath={.items[*].metadata.name}")).split(
    " ",
  );
  const parts = [
    await show("get", "nodes,pods", "-A", "-o", "wide"),
    await show("get", "events", "-A", "--sort-by=.lastTimestamp"),
    await show("get", "tracingpolicies,tracingpoliciesnamespaced", "-A", "-o", "wide"),
  ];
  for (const name of names.filter(Boolean)) {
    const logs = (...options: string[]) => cluster.kubectl("logs", ...namespace, name, ...options);
    parts.push(`--- ${name}\n`, await logs().catch((error: Error) => `${error.message}\n`));
    parts.push(await logs("--previous").catch(() => ""));
  }
  return parts.map((text) => lastLines(text, lines)).join("");
}

/** Leaves out the events that agents export, because they are many. */
function lastLines(text: string, count: number): string {
  const lines = text.split("\n").filter((line) => !line.startsWith('{"process_'));
  return lines.slice(-count - 1).join("\n");
}
