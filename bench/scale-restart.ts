/** Agents that start at the same moment, as after an upgrade: what they ask of the API server, second by second. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Cluster } from "../agent/cluster.ts";
import { asNode } from "../agent/pods/pod-client.ts";
import { PodStore } from "../agent/pods/pod-store.ts";
import { TRACING_NODES } from "../crds/names.ts";
import type { ControlPlane } from "../e2e/control-plane/control-plane.ts";
import { runProgram } from "../e2e/guest/program.ts";
import { type ApiRequest, ApiTransport, type Transport } from "../lib/api-transport.ts";
import type { ClusterAccess } from "../lib/cluster-access.ts";
import { KubeClient } from "../lib/kube.ts";
import { createLogger } from "../lib/logger.ts";
import { createRegistry, createWatchMetrics } from "../lib/metrics.ts";
import { makeReport, type Spec } from "./scale-reports.ts";

const NAMESPACE = "trigon-system";
const MANIFESTS = join(import.meta.dirname, "../manifests/base");
const USER_AGENT = { userAgent: "trigon-agent/bench" };

/** What is counted, and what waits for its end. */
export interface RestartDeps {
  plane: ControlPlane;
  admin: KubeClient;
  nodes: readonly string[];
  specs: readonly Spec[];
  /** Resolves when the TracingNodes of all these nodes have this version. */
  untilReported(version: string): Promise<void>;
}

/** Requests of all agents by second and by what they are. */
class RequestCount {
  readonly #startedAt = performance.now();
  readonly #bySecond: number[] = [];
  readonly #byKind = new Map<string, number>();
  /** Requests that the API server was too busy for. */
  refused = 0;
  unanswered = 0;

  /** Passes the answer on. */
  async watch<T>(sent: Promise<T>, statusOf: (answer: T) => number): Promise<T> {
    try {
      const answer = await sent;
      if (statusOf(answer) === 429) this.refused++;
      return answer;
    } catch (error) {
      this.unanswered++;
      throw error;
    }
  }

  note(kind: string): void {
    const second = Math.floor((performance.now() - this.#startedAt) / 1_000);
    this.#bySecond[second] = (this.#bySecond[second] ?? 0) + 1;
    this.#byKind.set(kind, (this.#byKind.get(kind) ?? 0) + 1);
  }

  get seconds(): number[] {
    return Array.from(this.#bySecond, (count = 0) => count);
  }

  /** `GET nodes 1, ...`, per agent. */
  perAgent(agents: number): string {
    const kinds = [...this.#byKind].sort(([a], [b]) => (a < b ? -1 : 1));
    return kinds.map(([kind, count]) => `${kind} ${Math.round((count / agents) * 100) / 100}`).join(", ");
  }
}

/** Restarts all agents at once with another version, and everything of them that speaks to the API server. */
export async function measureRestart(deps: RestartDeps): Promise<Record<string, string | number>> {
  const { plane, admin, nodes } = deps;
  for (const file of ["agent-rbac", "tracingnode-guard"])
    await runProgram(plane.binaries.kubectl, [
      ...["--kubeconfig", plane.kubeconfigPath, "apply", "--server-side", "--force-conflicts"],
      ...["-f", `${MANIFESTS}/${file}.yaml`],
    ]);
  const ca = await readFile(plane.caFile);
  const accesses: [node: string, access: ClusterAccess][] = [];
  for (const node of nodes) {
    const token = await tokenOf(admin, node);
    const authorize = async () => ({ authorization: `Bearer ${token}` });
    accesses.push([node, { server: new URL(plane.url), tls: { ca }, authorize }]);
  }
  const count = new RequestCount();
  const agents = accesses.map(([node, access]) => startAgent(node, access, deps.specs, count));
  await deps.untilReported(VERSION);
  const { seconds, refused, unanswered } = count;
  for (const stop of agents) await stop();
  const total = seconds.reduce((sum, requests) => sum + requests, 0);
  return {
    "restart: agents": nodes.length,
    "restart: requests per agent": Math.round((total / nodes.length) * 10) / 10,
    "restart: most requests in a second": Math.max(...seconds),
    "restart: requests per second until all have reported": Math.round(total / seconds.length),
    "restart: seconds until all have reported": seconds.length,
    "restart: refused because the server is busy (429)": refused,
    "restart: without an answer": unanswered,
    "restart: requests in each second": seconds.join(" "),
    "restart: each agent": count.perAgent(nodes.length),
  };
}

const VERSION = "0.2.0";

/** The token that a pod on the node has. */
async function tokenOf(admin: KubeClient, node: string): Promise<string> {
  const boundObjectRef = { apiVersion: "v1", kind: "Node", name: node };
  const { text } = await admin.transport.send({
    method: "POST",
    path: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/trigon-agent/token`,
    body: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { audiences: [], expirationSeconds: 3_600, boundObjectRef },
    },
  });
  return (JSON.parse(text) as { status: { token: string } }).status.token;
}

/** All that an agent has of the cluster; its hooks count as attached when its specs are there. Returns how to stop it. */
function startAgent(
  nodeName: string,
  access: ClusterAccess,
  specs: readonly Spec[],
  count: RequestCount,
): () => Promise<void> {
  const transport = counted(new ApiTransport(access, USER_AGENT), count);
  const cluster = new Cluster({
    client: new KubeClient(access, USER_AGENT, transport),
    podClient: new KubeClient(access, USER_AGENT, asNode(transport, nodeName)),
    nodeName,
    namespace: NAMESPACE,
    podStore: new PodStore(),
    logger: createLogger({ component: "agent", level: "error" }),
    metrics: createWatchMetrics(createRegistry({ component: "agent", version: "", defaultMetrics: false })),
  });
  const report = makeReport(specs, { agentVersion: VERSION });
  cluster.source.onChange(() => {
    if (cluster.source.desired()?.size === specs.length) cluster.publisher.publish(report);
  });
  cluster.start();
  return async () => {
    await cluster.stop();
    transport.close();
  };
}

function counted(transport: Transport, count: RequestCount): Transport {
  return {
    send: (request) => {
      count.note(`${request.method} ${resourceOf(request)}`);
      return count.watch(transport.send(request), ({ status }) => status);
    },
    open: (request, signal) => {
      count.note(`watch ${resourceOf(request)}`);
      return count.watch(transport.open(request, signal), ({ statusCode = 0 }) => statusCode);
    },
    close: () => transport.close(),
  };
}

/** `tracingnodes` or `tracingnodes/status`, whichever the path is about. */
function resourceOf({ path, query }: ApiRequest): string {
  const resource = ["configmaps", "nodes", "pods", TRACING_NODES.plural].findLast((name) =>
    path.includes(`/${name}`),
  );
  const what = path.endsWith("/status") ? `${resource}/status` : resource;
  return query?.dryRun === undefined ? `${what}` : `${what} (dry run)`;
}
