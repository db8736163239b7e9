/**
 * The control plane in large clusters: the real operator, API server and etcd; the nodes' Pods and TracingNodes are
 * written as kubelets and agents write them.
 *
 *   TRIGON_SCALE=50x5,500x50 npm run bench -- scale
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { StatusPublisher } from "../agent/status/publish.ts";
import { makeTracingNodeStatus } from "../agent/status/tracing-node.ts";
import { tracingNodeApi } from "../agent/status/tracing-node-api.ts";
import { AGENT_COMPONENT, LABELS, TRACING_NODES } from "../crds/names.ts";
import { type ControlPlane, startControlPlane } from "../e2e/control-plane/control-plane.ts";
import { applyCrds } from "../e2e/control-plane/crds.ts";
import { KubeClient } from "../lib/kube.ts";
import { createLogger } from "../lib/logger.ts";
import { CONFIG_MAPS, type KubeObject, NODES, PODS, type Resource } from "../lib/resources.ts";
import { ResourceWatch } from "../lib/watch.ts";
import { POLICY_RESOURCES, type PolicyObject } from "../operator/resources.ts";
import { SET_ID_CALLS } from "../policy/testing/policies.ts";
import { showTable, writeResult } from "./report.ts";

const NAMESPACE = "trigon-system";
const ROOT = resolve(import.meta.dirname, "..");
const POLICIES = POLICY_RESOURCES.TracingPolicy;
const WRITER = { fieldManager: "bench" };
const IN_FLIGHT = 16;
const DEFAULT_SIZES = "50x5,50x20,50x50,500x5,500x50";

const logger = createLogger({ component: "bench", level: "error" });

/** Prints a row per size: NODESxPOLICIES of TRIGON_SCALE. */
export async function run(): Promise<void> {
  const sizes = (process.env.TRIGON_SCALE ?? DEFAULT_SIZES)
    .split(",")
    .map((size) => size.split("x").map(Number));
  const rows: Record<string, string | number>[] = [];
  for (const [nodes = 0, policies = 0] of sizes) rows.push(await measure(nodes, policies));
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
  return new KubeClient({ server: new URL(plane.url), tls: { ca }, authorize }, { userAgent: "bench" });
}

/** A spec as the agents see it. */
interface Spec {
  name: string;
  hash: string;
}

class World {
  readonly #plane: ControlPlane;
  readonly #client: KubeClient;
  readonly #nodes: string[];
  readonly #policies: string[];
  readonly #publishers: StatusPublisher[];
  readonly #watch: ResourceWatch<PolicyObject>;
  readonly #reports: ResourceWatch<KubeObject>;
  /** Times of the writes of each policy's status. */
  readonly #writes = new Map<string, number[]>();
  #reportBytes = 0;
  #reportWrites = 0;
  #operator: ChildProcess | undefined;

  constructor(plane: ControlPlane, client: KubeClient, nodes: number, policies: number) {
    this.#plane = plane;
    this.#client = client;
    this.#nodes = Array.from({ length: nodes }, (_, i) => `ip-10-0-${i}.eu-central-1.compute.internal`);
    this.#policies = Array.from({ length: policies }, (_, i) => `credentials-of-team-${i}`);
    this.#publishers = this.#nodes.map(
      (node) =>
        new StatusPublisher({
          api: tracingNodeApi(client, node),
          cluster: { share: async () => 1 },
          logger,
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
    this.#reports = new ResourceWatch(
      { client, resource: TRACING_NODES, logger },
      {
        onUpdate: (report) => {
          this.#reportBytes += JSON.stringify(report).length;
          this.#reportWrites++;
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
    await inParallel(this.#nodes, (node) => this.#createNode(node));
    this.#operator = spawn(
      process.execPath,
      [
        `${ROOT}/operator/main.ts`,
        "--kubeconfig",
        this.#plane.kubeconfigPath,
        "--metrics-server",
        "127.0.0.1:0",
      ],
      { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, POD_NAMESPACE: NAMESPACE } },
    );
    for (const watch of [this.#watch, this.#reports]) {
      watch.start();
      await watch.waitForSync();
    }
  }

  async stop(): Promise<void> {
    for (const publisher of this.#publishers) publisher.close();
    await Promise.all([this.#watch.stop(), this.#reports.stop()]);
    const ended = this.#operator && once(this.#operator, "exit");
    this.#operator?.kill("SIGKILL");
    await ended;
    this.#client.transport.close();
  }

  async measure(): Promise<Record<string, string | number>> {
    const appliedAt = Date.now();
    await inParallel(this.#policies, (name) => this.#applyPolicy(name, 0));
    await this.#writeReports(await this.#specs(() => true));
    const rollout = await this.#untilReady();
    const applied = seconds(Date.now() - appliedAt);
    const tracingNode = await this.#sizeOf(TRACING_NODES, this.#nodes[0] ?? "");
    const policy = await this.#sizeOf(POLICIES, this.#policies[0] ?? "");

    const before = { cpu: await this.#apiCpuMs(), bytes: this.#reportBytes, writes: this.#reportWrites };
    const [edited = ""] = this.#policies;
    const old = (await this.#specs(() => true)).find(({ name }) => name === edited)?.hash;
    const idleMs = await this.#idleCpuMs();
    const editedAt = Date.now();
    before.cpu = await this.#apiCpuMs();
    await this.#applyPolicy(edited, 1);
    await this.#writeReports(
      await this.#specs((specs) => specs.some(({ name, hash }) => name === edited && hash !== old)),
    );
    const ready = await this.#untilReady();
    const elapsedMs = Date.now() - editedAt;
    const writes = this.#reportWrites - before.writes;
    const cpuMs = (await this.#apiCpuMs()) - before.cpu - idleMs * elapsedMs;
    const bytes = this.#reportBytes - before.bytes;

    await this.#writeReports(
      await this.#specs(() => true),
      "spec.kprobes[0] sys_setuid: attach fentry __x64_sys_setuid: EPERM (the kernel refuses tracing programs), attach kprobe __x64_sys_setuid: EPERM",
    );
    await this.#untilFailed();
    return {
      nodes: this.#nodes.length,
      policies: this.#policies.length,
      "policy B": policy,
      "policy that fails everywhere B": await this.#sizeOf(POLICIES, edited),
      "TracingNode B": tracingNode,
      "API server CPU ms per write": Math.round((cpuMs / writes) * 10) / 10,
      "bytes to a watcher per edit KB": Math.round(bytes / 1000),
      "apply to Ready s": applied,
      "last report to Ready s": rollout,
      "edit: last report to Ready s": ready,
      "most status writes per policy and minute": this.#mostWrites(),
      "operator CPU s": await this.#operatorCpu(),
      "operator RSS MiB": await this.#operatorRss(),
      requests: await this.#requests(),
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
    return until(async () => {
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
    const facts = {
      agentVersion: "0.1.0",
      bootTime: "2026-11-24T20:00:00Z",
      kernel: {
        release: "6.1.0-29-cloud-amd64",
        architecture: "x86_64",
        features: {
          btf: true,
          ringBuffer: true,
          currentTaskBtf: true,
          bpfLoop: true,
          kprobeMulti: false,
          bpfLsm: true,
          fentry: true,
          kprobe: true,
        },
        reasons: { kprobeMulti: "the kernel is older than 5.18 or built without CONFIG_FPROBE" },
      },
    };
    const hooks = SET_ID_CALLS.map((call, i) => ({
      path: `spec.kprobes[${i}]`,
      call: `sys_${call}`,
      function: `__x64_sys_${call}`,
      ...(failure === undefined
        ? { state: "Attached" as const, attach: "fentry" as const }
        : { state: "Failed" as const, reason: "AttachFailed" as const, message: failure }),
    }));
    const outcomes = specs.map(({ name, hash }) => ({
      ref: { kind: "TracingPolicy" as const, name },
      specHash: hash,
      hooks,
      ...(failure === undefined
        ? { state: "Attached" as const, attachedHash: hash }
        : { state: "Failed" as const, reason: "AttachFailed" as const, message: failure }),
    }));
    const status = makeTracingNodeStatus(facts, outcomes);
    const done = this.#reportWrites + this.#nodes.length;
    for (const publisher of this.#publishers) publisher.publish(status);
    await until(async () => this.#reportWrites >= done || undefined);
  }

  async #untilReady(): Promise<number> {
    const since = Date.now();
    await until(async () => this.#every("True") || undefined);
    return seconds(Date.now() - since);
  }

  async #untilFailed(): Promise<void> {
    await until(async () => this.#every("False") || undefined);
  }

  #every(status: string): boolean {
    return [...this.#watch.store.values()].every(({ metadata, status: now }) => {
      const ready = now?.conditions.find(({ type }) => type === "Ready");
      return ready?.status === status && ready.observedGeneration === metadata.generation;
    });
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

  async #operatorRss(): Promise<number> {
    const text = await readFile(`/proc/${this.#operator?.pid}/status`, "utf8");
    return Math.round(Number(/VmHWM:\s*(\d+)/.exec(text)?.[1]) / 1024);
  }

  async #operatorCpu(): Promise<number> {
    const fields =
      (await readFile(`/proc/${this.#operator?.pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const lane = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

async function until<T>(check: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + 600_000;
  for (;;) {
    const found = await check();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error("did not happen within ten minutes");
    await new Promise((later) => setTimeout(later, 100));
  }
}
