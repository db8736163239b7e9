/** Prometheus gauges of policies and hooks on this node, read when they are scraped. */
import type { Registry } from "prom-client";
import type { NodePolicyState } from "../../crds/conditions.ts";
import type { PolicyRef } from "../../crds/names.ts";
import {
  type Labels,
  oncePerScrape,
  type Sample,
  scrapedGauges,
  sumSamples,
} from "../../lib/scraped-metrics.ts";
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

/** Hooks of a policy with the same label and way of attaching. */
interface HookSum {
  count: number;
  attachMs: number;
  memoryBytes: number;
}

/** Registers how hooks are attached, what they cost in the kernel, and the policies by state. */
export function registerHookMetrics(registry: Registry, view: PolicyView): void {
  const sums = oncePerScrape(summing(view));
  const gauge = (
    name: string,
    help: string,
    samples: (labels: Labels, attach: Map<Labels, HookSum>) => Sample[],
  ) =>
    scrapedGauges(registry, `trigon_${name}`, help, () =>
      Array.from(sums(), ([labels, attach]) => samples(labels, attach)).flat(),
    );
  const perHook = (name: string, help: string, value: (sum: HookSum) => number) =>
    gauge(name, help, (labels, attach) => [[labels, total(attach.values(), value)]]);
  gauge("hook_attached", "Hooks that are attached now, by how they are attached.", (labels, attach) =>
    Array.from(attach, ([how, { count }]): Sample => [labels, count, how]),
  );
  const seconds = "How long it took to load and attach a hook.";
  perHook("hook_attach_seconds", seconds, ({ attachMs }) => attachMs / 1000);
  const memory = "Kernel memory of the programs and maps of a hook.";
  perHook("hook_kernel_memory_bytes", memory, ({ memoryBytes }) => memoryBytes);
  registerPolicies(registry, view);
}

/** Hooks on the same function have the same labels: they are one series. */
function summing(view: PolicyView): () => Map<Labels, Map<Labels, HookSum>> {
  const labels = new PolicyLabels(KEPT_POLICIES);
  const attachLabels = new Map<string, Labels>();
  return () => {
    const sums = new Map<Labels, Map<Labels, HookSum>>();
    for (const { policy, hook } of view.attachedHooks()) {
      const own = labels.of(policy, hookLabel(hook));
      const ofHook = sums.get(own) ?? new Map<Labels, HookSum>();
      sums.set(own, ofHook);
      const how = kept(attachLabels, hook.status.attach ?? "", "attach");
      const { count = 0, attachMs = 0, memoryBytes = 0 } = ofHook.get(how) ?? {};
      ofHook.set(how, {
        count: count + 1,
        attachMs: attachMs + hook.attachMs,
        memoryBytes: memoryBytes + hook.memoryBytes(),
      });
    }
    return sums;
  };
}

function total(sums: Iterable<HookSum>, value: (sum: HookSum) => number): number {
  let all = 0;
  for (const sum of sums) all += value(sum);
  return all;
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
