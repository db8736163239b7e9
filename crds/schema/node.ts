/** Schema of TracingNode: what one node's agent reports about its kernel and the policies there. */
import { count, dictionary, list, object, type Structural, text, word } from "./structural.ts";

const HOOK = object(
  "A hook of the policy on this node.",
  {
    attach: text("How it is attached: fentry, kprobe and so on."),
    call: text("Function as the policy names it."),
    function: text("Kernel function that the name stands for here."),
    message: text("Why it is not attached, or not by the first choice."),
    path: text("Field of the policy that it comes from."),
    reason: text("Stable word for the cause."),
    state: word("Result on this node.", ["Attached", "NotFound", "Failed", "Skipped"]),
  },
  ["path", "call", "state"],
);

const POLICY = object(
  "A policy on this node that does not simply run, or not without a remark.",
  {
    attach: text("How the attached hooks are attached, such as fentry×7 kprobe×1."),
    attachedHash: text("Hash of the spec that runs; absent when none does."),
    hooks: list("The first hooks that are not attached.", HOOK, { "x-kubernetes-list-type": "atomic" }),
    hooksAttached: count("Hooks that are attached."),
    kind: word("Kind of the policy.", ["TracingPolicy", "TracingPolicyNamespaced"]),
    message: text("For people."),
    name: text("Name of the policy."),
    namespace: text("Namespace of the policy; absent for the cluster-scoped kind."),
    reason: text("Stable word for the cause."),
    retrying: { description: "True while the agent tries again by itself.", type: "boolean" },
    specHash: text("Hash of the spec that is wanted."),
    state: word("Result on this node.", ["Attached", "PartiallyAttached", "Pending", "Failed", "Skipped"]),
  },
  ["kind", "name", "specHash", "state"],
);

const KERNEL = object("Facts about the kernel, found when the agent starts.", {
  architecture: text("Machine, as in uname -m."),
  features: dictionary("What the kernel can do.", { type: "boolean" }),
  missing: list(
    "What it cannot do, and why.",
    object(
      "A feature that the kernel lacks.",
      { feature: text("Name of the feature."), reason: text("Why it is missing.") },
      ["feature", "reason"],
    ),
    { "x-kubernetes-list-type": "atomic" },
  ),
  release: text("Release, as in uname -r."),
});

/** Atomic: the managed fields would name each entry otherwise, and be as large as the map. */
function lines(description: string): Structural {
  return dictionary(description, { type: "string" }, { "x-kubernetes-map-type": "atomic" });
}

/** Schema of the object that each agent writes about its own node. */
export const TRACING_NODE: Structural = object(
  "What Trigon does on one node. Written by the agent of that node alone.",
  {
    apiVersion: text("Version of this schema."),
    kind: text("Kind of the object."),
    metadata: { type: "object" },
    status: object("What the agent reports.", {
      agentVersion: text("Version of the agent."),
      activity: lines(
        "What policies do here, by NAME or NAMESPACE/NAME: pods that they are about, events per minute, and where most of those come from. Without the quiet ones that are about no pods in particular.",
      ),
      bootTime: { description: "When the kernel booted.", format: "date-time", type: "string" },
      kernel: KERNEL,
      attached: lines(
        "Policies that run as wanted, by NAME or NAMESPACE/NAME: the beginning of the spec's hash, and how its hooks are attached.",
      ),
      policies: list("Every other policy that the agent was given.", POLICY, {
        "x-kubernetes-list-type": "atomic",
      }),
      lost: text(
        "Events that were lost since the agent started: 0, or a lower bound such as 200+. It moves in steps because every change of a node costs a write.",
      ),
      policiesSummary: text("Policies attached, of all that this node should run."),
      ready: word("Whether every policy that this node should run does.", ["True", "False"]),
      skipped: lines("Policies that do not select this node, with the beginning of the spec's hash."),
    }),
  },
  ["metadata"],
);
