/** The agent put together: engine, processes, events, sources, reconciler, status. Everything it needs comes in. */
import { arch } from "node:os";
import type { Registry } from "prom-client";
import { policyKey } from "../crds/names.ts";
import type { ClusterAccess } from "../lib/cluster-access.ts";
import { type HealthServer, startHealthServer } from "../lib/health.ts";
import { KubeClient } from "../lib/kube.ts";
import type { Logger } from "../lib/logger.ts";
import { createWatchMetrics } from "../lib/metrics.ts";
import type { Binding } from "./bpf/binding.ts";
import { Cluster } from "./cluster.ts";
import type { Config } from "./config.ts";
import type { EventSink } from "./events/export/sink.ts";
import { JsonEncoder } from "./events/json/encoder.ts";
import { EventPipeline } from "./events/pipeline.ts";
import { HookEngine } from "./hooks/engine.ts";
import { featureFlags } from "./hooks/kernel/features.ts";
import { EventMetrics } from "./metrics/event-metrics.ts";
import { registerHookMetrics } from "./metrics/hook-metrics.ts";
import { PodStore } from "./pods/pod-store.ts";
import { PodResolver } from "./pods/resolver.ts";
import { PolicyLoop } from "./policies/loop.ts";
import { isTransient } from "./policies/outcome.ts";
import { Reconciler } from "./policies/reconcile.ts";
import type { SpecSource } from "./policies/sources/source.ts";
import { HookTotals } from "./policies/totals.ts";
import { ProcessCache } from "./process/cache.ts";
import { CurrentCredentials } from "./process/current-credentials.ts";
import type { Image } from "./process/image.ts";
import { ProcScanner } from "./process/scan.ts";
import { WallClock } from "./records/wall-clock.ts";
import { RingHealth } from "./ring-health.ts";
import type { StackOptions } from "./stacks/code-place.ts";
import { KernelSymbolTable } from "./stacks/kernel-code.ts";
import { MappedCode } from "./stacks/mapped-code.ts";
import { readBootTime } from "./status/boot-time.ts";
import { makeTracingNodeStatus, type NodeFacts } from "./status/tracing-node.ts";

/** What main.ts makes from environment and flags. */
export interface AgentDeps {
  config: Config;
  version: string;
  bpf: Binding;
  sink: EventSink;
  /** Policies from files. */
  files: SpecSource;
  /** How to reach the API server; absent outside of Kubernetes. */
  access: ClusterAccess | undefined;
  logger: Logger;
  registry: Registry;
}

/** How long the end may take, of the 25 seconds that main.ts leaves: then everything is detached and closed. */
const DRAIN_MS = 18_000;
/** Of records: as JSON they can be dozens of times as long. */
const DRAIN_BYTES = 64 << 10;

/** Thrown when this kernel, or what the agent may do on it, does not allow tracing at all. */
export class CannotTraceError extends Error {
  override readonly name = "CannotTraceError";
}

/** Thrown when a policy from a file does not attach and nobody but the caller is there to be told. */
export class PolicyAttachError extends Error {
  override readonly name = "PolicyAttachError";
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join("\n"));
    this.lines = lines;
  }
}

/** An agent that runs; the order in which its parts start and stop is the point of this class. */
export class Agent {
  readonly #deps: AgentDeps;
  readonly #pipeline: EventPipeline;
  readonly #processes: ProcessCache;
  readonly #scanner: ProcScanner;
  readonly #metrics: EventMetrics;
  readonly #totals = new HookTotals();
  readonly #client: KubeClient | undefined;
  readonly #cluster: Cluster | undefined;
  readonly #clock: WallClock;
  readonly #ringHealth = new RingHealth(() => performance.now());
  readonly #bootTime: string | undefined;
  #engine: HookEngine | undefined;
  #reconciler: Reconciler | undefined;
  #loop: PolicyLoop | undefined;
  #server: HealthServer | undefined;
  #isReady = false;

  constructor(deps: AgentDeps) {
    const { config, bpf, registry, sink } = deps;
    const { nodeName, procfs, enableProcessCred: credentials, enableProcessNs: namespaces } = config;
    this.#deps = deps;
    this.#clock = new WallClock({ bootTimeNs: () => bpf.bootTimeNs(), wallMs: Date.now });
    this.#bootTime = readBootTime(procfs);
    const securityLabels = config.enableProcessSecurityLabel;
    this.#scanner = new ProcScanner(procfs, { credentials, namespaces, securityLabels });
    this.#processes = new ProcessCache({
      nodeName,
      clock: this.#clock,
      proc: this.#scanner,
      keepCredentials: credentials,
      keepNamespaces: namespaces,
    });
    this.#metrics = new EventMetrics(registry);
    this.#metrics.watchProcesses(this.#processes);
    this.#metrics.watchExport(sink);

    const podStore = deps.access && new PodStore();
    this.#client = deps.access && new KubeClient(deps.access, { userAgent: `trigon-agent/${deps.version}` });
    this.#cluster =
      this.#client &&
      podStore &&
      new Cluster({
        client: this.#client,
        nodeName,
        namespace: config.namespace,
        podStore,
        logger: deps.logger,
        metrics: createWatchMetrics(registry),
      });
    const encoder = new JsonEncoder({
      nodeName,
      clock: this.#clock,
      process: {
        credentials,
        namespaces,
        ...(namespaces && { hostNamespaces: this.#scanner.namespaces(1) }),
      },
      stacks: this.#stacks(),
      credentialChange: config.credentialChangeDetail,
    });
    this.#pipeline = new EventPipeline({
      processes: this.#processes,
      pods: new PodResolver(podStore),
      metrics: this.#metrics,
      clock: this.#clock,
      outputs: [{ encoder, sink }],
      ...(config.processCredentialsView === "current" && {
        currentCredentials: new CurrentCredentials({ keepCredentials: credentials }),
      }),
    });
  }

  /** Symbols and mappings are read when the first stack asks for them. */
  #stacks(): StackOptions {
    const { procfs, exposeStackAddresses } = this.#deps.config;
    const nowMs = () => performance.now();
    const isCurrent = (image: Image) => this.#processes.isCurrent(image);
    return {
      kernel: new KernelSymbolTable(procfs, nowMs),
      user: new MappedCode({ procfs, isCurrent, nowMs }),
      exposeAddresses: exposeStackAddresses,
    };
  }

  /** Resolves when every policy that is known at the start has been tried; rejects with CannotTraceError or PolicyAttachError. */
  async start(): Promise<void> {
    const { config, logger } = this.#deps;
    await this.#serve();
    const engine = this.#startEngine();
    this.#cluster?.start();
    const loop = this.#startLoop(engine);
    await loop.initialSetTried;
    if (!this.#cluster) this.#refuseFailedPolicies();
    this.#isReady = true;
    this.#publish();
    logger.info("ready", { node: config.nodeName, kernel: engine.features.release });
  }

  /** Detaches everything, then exports what was seen until then. */
  async stop(): Promise<void> {
    await this.#loop?.stop();
    await this.#cluster?.stop();
    this.#reconciler?.close();
    await this.#drain();
    await this.#pipeline.stop();
    this.#engine?.close();
    await this.#deps.sink.close();
    this.#client?.transport.close();
    await this.#server?.close();
  }

  /** Piece by piece, as the export takes it; at the end of its time whatever there is. */
  async #drain(): Promise<void> {
    const endMs = performance.now() + DRAIN_MS;
    while (performance.now() < endMs && this.#engine?.flush(DRAIN_BYTES)) await this.#deps.sink.room();
    this.#engine?.flush();
  }

  async #serve(): Promise<void> {
    const { config, registry } = this.#deps;
    if (config.metricsServer === undefined) return;
    this.#server = await startHealthServer({
      ...config.metricsServer,
      registry,
      live: { ring: () => this.#checkRing() },
      ready: {
        engine: () => (this.#engine ? undefined : "not started yet"),
        policies: () => (this.#loop ? this.#loop.problem : "not read yet"),
        ...(this.#cluster && { watches: () => this.#cluster?.lastingProblem(performance.now()) }),
      },
    });
  }

  /** In a cluster the status of the policy says so, and the other policies go on. */
  #refuseFailedPolicies(): void {
    const failed = this.#reconciler
      ?.outcomes()
      .filter(({ state, hooks }) => state === "Failed" && !isTransient(hooks));
    const lines = failed?.map(({ ref, message }) => `${policyKey(ref)}: ${message}`) ?? [];
    if (lines.length > 0) throw new PolicyAttachError(lines);
  }

  #checkRing(): string | undefined {
    if (!this.#engine) return undefined;
    const hooks = this.#totals.read(this.#reconciler?.attachedHooks() ?? []);
    const posted = hooks.reduce((sum, hook) => sum + hook.posted, this.#engine.processStats().posted);
    return this.#ringHealth.check({ posted, read: this.#metrics.ringBytes });
  }

  /** Sensors first, then /proc: a process that starts in between is told of by its record, which wins. */
  #startEngine(): HookEngine {
    const engine = this.#openEngine();
    this.#engine = engine;
    engine.flush();
    for (const scanned of this.#scanner.scan()) {
      this.#pipeline.addScanned(scanned);
      if (scanned.exe !== "") engine.seedImage(scanned.pid, scanned.exe);
    }
    this.#pipeline.start();
    return engine;
  }

  #openEngine(): HookEngine {
    const { config, bpf, logger, sink } = this.#deps;
    try {
      return HookEngine.start({
        objectPath: config.bpfObject,
        bpf,
        procfs: config.procfs,
        logger,
        onBatch: (batch) => {
          this.#pipeline.handleBatch(batch);
          return sink.room();
        },
        ...(config.ringBytes !== undefined && { ringBytes: config.ringBytes }),
      });
    } catch (cause) {
      throw new CannotTraceError("this node cannot trace", { cause });
    }
  }

  #startLoop(engine: HookEngine): PolicyLoop {
    const { bpf, logger, files, registry } = this.#deps;
    const reconciler = new Reconciler({
      engine,
      pipeline: this.#pipeline,
      bootTimeNs: () => bpf.bootTimeNs(),
      detached: (policy, hook) => this.#totals.settle(policy, hook),
      policyGone: (policy) => {
        this.#totals.forget(policy);
        this.#metrics.forgetPolicy(policy);
      },
      nodeLabels: () => this.#cluster?.labels(),
      logger,
    });
    this.#reconciler = reconciler;
    this.#metrics.watchHooks(() => [
      ...this.#totals.read(reconciler.attachedHooks()),
      { hook: "process", ...engine.processStats() },
    ]);
    registerHookMetrics(registry, reconciler);
    const loop = new PolicyLoop({
      sources: this.#cluster ? [files, this.#cluster.source] : [files],
      reconciler,
      logger,
      onOutcome: () => this.#publish(),
    });
    this.#loop = loop;
    this.#cluster?.onLabels(() => loop.trigger());
    loop.start();
    return loop;
  }

  /** Not before all is known: what an earlier agent wrote must not flicker while this one starts. */
  #publish(): void {
    if (!this.#isReady || !this.#cluster || !this.#engine || !this.#reconciler) return;
    const outcomes = this.#reconciler.outcomes();
    this.#cluster.publisher.publish(makeTracingNodeStatus(this.#facts(this.#engine), outcomes));
  }

  #facts({ features }: HookEngine): NodeFacts {
    const { release, architecture, reasons } = features;
    return {
      agentVersion: this.#deps.version,
      ...(this.#bootTime !== undefined && { bootTime: this.#bootTime }),
      kernel: { release, architecture: architecture || arch(), features: featureFlags(features), reasons },
    };
  }
}
