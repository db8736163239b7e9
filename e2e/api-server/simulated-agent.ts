/** An agent as the API server sees it: a Pod on a node and a TracingNode, written like those of a real agent. */
import type { NodePolicyState } from "../../crds/conditions.ts";
import { AGENT_COMPONENT, FIELD_MANAGERS, LABELS, type PolicyRef, TRACING_NODES } from "../../crds/names.ts";
import { writeNodePolicies } from "../../crds/node-policies.ts";
import type { KubeClient } from "../../lib/kube.ts";
import { type KubeObject, PODS } from "../../lib/resources.ts";

const WRITER = { fieldManager: FIELD_MANAGERS.agent };
const KUBELET = { fieldManager: "kubelet" };

/** The agent's report on one policy. */
export interface Report {
  ref: PolicyRef;
  specHash: string;
  attachedHash?: string;
  state: NodePolicyState;
  reason?: string;
  message?: string;
  /** Calls of the hooks that are attached. */
  calls?: string[];
}

/** One node's agent. */
export class SimulatedAgent {
  readonly node: string;
  readonly #client: KubeClient;
  readonly #namespace: string;

  constructor(client: KubeClient, namespace: string, node: string) {
    this.#client = client;
    this.#namespace = namespace;
    this.node = node;
  }

  /** Creates the Pod as Ready, as the DaemonSet controller and the kubelet do. */
  async start(): Promise<void> {
    await this.#createPod({ nodeName: this.node });
    await this.setPodStatus({ phase: "Running", conditions: [{ type: "Ready", status: "True" }] });
    await this.#client.apply(TRACING_NODES, { metadata: { name: this.node } }, WRITER);
  }

  /** Creates the Pod as one for which the scheduler finds no room. */
  async startUnscheduled(message: string): Promise<void> {
    const matchFields = [{ key: "metadata.name", operator: "In", values: [this.node] }];
    const required = { nodeSelectorTerms: [{ matchFields }] };
    await this.#createPod({
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } },
    });
    const scheduled = { type: "PodScheduled", status: "False", reason: "Unschedulable", message };
    await this.setPodStatus({ conditions: [scheduled] });
  }

  async #createPod(where: object): Promise<void> {
    const labels = { [LABELS.name]: "trigon", [LABELS.component]: AGENT_COMPONENT };
    const spec = {
      ...where,
      serviceAccountName: "trigon-agent",
      automountServiceAccountToken: false,
      containers: [{ name: "agent", image: "none" }],
    };
    await this.#client.apply(PODS, { metadata: { ...this.#pod, labels }, spec } as KubeObject, KUBELET);
  }

  async setPodStatus(status: object): Promise<void> {
    await this.#client.mergePatch(PODS, this.#pod, { status }, { ...KUBELET, subresource: "status" });
  }

  /** Writes the whole report: policies that are not in the list are not in the object afterwards. */
  async report(...reports: Report[]): Promise<void> {
    const policies = reports.map(({ ref, calls = [], ...rest }) => ({
      ...ref,
      ...rest,
      hooks: calls.map((call, i) => ({
        path: `spec.kprobes[${i}]`,
        call,
        state: "Attached" as const,
        attach: "fentry",
      })),
    }));
    const status = {
      agentVersion: "test",
      kernel: { release: "6.1.0", architecture: "x86_64", features: {}, missing: [] },
      attached: null,
      skipped: null,
      ...writeNodePolicies(policies),
    };
    await this.#client.mergePatch(
      TRACING_NODES,
      { name: this.node },
      { status },
      { ...WRITER, subresource: "status" },
    );
  }

  /** Reports a policy of which a call was not found. */
  async reportMissing(call: string): Promise<void> {
    const hook = {
      path: "spec.kprobes[0]",
      call,
      state: "NotFound",
      reason: "FunctionNotFound",
      message: "none",
    };
    const ref = { kind: "TracingPolicy", name: "other" };
    const policies = [{ ...ref, specHash: "0", state: "PartiallyAttached", hooks: [hook] }];
    const kernel = { release: "6.1.0", architecture: "x86_64", features: {}, missing: [] };
    const status = { agentVersion: "test", kernel, policies };
    await this.#client.applyStatus(
      TRACING_NODES,
      { metadata: { name: this.node }, status } as KubeObject,
      WRITER,
    );
  }

  /** Deletes the Pod but not the TracingNode, as on a drained node. */
  async leave(): Promise<void> {
    await this.#client
      .mergePatch(PODS, this.#pod, { metadata: { finalizers: null } }, KUBELET)
      .catch(() => undefined);
    await this.#client.transport.send({
      method: "DELETE",
      path: `/api/v1/namespaces/${this.#namespace}/pods/${this.#pod.name}`,
      query: { gracePeriodSeconds: 0 },
    });
  }

  /** Deletes Pod and TracingNode, as if the node was deleted. */
  async vanish(): Promise<void> {
    await this.leave();
    await this.#client.delete(TRACING_NODES, { name: this.node });
  }

  get #pod() {
    return { name: `trigon-agent-${this.node}`, namespace: this.#namespace };
  }
}
