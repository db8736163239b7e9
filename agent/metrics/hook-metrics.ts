/** Prometheus gauges of policies and hooks on this node, read when they are scraped. */
import type { Registry } from "prom-client";
import type { NodePolicyState } from "../../crds/conditions.ts";
import type { PolicyRef } from "../../crds/names.ts";
import { type Labels, type Sample, scrapedGauges, sumSamples } from "../../lib/scraped-metrics.ts";
import type { AttachedHook } from "../hooks/engine.ts";
import { hookLabel } from "./event-metrics.ts";
import { KEPT_POLICIES, PolicyLabels, policyLabels } from "./policy-labels.ts";

interface Outcome {
  state: NodePolicyState;
  reason?: string;
}

/** Policies and hooks as the gauges show them. */
export interface PolicyView {
  attachedHooks(): readonly {
    policy: PolicyRef;
    hook: Pick<AttachedHook, "def" | "functionName" | "status" | "memoryBytes" | "attachMs">;
  }[];
  outcomes(): readonly Outcome[];
}

type Live = ReturnType<PolicyView["attachedHooks"]>[number];

/** Registers how hooks are attached, what they cost in the kernel, and the policies by state. */
export function registerHookMetrics(registry: Registry, view: PolicyView): void {
  const labels = new PolicyLabels(KEPT_POLICIES);
  const attach = new Map<string, Labels>();
  const perHook = (name: string, help: string, sample: (live: Live) => Sample) =>
    scrapedGauges(registry, `trigon_${name}`, help, () => view.attachedHooks().map(sample));
  const labelsOf = ({ policy, hook }: Live) => labels.of(policy, hookLabel(hook));
  const attachLabels = ({ hook: { status } }: Live) => kept(attach, status.attach ?? "", "attach");
  perHook("hook_attached", "Hooks that are attached now, by how they are attached.", (live) => [
    labelsOf(live),
    1,
    attachLabels(live),
  ]);
  perHook("hook_attach_seconds", "How long it took to load and attach a hook.", (live) => [
    labelsOf(live),
    live.hook.attachMs / 1000,
  ]);
  perHook("hook_kernel_memory_bytes", "Kernel memory of the programs and maps of a hook.", (live) => [
    labelsOf(live),
    live.hook.memoryBytes(),
  ]);
  registerPolicies(registry, view);
}

function registerPolicies(registry: Registry, view: PolicyView): void {
  const policies = new Map<string, Labels>();
  const memory = "Kernel memory of the programs and maps of a policy.";
  scrapedGauges(registry, "trigon_tracingpolicy_kernel_memory_bytes", memory, () =>
    sumSamples(
      view.attachedHooks().map(({ policy, hook }): Sample => {
        const key = `${policy.namespace ?? ""}/${policy.name}`;
        if (policies.size >= KEPT_POLICIES && !policies.has(key)) policies.clear();
        const labels = policies.get(key) ?? policyLabels(policy);
        policies.set(key, labels);
        return [labels, hook.memoryBytes()];
      }),
    ),
  );
  scrapedGauges(registry, "trigon_tracingpolicy_loaded", "Policies on this node by state.", () => {
    const states = view.outcomes().map(stateOf);
    return Object.values(STATES).map((labels) => [labels, states.filter((one) => one === labels).length]);
  });
}

/** Tetragon's states, and one more for policies that have not been tried yet. */
const STATES = {
  enabled: { state: "enabled" },
  partially_enabled: { state: "partially_enabled" },
  disabled: { state: "disabled" },
  skipped: { state: "skipped" },
  load_error: { state: "load_error" },
  loading: { state: "loading" },
} satisfies Record<string, Labels>;

function stateOf({ state, reason }: Outcome): Labels {
  switch (state) {
    case "Attached":
      return STATES.enabled;
    case "PartiallyAttached":
      return STATES.partially_enabled;
    case "Skipped":
      return reason === "Disabled" ? STATES.disabled : STATES.skipped;
    case "Failed":
      return STATES.load_error;
    case "Pending":
      return STATES.loading;
  }
}

function kept(labels: Map<string, Labels>, value: string, name: string): Labels {
  const known = labels.get(value) ?? { [name]: value };
  labels.set(value, known);
  return known;
}
