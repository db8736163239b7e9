/** Schema of TracingPolicy and TracingPolicyNamespaced: the user's whole contract. */
import { containerSelector, hostSelector, labelSelector, podSelector } from "./labels.ts";
import { FUNCTION_PROBE, LSM_HOOK, TRACEPOINT, UPROBE, USDT } from "./probes.ts";
import { SELECTOR } from "./selectors.ts";
import { POLICY_STATUS } from "./status.ts";
import { flag, list, object, type Structural, text, texts, word } from "./structural.ts";
import { LIST_TYPES } from "./words.ts";

const LIST = object(
  "A named list of functions, system calls or values.",
  {
    name: text("Name that list:NAME refers to."),
    pattern: text("Pattern of a generated list."),
    type: word("What the list holds, or how it is generated.", LIST_TYPES),
    validated: flag("The list needs no check against the kernel."),
    values: texts("Entries."),
  },
  ["name"],
);

const ENFORCER = object("Functions that enforcers act on.", { calls: texts("Functions, or list:NAME.") }, [
  "calls",
]);

const OPTION = object("A setting of the policy.", { name: text("Setting."), value: text("Its value.") }, [
  "name",
]);

const SPEC = object("What to watch: one kind of probes, what to read there and when to report it.", {
  containerSelector: containerSelector(),
  enforcers: list("Where enforcement takes place.", ENFORCER),
  fentries: list("Functions, attached by trampoline only.", FUNCTION_PROBE),
  hostSelector: hostSelector(),
  kprobes: list("Kernel functions and system calls.", FUNCTION_PROBE),
  lists: list("Lists that hooks and selectors refer to.", LIST),
  loader: flag("Reports the loading of executable files."),
  lsmhooks: list("Hooks of the Linux Security Modules.", LSM_HOOK),
  nodeSelector: labelSelector("Nodes by their labels; without it every node runs the policy."),
  options: list("Settings of the policy.", OPTION),
  podSelector: podSelector(),
  selectorsMacros: {
    additionalProperties: SELECTOR,
    description: "Parts of selectors by name.",
    type: "object",
  },
  tracepoints: list("Tracepoints.", TRACEPOINT),
  uprobes: list("Functions of user-space programs.", UPROBE),
  usdts: list("Statically defined probes of user-space programs.", USDT),
});

function policySchema(description: string, more: Structural): Structural {
  return object(
    description,
    {
      apiVersion: text("Version of this schema."),
      kind: text("Kind of the object."),
      metadata: { type: "object" },
      spec: SPEC,
      status: POLICY_STATUS,
    },
    ["metadata", "spec"],
    more,
  );
}

/** Schema of the cluster-scoped kind. */
export const TRACING_POLICY = policySchema("Watches processes of the whole cluster.", {});

/** Schema of the namespaced kind, which must not select the host. */
export const TRACING_POLICY_NAMESPACED = policySchema("Watches processes in pods of its namespace.", {
  "x-kubernetes-validations": [
    {
      rule: "!has(self.spec.hostSelector)",
      message: "is not allowed in a TracingPolicyNamespaced: the host is in no namespace",
      fieldPath: ".spec.hostSelector",
    },
  ],
});
