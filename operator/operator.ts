/** The operator as a whole: watches feed two queues, one distributes specs, one publishes statuses. */
import type { Registry } from "prom-client";
import { hookSpecConfigMapName, parsePolicyKey, policyKey } from "../crds/names.ts";
import type { KubeClient } from "../lib/kube.ts";
import type { Logger } from "../lib/logger.ts";
import { createWatchMetrics } from "../lib/metrics.ts";
import { WorkQueue } from "../lib/work-queue.ts";
import type { Compile } from "./compiler.ts";
import type { SpecObject } from "./distribute/config-map.ts";
import { SpecStore } from "./distribute/spec-store.ts";
import { createOperatorMetrics } from "./metrics.ts";
import { type ReconcileDeps, reconcile } from "./reconcile.ts";
import { type PolicyObject, policyRefOf } from "./resources.ts";
import { Sources } from "./sources.ts";
import { EventRecorder } from "./status/events.ts";
import { NodeIndex } from "./status/node-index.ts";
import { StatusPublisher } from "./status/publish.ts";
import { StatusReporter } from "./status/reporter.ts";

/** What the operator works with. */
export interface OperatorDeps {
  client: KubeClient;
  compile: Compile;
  /** Where the agents and their specs are. */
  namespace: string;
  /** Pod name, shown on Events. */
  instance: string;
  logger: Logger;
  registry: Registry;
  now?: () => number;
}

/** Key prefix of ConfigMaps whose content names no policy. */
const DAMAGED = "ConfigMap/";

/** start() once, stop() once; whoever holds the leader's lease may do so. */
export class Operator {
  readonly #logger: Logger;
  readonly #sources: Sources;
  readonly #nodes: NodeIndex;
  readonly #specs: SpecStore;
  readonly #reporter: StatusReporter;
  readonly #specQueue: WorkQueue;
  readonly #statusQueue: WorkQueue;
  #isRunning = false;

  constructor(deps: OperatorDeps) {
    const { client, namespace, logger, registry, instance, now = Date.now } = deps;
    this.#logger = logger;
    const metrics = createOperatorMetrics(registry, {
      queueDepth: () => ({ specs: this.#specQueue.depth, status: this.#statusQueue.depth }),
      policies: () => this.#sources.policyKeys().length,
      nodes: () => this.#nodes.size,
    });
    this.#nodes = new NodeIndex((keys) => this.#reporter.nodesChanged(keys));
    this.#sources = new Sources(
      { client, namespace, logger, metrics: createWatchMetrics(registry) },
      this.#handlers(),
    );
    this.#specs = new SpecStore({
      client,
      namespace,
      logger,
      known: () => this.#sources.specs.store.values(),
    });
    this.#reporter = new StatusReporter({
      findPolicy: (key) => this.#findPolicy(key),
      nodesOf: (key) => this.#nodes.nodesOf(key),
      nodeCount: () => this.#nodes.size,
      publisher: new StatusPublisher({ client, now }),
      events: new EventRecorder({ client, logger, now, instance }),
      onWritten: () => metrics.statusWrites.inc(),
      onRejected: () => metrics.rejections.inc(),
    });
    const reconcileDeps = this.#reconcileDeps(deps.compile);
    this.#specQueue = new WorkQueue({
      name: "reconcile",
      logger,
      concurrency: 4,
      work: (key) => this.#reconcile(reconcileDeps, key),
      onDone: (_key, result, seconds) => {
        metrics.reconciles.inc({ result });
        metrics.reconcileSeconds.observe(seconds);
      },
    });
    this.#statusQueue = new WorkQueue({
      name: "status of",
      logger,
      concurrency: 8,
      work: (key) => this.#publish(key),
    });
    this.#reporter.useQueue(this.#statusQueue);
  }

  /** Resolves when everything is listed and work has begun: before that, missing nodes would look like no nodes. */
  async start(): Promise<void> {
    await this.#sources.start();
    this.#isRunning = true;
    for (const key of this.#sources.policyKeys()) this.#specQueue.add(key);
    this.#specQueue.start();
    this.#statusQueue.start();
    this.#logger.info("operator works", {
      policies: this.#sources.policyKeys().length,
      nodes: this.#nodes.size,
    });
  }

  /** Lets running writes end. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all([this.#sources.stop(), this.#specQueue.stop(), this.#statusQueue.stop()]);
  }

  /** For /readyz. */
  checks(): Record<string, () => string | undefined> {
    return { ...this.#sources.checks(), operator: () => (this.#isRunning ? undefined : "not started") };
  }

  #handlers(): ConstructorParameters<typeof Sources>[1] {
    return {
      policies: {
        onAdd: (policy) => this.#specQueue.add(keyOf(policy)),
        onUpdate: (policy, previous) => this.#policyUpdated(policy, previous),
        onDelete: (policy) => this.#specQueue.add(keyOf(policy)),
      },
      specs: {
        onAdd: (object) => this.#specChanged(object),
        onUpdate: (object) => this.#specChanged(object),
        onDelete: (object) => this.#specChanged(object),
      },
      pods: {
        onAdd: (pod) => this.#nodes.setPod(pod),
        onUpdate: (pod) => this.#nodes.setPod(pod),
        onDelete: (pod) => this.#nodes.removePod(pod),
      },
      reports: {
        onAdd: (report) => this.#nodes.setReport(report),
        onUpdate: (report) => this.#nodes.setReport(report),
        onDelete: (report) => this.#nodes.removeReport(report),
      },
    };
  }

  #reconcileDeps(compile: Compile): ReconcileDeps {
    return {
      findPolicy: (ref) => this.#sources.findPolicy(ref),
      compile,
      specs: this.#specs,
      reporter: this.#reporter,
      isInUse: (ref, name) =>
        this.#nodes.runs(policyKey(ref), (hash) => hookSpecConfigMapName(hash) === name),
    };
  }

  /** Only a new generation is work: the operator's own status writes change none. */
  #policyUpdated(policy: PolicyObject, previous: PolicyObject): void {
    if (policy.metadata.generation !== previous.metadata.generation) this.#specQueue.add(keyOf(policy));
    else this.#reporter.statusSeen(policy);
  }

  /** Content decides whose it is; what has none that counts is looked at by its name. */
  #specChanged(object: SpecObject): void {
    this.#specQueue.add(object.spec ? policyKey(object.spec.policy) : `${DAMAGED}${object.metadata.name}`);
  }

  async #reconcile(deps: ReconcileDeps, key: string): Promise<undefined> {
    const ref = parsePolicyKey(key);
    if (ref !== undefined) await reconcile(deps, ref);
    else await this.#repairDamaged(key.slice(DAMAGED.length));
  }

  /** In the place of a wanted spec: its policy replaces it. Otherwise nobody needs it. */
  async #repairDamaged(name: string): Promise<void> {
    const owner = this.#specs.wantedBy(name);
    if (owner !== undefined) return this.#specQueue.add(owner);
    const found = [...this.#sources.specs.store.values()].find(({ metadata }) => metadata.name === name);
    if (found !== undefined && found.spec === undefined) await this.#specs.discard(found);
  }

  async #publish(key: string): Promise<{ againAfterMs?: number } | undefined> {
    if (this.#hasUnused(key)) this.#specQueue.add(key);
    return this.#reporter.work(key);
  }

  /** True if the last node has left a previous spec: its ConfigMap can go. */
  #hasUnused(key: string): boolean {
    const wanted = this.#specs.distributed(key);
    if (wanted === undefined) return false;
    return this.#sources.specsOf(key).some(({ metadata }) => {
      const isHere = (hash: string) => hookSpecConfigMapName(hash) === metadata.name;
      return !isHere(wanted.hash) && !this.#nodes.runs(key, isHere);
    });
  }

  #findPolicy(key: string): PolicyObject | undefined {
    const ref = parsePolicyKey(key);
    return ref && this.#sources.findPolicy(ref);
  }
}

function keyOf(policy: PolicyObject): string {
  return policyKey(policyRefOf(policy));
}
