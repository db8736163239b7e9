/** Pods of one node from the API server into a PodStore. */
import type { KubeClient } from "../../lib/kube.ts";
import type { Logger } from "../../lib/logger.ts";
import type { WatchMetrics } from "../../lib/metrics.ts";
import { PODS } from "../../lib/resources.ts";
import { ResourceWatch } from "../../lib/watch.ts";
import { type PodObject, parsePod } from "./pod-object.ts";
import type { PodStore } from "./pod-store.ts";

/** A watch, not started, that keeps the store equal to the pods that the scheduler has put on the node. */
export function watchPods(deps: {
  client: KubeClient;
  nodeName: string;
  store: PodStore;
  logger: Logger;
  metrics?: WatchMetrics;
  /** Keeps annotations, for events to show them. */
  withAnnotations?: boolean;
}): ResourceWatch<PodObject> {
  const { client, nodeName, store, logger, metrics, withAnnotations = false } = deps;
  return new ResourceWatch<PodObject>(
    {
      client,
      resource: PODS,
      fieldSelector: `spec.nodeName=${nodeName}`,
      parse: (object) => parsePod(object, { withAnnotations }),
      logger,
      ...(metrics !== undefined && { metrics }),
    },
    {
      onAdd: (pod) => store.put(pod),
      onUpdate: (pod) => store.put(pod),
      onDelete: (pod) => store.delete(pod),
      onSync: () => store.markListed(),
    },
  );
}
