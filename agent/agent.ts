/** Builds the agent from engine, processes, events, sources, reconciler and status. All dependencies are arguments. */
import { arch } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Registry } from "prom-client";
import { type PolicyRef, policyKey } from "../crds/names.ts";
import type { PolicyActivity } from "../crds/policy-activity.ts";
import type { ClusterAccess } from "../lib/cluster-access.ts";
import { collectGarbage } from "../lib/collect-garbage.ts";
import { type HealthChecks, startHealthServer } from "../lib/health.ts";
import { KubeClient } from "../lib/kube.ts";
import type { Logger } from "../lib/logger.ts";
import { createWatchMetrics } from "../lib/metrics.ts";
import { SpareMemory } from "../lib/spare-memory.ts";
import { ApiSide, serveHealth } from "./api-side.ts";
import type { Binding } from "./bpf/binding.ts";
import { Cluster } from "./cluster.ts";
import type { Config } from "./config.ts";
import type { EventSink } from "./events/export/sink.ts";
import type { NodeFields } from "./events/node-fields.ts";
import { EventPipeline } from "./events/pipeline.ts";
import type { ProcessFieldOptions } from "./events/process-fields.ts";
import type { ProtobufOptions } from "./events/protobuf/encoder.ts";
import { ExportSide } from "./export-side.ts";
import { HookEngine } from "./hooks/engine.ts";
import { featureFlags, type KernelFeatures } from "./hooks/kernel/features.ts";
import { registerAgentMetrics } from "./metrics/agent-metrics.ts";
import { EventMetrics } from "./metrics/event-metrics.ts";
import type { HookCounts } from "./metrics/kernel-metrics.ts";
import { hostCgroups } from "./pods/cgroups.ts";
import { makePodClient } from "./pods/pod-client.ts";
import { PodStore } from "./pods/pod-store.ts";
import { PodResolver } from "./pods/resolver.ts";
import { RuntimeBundles } from "./pods/runtime-bundles.ts";
import { WorkloadScopes } from "./pods/workload-scopes.ts";
import { PolicyLoop } from "./policies/loop.ts";
import { isTransient } from "./policies/outcome.ts";
import { Reconciler, SHOW_ATTACHING_MS } from "./policies/reconcile.ts";
import type { SpecSource } from "./policies/sources/source.ts";
import { HookTotals } from "./policies/totals.ts";
import { ProcessCache } from "./process/cache.ts";
import { CurrentCredentials } from "./process/current-credentials.ts";
import { type HostProcfs, hostSecurityfs } from "./process/host-procfs.ts";
import type { Image } from "./process/image.ts";
import type { Redact } from "./process/redaction.ts";
import { ProcScanner } from "./process/scan.ts";
import { Usernames } from "./process/usernames.ts";
import { WallClock } from "./records/wall-clock.ts";
import { RingHealth } from "./ring-health.ts";
import type { StackOptions } from "./stacks/code-place.ts";
import { KernelSymbolTable } from "./stacks/kernel-code.ts";
import { MappedCode } from "./stacks/mapped-code.ts";
import { ActivityMeter } from "./status/activity.ts";
import { readBootTime } from "./status/boot-time.ts";
import { makeTracingNodeStatus, type NodeFacts } from "./status/tracing-node.ts";

/** What main.ts makes from environment and flags. */
export interface AgentDeps {
  config: Config;
  version: string;
  bpf: Binding;
  sink: EventSink;
  /** Policies from files. Those that are required end the agent if they cannot be attached; by default all are. */
  files: SpecSource & { isRequired?(key: string): boolean; onAnnounced?(listener: () => void): void };
  /** How to reach the API server; absent outside of Kubernetes. */
  access: ClusterAccess | undefined;
  procfs: HostProcfs;
  logger: Logger;
  registry: Registry;
  /** Registers what applies new settings while the agent runs. */
  onReload?: (apply: (config: Config) => Promise<void>) => void;
}

/** The agent shares the pid namespace of its node, whose process 1 has the node's root, also where the node is a container. */
const NODE_ROOT = "/proc/1/root";
/** How long the last records may take to be exported: part of the 25 seconds that main.ts allows for stopping. */
const DRAIN_MS = 18_000;
/** Bytes of records that are encoded at a time while draining; as JSON they can be dozens of times as long. */
const DRAIN_BYTES = 64 << 10;

/** Thrown when the kernel or the agent's privileges do not allow tracing at all. */
export class CannotTraceError extends Error {
  override readonly name = "CannotTraceError";
}

/** Thrown when a policy from a file does not attach and there is no cluster to report it to. */
export class PolicyAttachError extends Error {
  override readonly name = "PolicyAttachError";
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join("\n"));
    this.lines = lines;
  }
}

/**
 * Starts the agent. Resolves when every policy that is known at the start has been tried; rejects with CannotTraceError
 * or PolicyAttachError. Adds everything that it starts to `running`. Disposing of `running` stops the agent, also while
 * it starts: ends every hook, exports the last events, and closes the rest in reverse order.
 */
export async function startAgent(deps: AgentDeps, running: AsyncDisposableStack): Promise<void> {
  const { config, logger, registry, sink } = deps;
  refuseProcfs(deps);
  const checks: HealthChecks = {
    live: {},
    ready: {
      procfs: () => deps.procfs.problem,
      engine: () => "not started yet",
      policies: () => "not read yet",
    },
  };
  const kubernetes = deps.access && makeKubernetesSide(deps, deps.access);
  const cluster = kubernetes?.cluster;
  const events = makeEventSide(deps, kubernetes, await makeRedact(config));
  // Last of all: to let go of a hook, the kernel takes some 0.2 s.
  const attached = running.use(new DisposableStack());
  if (config.metricsServer) {
    const server = await startHealthServer({ ...config.metricsServer, registry, ...checks });
    running.defer(() => server.close());
  }
  await serveHealth(config, checks, logger, running);
  running.defer(() => kubernetes?.client.transport.close());
  running.defer(() => sink.close());
  await events.exported.apply(config.export);
  running.defer(() => events.exported.close());
  deps.onReload?.((next) => events.exported.apply(next.export));

  const api = await ApiSide.open(config, logger, registry);
  const memory = new SpareMemory({
    residentBytes: process.memoryUsage.rss,
    release: () => {
      engine.releaseSymbols();
      collectGarbage();
      deps.bpf.releaseMemory();
    },
    trim: () => deps.bpf.trimMemoryAsync(),
  });
  running.defer(() => memory.close());
  const engine = startEngine(deps, events, memory, { running, attached });
  const { reconciler, readCounts } = makeReconciler(deps, { engine, events, cluster });
  running.defer(() => reconciler.close());
  const ringHealth = new RingHealth(() => performance.now());
  checks.live.ring = () =>
    ringHealth.check({ posted: sumPosted(readCounts()), read: events.metrics.ringBytes });
  checks.ready.engine = () => undefined;

  cluster?.start();
  running.defer(() => cluster?.stop());
  const facts = nodeFacts(deps, engine.features);
  const lost = () => sumLost(readCounts()) + sink.stats.overflowedEvents + sink.stats.failedEvents;
  const meter = new ActivityMeter();
  const activityOf = () => readActivities(meter, reconciler, events.workloads);
  const publish = () =>
    cluster?.publisher.publish(makeTracingNodeStatus(facts, reconciler.outcomes(), lost(), activityOf()));
  const startedMs = performance.now();
  const loop: PolicyLoop = new PolicyLoop({
    sources: api.sources(cluster ? [deps.files, cluster.source] : [deps.files]),
    reconciler,
    logger,
    // Not published in the first seconds, so that the status of the previous agent does not flicker.
    onOutcome: () => {
      memory.touch();
      if (loop.problem === undefined || performance.now() - startedMs >= SHOW_ATTACHING_MS) publish();
    },
    onProgress: () => memory.touch(),
    onTried: (key) => api.tried(key),
  });
  running.defer(() => loop.stop());
  deps.files.onAnnounced?.(() => {
    memory.touch(); // also if nothing comes of it
    void engine.prepare();
  });
  cluster?.onLabels(() => {
    if (config.enableNodeLabels) events.node.labels = cluster.labels();
    loop.trigger();
  });
  loop.start();
  checks.live.policies = () => loop.stall;
  checks.ready.policies = () => loop.problem;
  if (cluster) {
    checks.ready.watches = () => cluster.lastingProblem(performance.now());
    checks.ready.writeGuard = () => cluster.writeGuardProblem;
    checks.ready.tracingNode = () => cluster.publisher.problem;
  }
  const { version } = deps;
  await api.serve({ ...events, version, engine, reconciler, readCounts, loop, checks, sink }, running);

  await loop.initialSetTried;
  if (!cluster) refuseFailedPolicies(reconciler, deps.files);
  publish();
  if (cluster) {
    const timer = setInterval(publish, LOSSES_MS);
    running.defer(() => clearInterval(timer));
    const measure = setInterval(() => meter.measure(events.metrics.eventCounts()), 60_000);
    running.defer(() => clearInterval(measure));
  }
  const early = setTimeout(() => void engine.readEntries(), EARLY_MS).unref();
  running.defer(() => clearTimeout(early));
  memory.touch();
  logger.info("ready", { node: config.nodeName, kernel: engine.features.release });
}

/** On a cluster the agent runs on, so that its readiness and the status of the node show the problem. */
function refuseProcfs({ access, procfs: { problem }, logger }: AgentDeps): void {
  if (problem === undefined) return;
  if (!access) throw new CannotTraceError("this node cannot trace", { cause: new Error(problem) });
  logger.error(`no policy is attached: ${problem}`);
}

interface KubernetesSide {
  client: KubeClient;
  podStore: PodStore;
  workloads: WorkloadScopes;
  cluster: Cluster;
}

/** Builds the cluster side; it sends no request before `cluster.start()`. */
function makeKubernetesSide(deps: AgentDeps, access: ClusterAccess): KubernetesSide {
  const { config, version, logger, registry, procfs } = deps;
  const { nodeName, namespace } = config;
  const options = { userAgent: `trigon-agent/${version}` };
  const client = new KubeClient(access, options);
  const podClient = makePodClient(access, options, nodeName);
  const podStore = new PodStore({ bundles: new RuntimeBundles(NODE_ROOT), isListed: false });
  const metrics = createWatchMetrics(registry);
  return {
    client,
    podStore,
    workloads: new WorkloadScopes({ pods: podStore, cgroups: hostCgroups(procfs.path), logger }),
    cluster: new Cluster({
      client,
      podClient,
      nodeName,
      namespace,
      podStore,
      withPodAnnotations: config.enablePodAnnotations,
      logger,
      metrics,
    }),
  };
}

/** The parts that turn records into exported events. */
interface EventSide {
  scanner: ProcScanner;
  metrics: EventMetrics;
  pipeline: EventPipeline;
  processes: ProcessCache;
  /** What events show, in any encoding. */
  encoding: ProtobufOptions;
  node: NodeFields;
  exported: ExportSide;
  workloads: WorkloadScopes | undefined;
}

/** The library for patterns is loaded only where there are some. */
async function makeRedact({ redaction }: Config): Promise<Redact | undefined> {
  if (redaction.length === 0) return undefined;
  const { compileRedaction } = await import("./process/redaction.ts");
  return compileRedaction(redaction);
}

function makeEventSide(
  { config, procfs, bpf, registry, sink }: AgentDeps,
  kubernetes: KubernetesSide | undefined,
  redact: Redact | undefined,
): EventSide {
  const { nodeName, enableProcessCred: credentials, enableProcessNs: namespaces } = config;
  const clock = new WallClock({ bootTimeNs: () => bpf.bootTimeNs(), wallMs: Date.now });
  const securityLabels = config.enableProcessSecurityLabel;
  const keepNamespaces = namespaces || config.usernames !== "disabled"; // a uid has a name in its user namespace alone
  const scanner = new ProcScanner(procfs.path, {
    credentials,
    namespaces: keepNamespaces,
    securityLabels,
    redact,
  });
  const processes = new ProcessCache({
    nodeName,
    clock,
    proc: scanner,
    keepCredentials: credentials,
    keepNamespaces,
    redact,
  });
  const metrics = new EventMetrics(registry, nodeName, config.metricLabels);
  const node: NodeFields = { ...(config.clusterName !== undefined && { clusterName: config.clusterName }) };
  const encoding: ProtobufOptions = {
    nodeName,
    clock,
    process: makeProcessFields(config, procfs.path, scanner, processes),
    stacks: makeStacks(config, procfs.path, processes),
    credentialChange: config.credentialChangeDetail,
    node,
  };
  const pipeline = new EventPipeline({
    processes,
    pods: new PodResolver(kubernetes?.podStore),
    ...(kubernetes && { workloads: kubernetes.workloads }),
    metrics,
    clock,
    outputs: [],
    ...(config.processCredentialsView === "current" && {
      currentCredentials: new CurrentCredentials({ keepCredentials: credentials }),
    }),
  });
  const exported = new ExportSide({ sink, encoding, registry, pipeline });
  return {
    scanner,
    metrics,
    pipeline,
    processes,
    encoding,
    node,
    exported,
    workloads: kubernetes?.workloads,
  };
}

/** What events show of processes. */
function makeProcessFields(
  config: Config,
  procfs: string,
  scanner: ProcScanner,
  processes: ProcessCache,
): ProcessFieldOptions {
  const { enableProcessCred: credentials, enableProcessNs: namespaces } = config;
  const hostNamespaces = scanner.namespaces(1);
  const usernames = new Usernames({
    procfs,
    hostUserNamespace: hostNamespaces.user,
    isCurrent: (image) => processes.isCurrent(image),
    nowMs: () => performance.now(),
  });
  return {
    credentials,
    namespaces,
    ...(namespaces && { hostNamespaces }),
    ...(config.usernames === "unix" && { userName: (image) => usernames.of(image) }),
    ...(config.ancestors.length > 0 && { ancestors: new Set(config.ancestors) }),
  };
}

/** Symbols and mappings are read for the first stack trace that needs them. */
function makeStacks({ exposeStackAddresses }: Config, procfs: string, processes: ProcessCache): StackOptions {
  const nowMs = () => performance.now();
  const isCurrent = (image: Image) => processes.isCurrent(image);
  return {
    kernel: new KernelSymbolTable(procfs, nowMs),
    user: new MappedCode({ procfs, isCurrent, nowMs }),
    exposeAddresses: exposeStackAddresses,
  };
}

/** Sensors first, then /proc: a process that starts in between has a record, which takes precedence. */
function startEngine(
  deps: AgentDeps,
  events: EventSide,
  memory: SpareMemory,
  { running, attached }: { running: AsyncDisposableStack; attached: DisposableStack },
): HookEngine {
  const { scanner, pipeline, processes, workloads } = events;
  const engine = openEngine(deps, events, memory);
  attached.defer(() => engine.close());
  running.defer(() => engine.stopReading());
  processes.onLostExit = (pid) => engine.forgetProcess(pid);
  running.defer(() => pipeline.stop());
  running.defer(() => drain(engine, deps.sink));
  workloads?.start(engine.cgroupScopes);
  engine.flush();
  for (const scanned of deps.procfs.problem === undefined ? scanner.scan() : []) {
    pipeline.addScanned(scanned);
    if (scanned.exe !== "") engine.seedImage(scanned.pid, scanned.exe);
  }
  pipeline.start(() => {
    const { lost, missed } = engine.processStats();
    return lost + missed;
  });
  return engine;
}

function openEngine(
  { config, procfs, bpf, logger, sink }: AgentDeps,
  { pipeline, workloads }: EventSide,
  memory: SpareMemory,
): HookEngine {
  try {
    return HookEngine.start({
      objectPath: config.bpfObject,
      bpf,
      procfs: procfs.path,
      securityfs: hostSecurityfs(procfs.path),
      ...(procfs.problem !== undefined && { refusal: procfs.problem }),
      logger,
      ...(workloads && { workloads }),
      credentialDrift: config.credentialDrift,
      reuseBuffer: true,
      onHitCounts: (counts) => pipeline.addCounts(counts),
      onBatch: (batch, bytes) => {
        memory.touch();
        pipeline.handleBatch(batch, bytes);
        return sink.room();
      },
      ...(config.ringBytes !== undefined && { ringBytes: config.ringBytes }),
    });
  } catch (cause) {
    throw new CannotTraceError("this node cannot trace", { cause });
  }
}

/**
 * Exports the last records in pieces, at the pace of the sink. When the time is up, exports all the rest at once. Each piece
 * has its turn, so that writes begin while they are small: one that takes a second counts as stuck.
 */
async function drain(engine: HookEngine, sink: EventSink): Promise<void> {
  const endMs = performance.now() + DRAIN_MS;
  while (performance.now() < endMs && engine.flush(DRAIN_BYTES)) {
    await nextTurn();
    await sink.room();
  }
  engine.flush();
}

/** The reconciler, and the counters of its hooks and of the process sensors. */
function makeReconciler(
  { bpf, logger, registry, sink }: AgentDeps,
  { engine, events, cluster }: { engine: HookEngine; events: EventSide; cluster: Cluster | undefined },
): { reconciler: Reconciler; readCounts: () => HookCounts[] } {
  const { pipeline, metrics, processes, workloads: scopes } = events;
  const totals = new HookTotals();
  const reconciler = new Reconciler({
    engine,
    pipeline,
    bootTimeNs: () => bpf.bootTimeNs(),
    detached: (policy, hook) => totals.settle(policy, hook),
    policyGone: (policy) => {
      totals.forget(policy);
      metrics.forgetPolicy(policy);
      events.exported.forgetPolicy(policy);
    },
    nodeLabels: () => cluster?.labels(),
    logger,
  });
  const processCounts = () => ({ hook: "process", ...engine.processStats() });
  const readCounts = () => [...totals.read(reconciler.attachedHooks()), processCounts()];
  registerAgentMetrics(registry, {
    processes,
    sink,
    scopes,
    policies: reconciler,
    readCounts: async (slices) => [
      ...(await totals.readInTurns(reconciler.attachedHooks(), slices)),
      processCounts(),
    ],
  });
  return { reconciler, readCounts };
}

/** After the start, what the first hook of a system call would wait for is read: a third of its time. */
const EARLY_MS = 1_000;

/** How often losses are looked at for the node's status. */
const LOSSES_MS = 60_000;

function sumLost(counts: readonly HookCounts[]): number {
  return counts.reduce((sum, { lost, errors }) => sum + lost + errors, 0);
}

/** What each policy does on this node now, for its status. */
function readActivities(
  meter: ActivityMeter,
  reconciler: Reconciler,
  workloads: WorkloadScopes | undefined,
): (ref: PolicyRef) => PolicyActivity {
  // That of a policy's first hook.
  const scopes = new Map(
    reconciler
      .attachedHooks()
      .toReversed()
      .map(({ policy, hook }) => [policyKey(policy), hook.def.scope]),
  );
  return (ref) => {
    const key = policyKey(ref);
    const scope = scopes.get(key);
    const pods = scope && workloads?.podsIn(scope);
    return { ...(pods !== undefined && { pods }), ...meter.rateOf(key) };
  };
}

function sumPosted(counts: readonly HookCounts[]): number {
  return counts.reduce((sum, { posted }) => sum + posted, 0);
}

function nodeFacts({ procfs, version }: AgentDeps, features: KernelFeatures): NodeFacts {
  const { release, architecture, reasons } = features;
  const { path, problem } = procfs;
  const bootTime = readBootTime(path);
  return {
    agentVersion: version,
    ...(bootTime !== undefined && { bootTime }),
    kernel: {
      release,
      architecture: architecture || arch(),
      features: { ...featureFlags(features), hostProcfs: problem === undefined },
      reasons: { ...reasons, ...(problem !== undefined && { hostProcfs: problem }) },
    },
  };
}

/** Outside of a cluster no status can report the failure, so the agent ends. In a cluster the other policies go on. */
function refuseFailedPolicies(reconciler: Reconciler, files: AgentDeps["files"]): void {
  const failed = reconciler.outcomes().filter(({ ref, state, hooks }) => {
    const isRequired = files.isRequired?.(policyKey(ref)) ?? true;
    return isRequired && state === "Failed" && !isTransient(hooks);
  });
  const lines = failed.map(({ ref, message }) => `${policyKey(ref)}: ${message}`);
  if (lines.length > 0) throw new PolicyAttachError(lines);
}
