/** The agent's side of Kubernetes: the objects that it watches, and the one object that it writes. */
import { HOOK_SPEC_SELECTOR, TRACING_NODES } from "../crds/names.ts";
import type { KubeClient } from "../lib/kube.ts";
import type { Logger } from "../lib/logger.ts";
import type { WatchMetrics } from "../lib/metrics.ts";
import { CONFIG_MAPS, type KubeObject, NODES } from "../lib/resources.ts";
import { ResourceWatch } from "../lib/watch.ts";
import type { Labels } from "./pods/label-selector.ts";
import type { PodStore } from "./pods/pod-store.ts";
import { watchPods } from "./pods/watch.ts";
import type { ConfigMap } from "./policies/sources/candidates.ts";
import { ConfigMapSource } from "./policies/sources/config-maps.ts";
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
  logger: Logger;
  metrics: WatchMetrics;
}

const LASTING_SECONDS = 300;

/** Reads hook specs, labels and pods, and writes the TracingNode. Sends no request before start(). */
export class Cluster {
  readonly source: ConfigMapSource;
  readonly publisher: StatusPublisher;
  readonly #watches: Pick<ResourceWatch<KubeObject>, "start" | "stop" | "problem">[];
  readonly #nodes: ResourceWatch<KubeObject>;
  readonly #writeGuard: WriteGuard;
  readonly #nodeName: string;
  #nodeUid: string | undefined;
  #problemSince: number | undefined;
  #onLabels: () => void = () => {};

  constructor(deps: ClusterDeps) {
    const { client, nodeName, logger } = deps;
    this.#nodeName = nodeName;
    this.source = new ConfigMapSource({ logger });
    this.publisher = new StatusPublisher({
      api: tracingNodeApi(client, nodeName),
      logger,
      random: Math.random,
    });
    this.#writeGuard = new WriteGuard({ transport: client.transport, logger });
    this.#nodes = this.#watchNode(deps);
    this.#watches = [
      watchConfigMaps(deps, this.source),
      this.#nodes,
      watchPods({ ...deps, client: deps.podClient, store: deps.podStore }),
      watchTracingNode(deps, this.publisher),
    ];
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
    return this.#watches.map((watch) => watch.problem).find((problem) => problem !== undefined);
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
    this.#writeGuard.start();
    for (const watch of this.#watches) watch.start();
  }

  async stop(): Promise<void> {
    this.publisher.close();
    await Promise.all([this.#writeGuard, ...this.#watches].map((part) => part.stop()));
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
            this.#onLabels();
        },
      },
    );
  }

  #nodeAdded(uid: string | undefined): void {
    if (this.#nodeUid !== undefined && this.#nodeUid !== uid) this.publisher.nodeReplaced();
    this.#nodeUid = uid;
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

function watchConfigMaps(deps: ClusterDeps, source: ConfigMapSource): ResourceWatch<ConfigMap> {
  const { client, namespace, logger, metrics } = deps;
  return new ResourceWatch<ConfigMap>(
    { client, resource: CONFIG_MAPS, namespace, labelSelector: HOOK_SPEC_SELECTOR, logger, metrics },
    {
      onAdd: (configMap) => source.put(configMap),
      onUpdate: (configMap) => source.put(configMap),
      onDelete: (configMap) => source.remove(configMap),
      onSync: () => source.markSynced(),
    },
  );
}
