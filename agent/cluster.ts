/** The agent's side of Kubernetes: the objects that it watches, and the one object that it writes. */
import { SPECS_FOR_ALL_NODES, SPECS_FOR_SOME_NODES, TRACING_NODES } from "../crds/names.ts";
import type { KubeClient } from "../lib/kube.ts";
import type { Logger } from "../lib/logger.ts";
import type { WatchMetrics } from "../lib/metrics.ts";
import { pause } from "../lib/pause.ts";
import { CONFIG_MAPS, type KubeObject, NODES, objectKey } from "../lib/resources.ts";
import { ResourceWatch } from "../lib/watch.ts";
import { type Labels, selectorMatches } from "./pods/label-selector.ts";
import type { PodStore } from "./pods/pod-store.ts";
import { watchPods } from "./pods/watch.ts";
import type { ConfigMap } from "./policies/sources/candidates.ts";
import { ConfigMapSource } from "./policies/sources/config-maps.ts";
import { SelectedSpecs } from "./policies/sources/selected-specs.ts";
import { ClusterSize } from "./status/cluster-size.ts";
import { StatusPublisher } from "./status/publish.ts";
import { type TracingNode, tracingNodeApi } from "./status/tracing-node-api.ts";
import { WriteGuard } from "./write-guard.ts";

/** Dependencies of the cluster side. */
export interface ClusterDeps {
  client: KubeClient;
  /** Reads pods: see pods/pod-client.ts. */
  podClient: KubeClient;
  nodeName: string;
  /** Namespace of the operator's ConfigMaps. */
  namespace: string;
  podStore: PodStore;
  /** Whether events show the annotations of pods. */
  withPodAnnotations?: boolean;
  logger: Logger;
  metrics: WatchMetrics;
}

const LASTING_SECONDS = 300;
/** In a large cluster, what nothing waits for begins within this time. */
const UNHURRIED_MS = 60_000;

type Watch = Pick<ResourceWatch<KubeObject>, "start" | "stop" | "problem" | "waitForFirstTry">;

/**
 * Reads hook specs, labels and pods, and writes the TracingNode. Sends no request before start(). The agents of all nodes
 * may start at the same moment, so what is needed first is asked for first, and the rest when the API server has answered.
 */
export class Cluster {
  readonly source: ConfigMapSource;
  readonly publisher: StatusPublisher;
  /** In the order in which they are needed. */
  readonly #watches: readonly Watch[];
  /** Restores what others change in this node's report. */
  readonly #ownReport: Watch;
  readonly #size: ClusterSize;
  readonly #stopped = new AbortController();
  #isUnhurried = false;
  readonly #nodes: ResourceWatch<KubeObject>;
  readonly #writeGuard: WriteGuard;
  readonly #nodeName: string;
  #nodeUid: string | undefined;
  #problemSince: number | undefined;
  readonly #selectedSpecs: SelectedSpecs;
  #onLabels: () => void = () => {};

  constructor(deps: ClusterDeps) {
    const { client, nodeName, logger } = deps;
    this.#nodeName = nodeName;
    this.source = new ConfigMapSource({ logger });
    this.#size = new ClusterSize({ client: client.onlyMetadata(), now: () => performance.now() });
    this.publisher = new StatusPublisher({
      api: tracingNodeApi(client, nodeName),
      logger,
      cluster: this.#size,
      random: Math.random,
    });
    const specs = watchSpecs(deps, this.source, () => this.labels());
    this.#selectedSpecs = specs.selected;
    this.#writeGuard = new WriteGuard({ transport: client.transport, logger });
    this.#nodes = this.#watchNode(deps);
    const [allSpecs, someSpecs] = specs.watches;
    this.#watches = [
      allSpecs,
      this.#nodes,
      someSpecs,
      watchPods({
        ...deps,
        client: deps.podClient,
        store: deps.podStore,
        withAnnotations: deps.withPodAnnotations === true,
      }),
    ];
    this.#ownReport = watchTracingNode(deps, this.publisher);
  }

  /** Labels of this node; undefined until they are known. They stay known while the API server is away. */
  labels(): Labels | undefined {
    const node = this.#nodes.store.get(this.#nodeName);
    return node && (node.metadata.labels ?? {});
  }

  /** Called when the node's labels have changed. */
  onLabels(listener: () => void): void {
    this.#onLabels = listener;
  }

  /** Why the watches are not up to date; undefined when they are. */
  get problem(): string | undefined {
    const started = this.#isUnhurried ? [...this.#watches, this.#ownReport] : this.#watches;
    return started.map((watch) => watch.problem).find((problem) => problem !== undefined);
  }

  /**
   * A lasting problem, for /readyz; call it regularly. Hooks stay attached while the API server is away, so a short
   * absence must not make every agent of the cluster unready.
   */
  lastingProblem(nowMs: number): string | undefined {
    const { problem } = this;
    this.#problemSince = problem === undefined ? undefined : (this.#problemSince ?? nowMs);
    if (this.#problemSince === undefined) return undefined;
    const seconds = Math.round((nowMs - this.#problemSince) / 1000);
    return seconds < LASTING_SECONDS ? undefined : `for ${seconds} s: ${problem}`;
  }

  /** That another node's report is not protected from this agent, for /readyz. */
  get writeGuardProblem(): string | undefined {
    return this.#writeGuard.problem;
  }

  start(): void {
    this.#selectedSpecs.start();
    void this.#startInTurn();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.publisher.close();
    const parts = [this.#writeGuard, this.#selectedSpecs, ...this.#watches, this.#ownReport];
    await Promise.all(parts.map((part) => part.stop()));
  }

  /** One request at a time: the answers set the pace, however many agents ask. */
  async #startInTurn(): Promise<void> {
    const { signal } = this.#stopped;
    for (const watch of this.#watches) {
      if (signal.aborted) return;
      watch.start();
      await watch.waitForFirstTry();
    }
    await pause(Math.random() * UNHURRIED_MS * (await this.#size.share()), signal);
    if (signal.aborted) return;
    this.#isUnhurried = true;
    this.#ownReport.start();
    this.#writeGuard.start();
  }

  /** Keeps only the labels of the Node, because the kubelet updates its other fields all the time. */
  #watchNode({ client, nodeName, logger, metrics }: ClusterDeps): ResourceWatch<KubeObject> {
    const fieldSelector = `metadata.name=${nodeName}`;
    return new ResourceWatch(
      { client, resource: NODES, fieldSelector, parse: keepLabels, logger, metrics },
      {
        onAdd: ({ metadata }) => this.#nodeAdded(metadata.uid),
        onUpdate: (node, before) => {
          if (JSON.stringify(node.metadata.labels) !== JSON.stringify(before.metadata.labels))
            this.#labelsChanged();
        },
      },
    );
  }

  #nodeAdded(uid: string | undefined): void {
    if (this.#nodeUid !== undefined && this.#nodeUid !== uid) this.publisher.nodeReplaced();
    this.#nodeUid = uid;
    this.#labelsChanged();
  }

  #labelsChanged(): void {
    this.#selectedSpecs.labelsChanged();
    this.#onLabels();
  }
}

function keepLabels({ metadata: { name, uid, resourceVersion, labels } }: KubeObject): KubeObject {
  return {
    metadata: {
      name,
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(labels !== undefined && { labels }),
    },
  };
}

/** Watches this node's own object, because other clients may delete or change it. */
function watchTracingNode(deps: ClusterDeps, publisher: StatusPublisher): ResourceWatch<TracingNode> {
  const { client, nodeName, logger, metrics } = deps;
  return new ResourceWatch<TracingNode>(
    { client, resource: TRACING_NODES, fieldSelector: `metadata.name=${nodeName}`, logger, metrics },
    {
      onUpdate: ({ status }) => publisher.objectChanged(status),
      onDelete: () => publisher.objectChanged(undefined),
    },
  );
}

/** The content of the specs that all nodes need, and the metadata of the others. */
function watchSpecs(deps: ClusterDeps, source: ConfigMapSource, readLabels: () => Labels | undefined) {
  const { client, namespace, logger, metrics } = deps;
  const common = { resource: CONFIG_MAPS, namespace, logger, metrics };
  const unsynced = new Set(["all", "some"]);
  const onSync = (part: string) => {
    unsynced.delete(part);
    if (unsynced.size === 0) source.markSynced();
  };
  const selected = new SelectedSpecs({
    put: (configMap) => source.put(configMap),
    // A label that is set or removed by hand makes a spec leave one watch for the other.
    remove: (configMap) => all.store.has(objectKey(configMap.metadata)) || source.remove(configMap),
    read: (name) => readConfigMap(client, namespace, name),
    selects: (selector) => {
      const labels = readLabels();
      return labels !== undefined && selectorMatches(selector, labels);
    },
    onSync: () => onSync("some"),
    logger,
  });
  const all = new ResourceWatch<ConfigMap>(
    { ...common, client, labelSelector: SPECS_FOR_ALL_NODES },
    {
      onAdd: (configMap) => source.put(configMap),
      onUpdate: (configMap) => source.put(configMap),
      onDelete: (configMap) => selected.has(configMap.metadata.name) || source.remove(configMap),
      onSync: () => onSync("all"),
    },
  );
  const some = new ResourceWatch<KubeObject>(
    { ...common, client: client.onlyMetadata(), labelSelector: SPECS_FOR_SOME_NODES, parse: slimMetadata },
    {
      onAdd: (object) => selected.seen(object),
      onUpdate: (object) => selected.seen(object),
      onDelete: (object) => selected.gone(object),
      onSync: () => selected.listed(),
    },
  );
  return { selected, watches: [all, some] as const };
}

/** By list, which the agent's Role allows. */
async function readConfigMap(
  client: KubeClient,
  namespace: string,
  name: string,
): Promise<ConfigMap | undefined> {
  const fieldSelector = `metadata.name=${name}`;
  const [found] = await client.list<ConfigMap>(CONFIG_MAPS, { namespace, fieldSelector });
  return found;
}

/** Without the managed fields, which are of no use here. */
function slimMetadata({ metadata }: KubeObject): KubeObject {
  const { managedFields: _, ...rest } = metadata as KubeObject["metadata"] & { managedFields?: unknown };
  return { metadata: rest };
}
