/** Reads and writes this node's TracingNode in the API server. */
import { FIELD_MANAGERS, TRACING_NODES } from "../../crds/names.ts";
import type { TracingNode as Generated } from "../../crds/tracingnode-v1alpha1.gen.ts";
import type { KubeClient } from "../../lib/kube.ts";
import { hasStatus } from "../../lib/kube-error.ts";
import { type KubeObject, NODES } from "../../lib/resources.ts";
import type { TracingNodeApi } from "./publish.ts";
import type { TracingNodeStatus } from "./tracing-node.ts";

/** The object as this agent writes it. */
export type TracingNode = Generated & KubeObject & { status?: TracingNodeStatus };

const WRITER = { fieldManager: FIELD_MANAGERS.agent };

/** Returns the requests for the TracingNode with the node's name. */
export function tracingNodeApi(client: KubeClient, nodeName: string): TracingNodeApi {
  const metadata = { name: nodeName };
  return {
    read: async () => (await client.find<TracingNode>(TRACING_NODES, metadata))?.status,
    patch: async (status) => {
      try {
        await client.mergePatch(TRACING_NODES, metadata, { status }, { ...WRITER, subresource: "status" });
        return true;
      } catch (error) {
        if (hasStatus(error, 404)) return false;
        throw error;
      }
    },
    create: () => createOwned(client, nodeName),
  };
}

/** Makes the Node the owner, so that the object is deleted when the node is removed from the cluster. */
async function createOwned(client: KubeClient, nodeName: string): Promise<void> {
  const node = await client.get<KubeObject>(NODES, { name: nodeName });
  const owner = { apiVersion: "v1", kind: "Node", name: nodeName, uid: node.metadata.uid ?? "" };
  await client.apply(TRACING_NODES, { metadata: { name: nodeName, ownerReferences: [owner] } }, WRITER);
}
