/** Reads the pods of one node with rights that a stolen token does not widen: manifests/decision-pod-access.md. */
import type { IncomingMessage } from "node:http";
import {
  type ApiRequest,
  type ApiResponse,
  ApiTransport,
  type Transport,
  type TransportOptions,
} from "../../lib/api-transport.ts";
import type { ClusterAccess } from "../../lib/cluster-access.ts";
import { KubeClient } from "../../lib/kube.ts";

/**
 * A client that acts as the agent's own node, whom the API server shows the pods of this node only. Where the API server
 * does not allow that (before Kubernetes 1.36), it uses the rights of the agent.
 */
export function makePodClient(
  access: ClusterAccess,
  options: TransportOptions,
  nodeName: string,
): KubeClient {
  return new KubeClient(access, options, asNode(new ApiTransport(access, options), nodeName));
}

/** Sends each request as the node; one that is refused is sent again as it came. */
export function asNode(own: Transport, nodeName: string): Transport {
  const headers = { "impersonate-user": `system:node:${nodeName}` };
  const impersonated = (request: ApiRequest) => ({ ...request, headers: { ...request.headers, ...headers } });
  return {
    async send(request: ApiRequest): Promise<ApiResponse> {
      const answer = await own.send(impersonated(request));
      return answer.status === FORBIDDEN ? own.send(request) : answer;
    },
    async open(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
      const answer = await own.open(impersonated(request), signal);
      if (answer.statusCode !== FORBIDDEN) return answer;
      answer.destroy();
      return own.open(request, signal);
    },
    close: () => own.close(),
  };
}

const FORBIDDEN = 403;
