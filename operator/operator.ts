/** The operator as a whole: watches feed two queues, one distributes specs, one publishes statuses. */
import type { Registry } from "prom-client";
import { type PolicyRef, parsePolicyKey, policyKey } from "../crds/names.ts";
import type { Logger } from "../lib/logger.ts";
import { createWatchMetrics } from "../lib/metrics.ts";
import { type Work, WorkQueue } from "../lib/work-queue.ts";
import { missingHooks } from "./admission/missing.ts";
import { type ReviewAnswer, reviewPolicy } from "./admission/review.ts";
import type { OperatorClient } from "./cluster/client.ts";
import { isNotLeading } from "./cluster/leadership.ts";
import type { Compile, HookCall } from "./compiler/compiled.ts";
import { generationsOf, hashOfName, type SpecObject } from "./distribute/config-map.ts";
import type { Again } from "./distribute/repair-pace.ts";
import { SpecReader } from "./distribute/spec-reader.ts";
import { SpecStore } from "./distribute/spec-store.ts";
import { UnusedSpecs } from "./distribute/unused-specs.ts";
import { createOperatorMetrics, errorField, type OperatorMetrics, registerGauges } from "./metrics.ts";
import { reconcile } from "./reconcile.ts";
import { type PolicyObject, policyRefOf } from "./resources.ts";
import { type SourceHandlers, Sources } from "./sources.ts";
import type { AgentPod } from "./status/agent-pod.ts";
import { EventRecorder } from "./status/events.ts";
import { NodeIndex } from "./status/node-index.ts";
import type { NodeReport } from "./status/node-report.ts";
import { DEFAULT_PATIENCE, DEFAULT_TOLERANCE, type Patience, type Tolerance } from "./status/patience.ts";
import { StatusPublisher } from "./status/publish.ts";
import { StatusReporter } from "./status/reporter.ts";

/** What the operator works with. */
export interface OperatorDeps {
  client: OperatorClient;
  compile: Compile;
  /** Where the agents and their specs are. */
  namespace: string;
  /** Pod name, shown on Events. */
  instance: string;
  logger: Logger;
  registry: Registry;
  now?: () => number;
  /** How long agents may be away before it shows. */
  patience?: Patience;
  /** Called when there is work, which memory is used for. */
  onWork?: () => void;
  /** How many nodes may be absent while a policy is Ready. */
  tolerance?: Tolerance;
}

/** An operator that has been started. */
export interface Operator {
  /** Resolves when everything is listed and work has begun: before that, missing nodes would look like no nodes. */
  started: Promise<void>;
  /** For /readyz. */
  checks: Record<string, () => string | undefined>;
  /** Answers an AdmissionReview; throws ReviewError for what is none. */
  review(body: unknown): Promise<ReviewAnswer>;
  /** Lets running writes end. */
  stop(): Promise<void>;
}

/** Between two looks whether this replica leads again; it tries to renew its lease as often. */
const LEAD_MS = 2_000;

/** Key prefix of ConfigMaps whose content names no policy. */
const DAMAGED = "ConfigMap/";

/** Starts the operator; only the holder of the leader's lease may do so. */
export function startOperator(deps: OperatorDeps): Operator {
  const { client, namespace, logger, registry, instance, now = Date.now } = deps;
  const { patience = DEFAULT_PATIENCE, tolerance = DEFAULT_TOLERANCE, onWork = () => {} } = deps;
  const metrics = createOperatorMetrics(registry);
  const compile = countErrors(deps.compile, metrics);
  const specQueue = makeSpecQueue(logger, metrics);
  const statusQueue = new WorkQueue({ name: "status of", logger, concurrency: 8 });
  const reader = new SpecReader();
  const sources = new Sources({ client, namespace, reader, logger, metrics: createWatchMetrics(registry) });
  const nodes = new NodeIndex(now, patience);
  /** Without reports, every spec may be in use. */
  const isInUse = (ref: PolicyRef, name: string) =>
    sources.areReportsMissing || nodes.runs(policyKey(ref), hashOfName(name));
  const known = () => sources.specs.store.values();
  const specs = new SpecStore({ client, namespace, reader, logger, now, known });
  const unused = new UnusedSpecs({ specs, sources, isInUse });
  const reporter = new StatusReporter({
    queue: statusQueue,
    findPolicy: (key) => findPolicy(sources, key),
    nodes,
    areReportsMissing: () => sources.areReportsMissing,
    generationsOf: (key) => generationsOf(sources.specsOf(key)),
    patience,
    tolerance,
    now,
    publisher: new StatusPublisher({ client, now }),
    events: new EventRecorder({ client, logger, now, instance }),
    onWritten: () => metrics.statusWrites.inc(),
    onReady: (afterMs) => metrics.readySeconds.observe(afterMs / 1000),
    onRejected: () => metrics.rejections.inc(),
  });
  registerGauges(registry, {
    queueDepth: () => ({ specs: specQueue.depth, status: statusQueue.depth }),
    policies: () => sources.policyKeys().length,
    nodes: () => nodes.size,
  });

  const findByRef = (ref: PolicyRef) => sources.findPolicy(ref);
  const reconcileDeps = { findPolicy: findByRef, compile, specs, reporter, isInUse };
  const workOnSpec = async (key: string): Promise<Again> => {
    onWork();
    const ref = parsePolicyKey(key);
    if (ref !== undefined) return reconcile(reconcileDeps, ref);
    return repairDamaged(key.slice(DAMAGED.length), { specs, sources, specQueue });
  };
  const workOnStatus = (key: string) => {
    onWork();
    if (unused.areNews(key)) specQueue.add(key);
    return reporter.work(key);
  };

  const listed = sources.start(makeHandlers({ specQueue, statusQueue, reporter, nodes }));
  let isRunning = false;
  const started = listed.then(() => {
    isRunning = true;
    for (const key of sources.policyKeys()) specQueue.add(key);
    specQueue.start(whileLeading(workOnSpec));
    statusQueue.start(whileLeading(workOnStatus));
    logger.info("operator started", { policies: sources.policyKeys().length, nodes: nodes.size });
  });
  return {
    started,
    review: async (body) => {
      const missing = (calls: readonly HookCall[]) => missingHooks(calls, [...nodes.lacks()]);
      const answer = await reviewPolicy({ compile: deps.compile, missing }, body);
      metrics.reviews.inc({ result: resultOf(answer) });
      return answer;
    },
    checks: { ...sources.checks(), operator: () => (isRunning ? undefined : "not started") },
    stop: async () => {
      isRunning = false;
      await Promise.all([sources.stop(), specQueue.stop(), statusQueue.stop()]);
    },
  };
}

/** What this replica may not write now, it tries again in silence: nothing is wrong with the policy. */
function whileLeading(work: Work): Work {
  return (key) =>
    work(key).catch((error: unknown) => {
      if (isNotLeading(error)) return { againAfterMs: LEAD_MS };
      throw error;
    });
}

function countErrors(compile: Compile, { compileErrors }: OperatorMetrics): Compile {
  return async (policy) => {
    const compiled = await compile(policy);
    if (!compiled.ok) for (const { path } of compiled.errors) compileErrors.inc({ field: errorField(path) });
    return compiled;
  };
}

function resultOf({ response: { allowed, warnings } }: ReviewAnswer): "allowed" | "warned" | "refused" {
  if (!allowed) return "refused";
  return warnings ? "warned" : "allowed";
}

function makeSpecQueue(logger: Logger, metrics: OperatorMetrics): WorkQueue {
  return new WorkQueue({
    name: "reconcile",
    logger,
    concurrency: 4,
    onDone: (_key, result, seconds) => {
      metrics.reconciles.inc({ result });
      metrics.reconcileSeconds.observe(seconds);
    },
  });
}

/** What each change in the cluster leads to. */
function makeHandlers(parts: {
  specQueue: WorkQueue;
  statusQueue: WorkQueue;
  reporter: StatusReporter;
  nodes: NodeIndex;
}): SourceHandlers {
  const { specQueue, statusQueue, reporter, nodes } = parts;
  const policyChanged = (policy: PolicyObject) => specQueue.add(keyOf(policy));
  /** Only a new generation is work: the operator's own status writes do not change it. */
  const policyUpdated = (policy: PolicyObject, previous: PolicyObject) => {
    if (policy.metadata.generation !== previous.metadata.generation) policyChanged(policy);
    else reporter.statusSeen(policy);
  };
  /** The content decides which policy it belongs to; without readable content, only the name is known. */
  const specChanged = ({ spec, metadata }: SpecObject) =>
    specQueue.add(spec ? policyKey(spec.policy) : `${DAMAGED}${metadata.name}`);
  const podSeen = (pod: AgentPod) => reporter.nodesChanged(nodes.setPod(pod));
  const podGone = (pod: AgentPod) => reporter.nodesChanged(nodes.removePod(pod));
  const reportSeen = (report: NodeReport) => reporter.nodesChanged(nodes.setReport(report));
  const reportGone = (report: NodeReport) => reporter.nodesChanged(nodes.removeReport(report));
  /** A watch that works again is the sign that writes do, too. */
  const onProblem = (problem: unknown) => {
    if (problem !== undefined) return;
    specQueue.retryNow();
    statusQueue.retryNow();
  };
  const reportsChanged = (problem: unknown) => {
    reporter.nodesChanged("all");
    onProblem(problem);
  };
  return {
    policies: { onAdd: policyChanged, onUpdate: policyUpdated, onDelete: policyChanged, onProblem },
    specs: { onAdd: specChanged, onUpdate: specChanged, onDelete: specChanged, onProblem },
    pods: { onAdd: podSeen, onUpdate: podSeen, onDelete: podGone, onProblem },
    reports: { onAdd: reportSeen, onUpdate: reportSeen, onDelete: reportGone, onProblem: reportsChanged },
  };
}

/** If it has the name of a wanted spec, the policy's reconcile replaces it. Otherwise no node needs it. */
async function repairDamaged(
  name: string,
  parts: { specs: SpecStore; sources: Sources; specQueue: WorkQueue },
): Promise<Again> {
  const owner = parts.specs.wantedBy(name);
  if (owner !== undefined) {
    parts.specQueue.add(owner);
    return undefined;
  }
  const damaged = parts.sources.findDamaged(name);
  return damaged && parts.specs.discard(damaged);
}

function findPolicy(sources: Sources, key: string): PolicyObject | undefined {
  const ref = parsePolicyKey(key);
  return ref && sources.findPolicy(ref);
}

function keyOf(policy: PolicyObject): string {
  return policyKey(policyRefOf(policy));
}
