/**
 * The control plane in large clusters: the real operator, API server and etcd; the nodes' Pods and TracingNodes are
 * written as kubelets and agents write them.
 *
 *   TRIGON_SCALE=50x5,500x50 npm run bench -- scale
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parse } from "yaml";
import { StatusPublisher } from "../agent/status/publish.ts";
import { type TracingNode, tracingNodeApi } from "../agent/status/tracing-node-api.ts";
import { AGENT_COMPONENT, LABELS, TRACING_NODES } from "../crds/names.ts";
import { freePort } from "../e2e/api-server/api-clients.ts";
import { type ControlPlane, startControlPlane } from "../e2e/control-plane/control-plane.ts";
import { applyCrds } from "../e2e/control-plane/crds.ts";
import { bundlePrograms } from "../e2e/image/bundle.ts";
import { step } from "../e2e/progress.ts";
import { waitUntil } from "../e2e/waiting.ts";
import { ApiTransport } from "../lib/api-transport.ts";
import { KubeClient } from "../lib/kube.ts";
import { createLogger } from "../lib/logger.ts";
import { CONFIG_MAPS, NODES, PODS, type Resource } from "../lib/resources.ts";
import { exitOf } from "../lib/testing/child-process.ts";
import { ResourceWatch } from "../lib/watch.ts";
import { LEASE_TIMING } from "../operator/cluster/lease.ts";
import { POLICY_RESOURCES, type PolicyObject } from "../operator/resources.ts";
import { SET_ID_CALLS } from "../policy/testing/set-id-calls.ts";
import { showTable, writeResult } from "./report.ts";
import { makeReport, type Spec } from "./scale-reports.ts";
import { measureRestart } from "./scale-restart.ts";
import { inTurn } from "./turns.ts";

const NAMESPACE = "trigon-system";
const ROOT = resolve(import.meta.dirname, "..");
/** The programs as they are in the image: Node needs 90 MiB more to run the sources. */
const IMAGE = `${ROOT}/build/bench/image`;
const POLICIES = POLICY_RESOURCES.TracingPolicy;
const WRITER = { fieldManager: "bench" };
/** As many as the transport has connections. */
const IN_FLIGHT = 8;
const REST_MS = 30_000;
/** Fewer writes than this cost the API server too little CPU to be told from what it does anyway. */
const COUNTED_WRITES = 500;
/** Each agent has six connections, of which this machine has 28,000. */
const RESTARTED = 1_000;
const DEFAULT_SIZES = "50x5,50x20,50x50,500x5,500x50";
const FAILURE =
  "spec.kprobes[0] sys_setuid: attach fentry __x64_sys_setuid: EPERM (the kernel refuses tracing programs), attach kprobe __x64_sys_setuid: EPERM";

const READY_DELAY = "trigon_operator_ready_delay_seconds";

const progress = (line: string) => void process.stderr.write(`${new Date().toISOString()} ${line}\n`);
const logger = createLogger({ component: "bench", level: "error" });

/** Prints a row per size: NODESxPOLICIES of TRIGON_SCALE. */
export async function run(): Promise<void> {
  const sizes = (process.env.TRIGON_SCALE ?? DEFAULT_SIZES)
    .split(",")
    .map((size) => size.split("x").map(Number));
  await bundlePrograms(ROOT, IMAGE);
  const rows: Record<string, string | number>[] = [];
  for (const [nodes = 0, policies = 0] of sizes) {
    const row = await measure(nodes, policies);
    console.log(JSON.stringify(row)); // a later size takes minutes, and may not come to its end
    rows.push(row);
  }
  const names = Object.keys(rows[0] ?? {});
  const columns = (name: string) =>
    Object.fromEntries(rows.map((row) => [`${row.nodes}x${row.policies}`, row[name]]));
  const table = names.map((name) => ({ what: name, ...columns(name) }));
  showTable("nodes x policies of 8 hooks; an edit changes one policy on every node", table);
  await writeResult("scale", rows);
}

async function measure(nodeCount: number, policyCount: number): Promise<Record<string, string | number>> {
  const plane = await startControlPlane();
  const world = new World(plane, await connect(plane), nodeCount, policyCount);
  try {
    await applyCrds(plane);
    await world.start();
    return await world.measure();
  } finally {
    await world.stop();
    await plane.stop();
  }
}

async function connect(plane: ControlPlane): Promise<KubeClient> {
  const ca = await readFile(plane.caFile);
  const authorize = async () => ({ authorization: `Bearer ${plane.adminToken}` });
  const access = { server: new URL(plane.url), tls: { ca }, authorize };
  const options = { userAgent: "bench" };
  return new KubeClient(access, options, inTurn(new ApiTransport(access, options), IN_FLIGHT));
}

/** How the operator's Deployment starts Node: its flags, and the variables that have values of their own. */
async function nodeSettings(): Promise<{ flags: string[]; variables: Record<string, string> }> {
  const manifest = parse(await readFile(`${ROOT}/manifests/base/operator-deployment.yaml`, "utf8"));
  const { command, env } = manifest.spec.template.spec.containers[0];
  const fixed = (env as { name: string; value?: string }[]).flatMap(({ name, value }) =>
    value === undefined ? [] : [[name, value] as const],
  );
  return { flags: command.slice(1, -1), variables: Object.fromEntries(fixed) };
}

class World {
  readonly #plane: ControlPlane;
  readonly #client: KubeClient;
  readonly #nodes: string[];
  readonly #policies: string[];
  readonly #publishers: StatusPublisher[];
  readonly #watch: ResourceWatch<PolicyObject>;
  readonly #reports: ResourceWatch<TracingNode>;
  /** Times of the writes of each policy's status. */
  readonly #writes = new Map<string, number[]>();
  /** Nodes whose report has changed since all were asked for one. */
  readonly #reported = new Set<string>();
  #reportBytes = 0;
  #reportWrites = 0;
  #operator: ChildProcess | undefined;
  #metricsPort = 0;

  constructor(plane: ControlPlane, client: KubeClient, nodes: number, policies: number) {
    this.#plane = plane;
    this.#client = client;
    this.#nodes = Array.from({ length: nodes }, (_, i) => `ip-10-0-${i}.eu-central-1.compute.internal`);
    this.#policies = Array.from({ length: policies }, (_, i) => `credentials-of-team-${i}`);
    this.#publishers = this.#nodes.map(
      (node) =>
        new StatusPublisher({
          api: tracingNodeApi(client, node),
          logger,
          cluster: { share: async () => Math.min(1, nodes / 5_000) },
          random: Math.random,
        }),
    );
    this.#watch = new ResourceWatch(
      { client, resource: POLICIES, logger },
      {
        onUpdate: (policy: PolicyObject, before: PolicyObject) => {
          if (policy.metadata.generation === before.metadata.generation)
            this.#writes.set(policy.metadata.name, [
              ...(this.#writes.get(policy.metadata.name) ?? []),
              Date.now(),
            ]);
        },
      },
    );
    this.#reports = new ResourceWatch<TracingNode>(
      { client, resource: TRACING_NODES, logger },
      {
        onUpdate: (report) => {
          this.#reportBytes += JSON.stringify(report).length;
          this.#reportWrites++;
          this.#reported.add(report.metadata.name);
        },
      },
    );
  }

  async start(): Promise<void> {
    await this.#client.create(
      { ...NODES, plural: "namespaces", kind: "Namespace" },
      { metadata: { name: NAMESPACE } },
      WRITER,
    );
    const account = { metadata: { name: "trigon-agent", namespace: NAMESPACE } };
    await this.#client.create(
      { ...PODS, plural: "serviceaccounts", kind: "ServiceAccount" },
      account,
      WRITER,
    );
    await step(progress, `${this.#nodes.length} nodes`, () =>
      inParallel(this.#nodes, (node) => this.#createNode(node)),
    );
    await this.#startOperator();
    for (const watch of [this.#watch, this.#reports]) {
      watch.start();
      await watch.waitForSync();
    }
  }

  async #startOperator(): Promise<void> {
    this.#metricsPort = await freePort();
    this.#operator = await this.#spawnOperator("operator-0", this.#metricsPort);
  }

  async #spawnOperator(replica: string, metricsPort: number): Promise<ChildProcess> {
    const { flags, variables } = await nodeSettings();
    return spawn(
      process.execPath,
      [
        ...flags,
        `${IMAGE}/operator/main.js`,
        "--kubeconfig",
        this.#plane.kubeconfigPath,
        "--metrics-server",
        `127.0.0.1:${metricsPort}`,
      ],
      {
        stdio: ["ignore", "ignore", "inherit"],
        env: { ...process.env, ...variables, POD_NAMESPACE: NAMESPACE, POD_NAME: replica },
      },
    );
  }

  async stop(): Promise<void> {
    for (const publisher of this.#publishers) publisher.close();
    await Promise.all([this.#watch.stop(), this.#reports.stop()]);
    this.#operator?.kill("SIGKILL");
    if (this.#operator) await exitOf(this.#operator);
    this.#client.transport.close();
  }

  async measure(): Promise<Record<string, string | number>> {
    const appliedAt = Date.now();
    await inParallel(this.#policies, (name) => this.#applyPolicy(name, 0));
    const all = await this.#specs(() => true);
    const distributed = seconds(Date.now() - appliedAt);
    await this.#writeReports(all);
    const rollout = await this.#untilReady();
    const applied = seconds(Date.now() - appliedAt);
    const tracingNode = await this.#sizeOf(TRACING_NODES, this.#nodes[0] ?? "");
    const policy = await this.#sizeOf(POLICIES, this.#policies[0] ?? "");

    const lastReport = { ...(await this.#readyDelay()), cpu: rollout.operatorCpu };
    const edits = await this.#edits();
    const restart = await this.#restart();
    await this.#writeReports(await this.#specs(() => true), FAILURE);
    await this.#until("every policy not Ready", () => this.#count("False") === this.#policies.length);
    return {
      nodes: this.#nodes.length,
      policies: this.#policies.length,
      "policy B": policy,
      "policy that fails everywhere B": await this.#sizeOf(POLICIES, this.#policies[0] ?? ""),
      "TracingNode B": tracingNode,
      "TracingNode on which all fails B": await this.#sizeOf(TRACING_NODES, this.#nodes[0] ?? ""),
      ...edits,
      "apply to all specs distributed s": distributed,
      "operator's part of apply to all attached s": Math.round((distributed + rollout.seconds) * 10) / 10,
      "apply to Ready, with the writes of all agents s": applied,
      "last report to Ready s": rollout.seconds,
      "of this, the operator's CPU s": lastReport.cpu,
      "last report at the operator to Ready, mean s": lastReport.mean,
      "last report at the operator to Ready, most at most s": lastReport.atMost,
      ...restart,
      "most status writes per policy and minute": this.#mostWrites(),
      "operator CPU s": await this.#operatorCpu(),
      "operator peak RSS MiB": await this.#operatorMemory("VmHWM"),
      "operator RSS at rest MiB": await this.#atRest(),
      "when all fails: a new operator works after s": await this.#replaceOperator(),
      requests: await this.#requests(),
      "the leader is killed: the next one has written after s": await this.#failOver(),
    };
  }

  async #createNode(node: string): Promise<void> {
    await this.#client.create(NODES, { metadata: { name: node } }, WRITER);
    const at = { name: `trigon-agent-${node}`.slice(0, 63), namespace: NAMESPACE };
    const pod = {
      metadata: { ...at, labels: { [LABELS.name]: "trigon", [LABELS.component]: AGENT_COMPONENT } },
      spec: {
        nodeName: node,
        serviceAccountName: "trigon-agent",
        automountServiceAccountToken: false,
        containers: [{ name: "agent", image: "none" }],
      },
    };
    const status = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
    await this.#client.create(PODS, pod, WRITER);
    await this.#client.mergePatch(PODS, at, { status }, { ...WRITER, subresource: "status" });
  }

  async #applyPolicy(name: string, argument: number): Promise<void> {
    const kprobes = SET_ID_CALLS.map((call) => ({
      call: `sys_${call}`,
      syscall: true,
      args: [{ index: 0, type: "int", label: `id${argument}` }],
    }));
    const policy = { kind: "TracingPolicy" as const, metadata: { name }, spec: { kprobes } };
    await this.#client.apply<PolicyObject>(POLICIES, policy, WRITER);
  }

  /** The newest spec of each policy, once there is one for each and they are as wanted. */
  #specs(areWanted: (specs: readonly Spec[]) => boolean): Promise<Spec[]> {
    return this.#until("hook specs", async () => {
      const objects = await this.#client.list(CONFIG_MAPS, {
        namespace: NAMESPACE,
        labelSelector: LABELS.policy,
      });
      const newest = new Map<string, { revision: number; hash: string }>();
      for (const { metadata } of objects) {
        const name = metadata.annotations?.[LABELS.policyKey]?.split("/")[1] ?? "";
        const revision = Number(metadata.annotations?.[LABELS.revision]);
        const hash = metadata.labels?.[LABELS.specHash] ?? "";
        if (revision > (newest.get(name)?.revision ?? 0)) newest.set(name, { revision, hash });
      }
      const specs = [...newest].map(([name, { hash }]) => ({ name, hash }));
      return specs.length === this.#policies.length && areWanted(specs) ? specs : undefined;
    });
  }

  /** Every agent reports these specs, and resolves when the API server has it. */
  async #writeReports(specs: readonly Spec[], failure?: string): Promise<void> {
    const status = makeReport(specs, { failure });
    this.#reported.clear();
    for (const publisher of this.#publishers) publisher.publish(status);
    await this.#until("every agent's report", () => this.#reported.size === this.#nodes.length);
  }

  /** How long it takes from now, and how much of a CPU the operator uses meanwhile. */
  async #untilReady(): Promise<{ seconds: number; operatorCpu: number }> {
    const since = Date.now();
    const cpu = await this.#operatorCpu();
    await this.#until("every policy Ready", () => this.#count("True") === this.#policies.length);
    return { seconds: seconds(Date.now() - since), operatorCpu: round((await this.#operatorCpu()) - cpu) };
  }

  /** Edits one policy after the other, each on every node, until there are enough writes to count their cost. */
  async #edits(): Promise<Record<string, number>> {
    const idleMs = await this.#idleCpuMs();
    const since = { cpu: await this.#apiCpuMs(), bytes: this.#reportBytes, at: Date.now() };
    const writesBefore = this.#reportWrites;
    const ready: number[] = [];
    while (this.#reportWrites - writesBefore < COUNTED_WRITES) {
      const edited = this.#policies[ready.length % this.#policies.length] ?? "";
      const before = await this.#specs(() => true);
      const old = before.find(({ name }) => name === edited)?.hash;
      await this.#applyPolicy(edited, ready.length + 1);
      const isNew = (specs: readonly Spec[]) =>
        specs.some(({ name, hash }) => name === edited && hash !== old);
      await this.#writeReports(await this.#specs(isNew));
      ready.push((await this.#untilReady()).seconds);
    }
    const cpuMs = (await this.#apiCpuMs()) - since.cpu - idleMs * (Date.now() - since.at);
    return {
      "API server CPU ms per write": round(cpuMs / (this.#reportWrites - writesBefore)),
      "bytes to a watcher per edit KB": Math.round((this.#reportBytes - since.bytes) / ready.length / 1000),
      "edit: last report to Ready, longest s": Math.max(...ready),
    };
  }

  async #restart(): Promise<Record<string, string | number>> {
    const nodes = this.#nodes.slice(0, RESTARTED);
    const hasVersion = (version: string) => (node: string) =>
      this.#reports.store.get(node)?.status?.agentVersion === version;
    return measureRestart({
      plane: this.#plane,
      admin: this.#client,
      nodes,
      specs: await this.#specs(() => true),
      untilReported: async (version) => {
        await this.#until("agents that restart", () => nodes.every(hasVersion(version)));
      },
    });
  }

  /** Waits as long as reports or statuses change. */
  #until<T>(what: string, probe: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
    const state = async () =>
      `${this.#reported.size} nodes, ${this.#count("True")} policies Ready, ${this.#count("False")} not`;
    return step(progress, what, () =>
      waitUntil({ what, probe: async () => probe(), state, intervalMs: 100 }),
    );
  }

  /** How many policies have this status of Ready for their newest spec. */
  #count(status: string): number {
    return [...this.#watch.store.values()].filter(({ metadata, status: now }) => {
      const ready = now?.conditions.find(({ type }) => type === "Ready");
      return ready?.status === status && ready.observedGeneration === metadata.generation;
    }).length;
  }

  #mostWrites(): number {
    const inMinute = (times: number[]) =>
      times.map((from) => times.filter((at) => at >= from && at < from + 60_000).length);
    return Math.max(...[...this.#writes.values()].flatMap(inMinute));
  }

  async #sizeOf(resource: Resource, name: string): Promise<number> {
    return JSON.stringify(await this.#client.get(resource, { name })).length;
  }

  async #metrics(): Promise<string> {
    return (await this.#client.transport.send({ method: "GET", path: "/metrics" })).text;
  }

  async #apiCpuMs(): Promise<number> {
    return Number(/^process_cpu_seconds_total (\S+)$/m.exec(await this.#metrics())?.[1]) * 1000;
  }

  /** CPU that the API server uses for itself, per millisecond. */
  async #idleCpuMs(): Promise<number> {
    const before = await this.#apiCpuMs();
    const since = Date.now();
    await new Promise((later) => setTimeout(later, 5_000));
    return ((await this.#apiCpuMs()) - before) / (Date.now() - since);
  }

  async #requests(): Promise<string> {
    const counts = new Map<string, number>();
    for (const [, labels = "", value] of (await this.#metrics()).matchAll(
      /^apiserver_request_total\{(.*)\} (\S+)$/gm,
    )) {
      const [, resource = ""] = /resource="([^"]*)"/.exec(labels) ?? [];
      if (!/tracing|configmaps|events|leases/.test(resource)) continue;
      const verb = /verb="([^"]*)"/.exec(labels)?.[1] ?? "";
      counts.set(verb, (counts.get(verb) ?? 0) + Number(value));
    }
    return [...counts]
      .sort()
      .map(([verb, count]) => `${verb} ${count}`)
      .join(", ");
  }

  /** In MiB, by its name in /proc/PID/status. */
  async #operatorMemory(name: "VmHWM" | "VmRSS"): Promise<number> {
    const text = await readFile(`/proc/${this.#operator?.pid}/status`, "utf8");
    return Math.round(Number(new RegExp(`${name}:\\s*(\\d+)`).exec(text)?.[1]) / 1024);
  }

  /** Some time after the last change. */
  async #atRest(): Promise<number> {
    await new Promise((later) => setTimeout(later, REST_MS));
    return this.#operatorMemory("VmRSS");
  }

  /** By the operator's own clock, from the histogram of its metrics. */
  async #readyDelay(): Promise<{ mean: number; atMost: number }> {
    const text = await (await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`)).text();
    const read = (name: string) => Number(new RegExp(`^${READY_DELAY}_${name} (\\S+)$`, "m").exec(text)?.[1]);
    const count = read("count");
    const buckets = [...text.matchAll(new RegExp(`^${READY_DELAY}_bucket\\{le="(\\S+)"\\} (\\d+)$`, "gm"))];
    const [, limit = ""] = buckets.find(([, , within]) => Number(within) === count) ?? [];
    return { mean: round(read("sum") / count), atMost: Number(limit) };
  }

  /** Ends the operator, which gives its lease back, and starts another; until this has read everything. */
  async #replaceOperator(): Promise<number> {
    this.#operator?.kill("SIGTERM");
    if (this.#operator) await exitOf(this.#operator);
    const since = Date.now();
    await this.#startOperator();
    await this.#until("a new operator", async () => {
      const answer = await fetch(`http://127.0.0.1:${this.#metricsPort}/readyz`);
      return answer.ok && (await answer.text()).includes("tracingnodes");
    });
    return seconds(Date.now() - since);
  }

  /**
   * Where everything is attached, kills the leader while a second replica waits and a policy is edited; until the new
   * leader has written the spec of the edit.
   */
  async #failOver(): Promise<number> {
    await this.#writeReports(await this.#specs(() => true));
    await this.#untilReady();
    const port = await freePort();
    const second = await this.#spawnOperator("operator-1", port);
    await this.#until("a second replica", async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
    // Since when the lease is unchanged is counted from the replica's first look at it.
    await new Promise((later) => setTimeout(later, LEASE_TIMING.durationMs));
    const [edited = ""] = this.#policies;
    const hashOf = (specs: readonly Spec[]) => specs.find(({ name }) => name === edited)?.hash;
    const old = hashOf(await this.#specs(() => true));
    this.#operator?.kill("SIGKILL");
    if (this.#operator) await exitOf(this.#operator);
    const since = Date.now();
    this.#operator = second;
    this.#metricsPort = port;
    await this.#applyPolicy(edited, -1);
    await this.#specs((specs) => hashOf(specs) !== old);
    return seconds(Date.now() - since);
  }

  async #operatorCpu(): Promise<number> {
    const fields =
      (await readFile(`/proc/${this.#operator?.pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }
}

function seconds(ms: number): number {
  return round(ms / 1000);
}

function round(number: number): number {
  return Math.round(number * 10) / 10;
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const lane = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}
