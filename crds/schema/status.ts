/** Status of a policy, written by the operator alone. */
import { count, int64, list, object, type Structural, text, texts, word } from "./structural.ts";

/** Conditions as every Kubernetes tool expects them. */
const CONDITIONS: Structural = list(
  "Ready always; Reconciling and Stalled while they are true.",
  object(
    "A fact about the policy.",
    {
      lastTransitionTime: {
        description: "When the status last changed.",
        format: "date-time",
        type: "string",
      },
      message: text("For people.", { maxLength: 32768 }),
      observedGeneration: { ...int64("Generation that the fact is about."), minimum: 0 },
      reason: text("Stable word for the cause.", {
        maxLength: 1024,
        minLength: 1,
        pattern: "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
      }),
      status: word("Whether the fact holds.", ["True", "False", "Unknown"]),
      type: text("Name of the fact.", { maxLength: 316 }),
    },
    ["lastTransitionTime", "message", "reason", "status", "type"],
  ),
  { maxItems: 16, "x-kubernetes-list-map-keys": ["type"], "x-kubernetes-list-type": "map" },
);

const NODE_COUNTS = object("Nodes by state.", {
  absent: count("Nodes that are not ready, or whose agent starts."),
  attached: count("Nodes with every hook attached."),
  failed: count("Nodes where the newest spec does not attach."),
  partial: count("Nodes where only optional hooks are missing."),
  pending: count("Nodes that have not reported the newest spec."),
  skipped: count("Nodes that the policy does not select."),
  total: count("Nodes that should run the policy."),
  unavailable: count("Nodes whose agent does not answer."),
});

const FAILING_NODES = object(
  "Nodes that do not run the newest spec for the same reason.",
  {
    count: count("Number of these nodes."),
    message: text("Message of the nodes."),
    nodes: texts("Names of the first of these nodes.", { maxItems: 5, "x-kubernetes-list-type": "atomic" }),
    reason: text("Stable word for the cause."),
    state: text("State of the policy there."),
  },
  ["count", "nodes", "state"],
);

const NODE_STATES = object(
  "Nodes with the same state of the policy.",
  {
    attach: text("How the hooks are attached, such as fentry×8."),
    attachedHash: text("Hash of the spec that runs there, if another one."),
    nodes: texts("Names of the nodes.", { maxItems: 50, "x-kubernetes-list-type": "atomic" }),
    state: text("State of the policy there."),
  },
  ["nodes", "state"],
);

/** What the operator reports about a policy. */
export const POLICY_STATUS: Structural = object("What runs, and where. Written by the operator.", {
  conditions: CONDITIONS,
  eventsPerMinute: count(
    "Events in the last minute on all nodes, rounded, those included that are only counted.",
  ),
  failingNodes: list("Nodes that need attention, grouped by the reason.", FAILING_NODES, {
    maxItems: 8,
    "x-kubernetes-list-type": "atomic",
  }),
  hooksSummary: text("Hooks attached, on the node with the fewest, of all."),
  nodeStates: list("Every node by state, in clusters of up to 50.", NODE_STATES, {
    maxItems: 50,
    "x-kubernetes-list-type": "atomic",
  }),
  nodes: NODE_COUNTS,
  nodesSummary: text("Nodes attached, of all."),
  noisiest: object("Where most events come from, the noisiest first.", {
    binaries: texts("Paths of programs.", { maxItems: 3, "x-kubernetes-list-type": "atomic" }),
    namespaces: texts("Namespaces of pods.", { maxItems: 3, "x-kubernetes-list-type": "atomic" }),
  }),
  observedGeneration: { ...int64("Generation of the spec that this status is about."), minimum: 0 },
  pods: count("Pods that the policy is about, on all nodes; absent if it is about no pods in particular."),
  specHash: text("Hash of the compiled spec."),
});
