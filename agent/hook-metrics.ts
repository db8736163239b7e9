/** Prometheus metrics of hooks and policies, read from the kernel when they are scraped. */
import { Counter, Gauge, type Registry } from "prom-client";
import { type PolicyRef, policyKey } from "../crds/names.ts";
import type { AttachedHook, HookStats } from "./hooks/engine.ts";
import type { PolicyOutcome } from "./state/outcome.ts";

/** What is measured. */
export interface HookMetricsSource {
  attachedHooks(): { policy: PolicyRef; hook: AttachedHook }[];
  outcomes(): PolicyOutcome[];
}

type HookLabels = "policy" | "policy_namespace" | "hook";
type LabelsOfHook = Record<HookLabels, string>;

const HOOK_COUNTERS: Record<keyof HookStats, [name: string, help: string]> = {
  hits: ["trigon_hook_hits_total", "Runs of a hook's program."],
  posted: ["trigon_hook_records_total", "Records that a hook has written into the ring buffer."],
  lost: ["trigon_hook_records_lost_total", "Records of a hook that found the ring buffer full."],
  rateLimited: ["trigon_hook_rate_limited_total", "Hits that matched and were suppressed by rateLimit."],
  errors: ["trigon_hook_errors_total", "Records that a failing kernel helper has cost."],
  missed: [
    "trigon_hook_missed_total",
    "Runs that the kernel skipped because the program was running on the CPU.",
  ],
};

/**
 * The kernel counts per attached hook; the counters here go on when a hook is replaced by its next version, and end
 * with their policy.
 */
export class HookMetrics {
  readonly #source: HookMetricsSource;
  readonly #counters: Map<keyof HookStats, Counter<HookLabels>>;
  readonly #attached: Gauge<HookLabels | "attach">;
  readonly #memory: Gauge<"policy" | "policy_namespace">;
  readonly #policies: Gauge<"state">;
  /** What has been added to the counters already, by hook id. */
  readonly #counted = new Map<number, HookStats>();
  /** Label sets in use, by policy. */
  readonly #labels = new Map<string, Map<string, LabelsOfHook>>();
  #isFresh = false;

  constructor(registry: Registry, source: HookMetricsSource) {
    this.#source = source;
    const collect = () => this.#refresh();
    const registers = [registry];
    const labelNames: HookLabels[] = ["policy", "policy_namespace", "hook"];
    const entries = Object.entries(HOOK_COUNTERS) as [keyof HookStats, [string, string]][];
    this.#counters = new Map(
      entries.map(([key, [name, help]]) => [
        key,
        new Counter({ name, help, labelNames, registers, collect }),
      ]),
    );
    this.#attached = new Gauge({
      name: "trigon_hook_attached",
      help: "Hooks that are attached now, by how they are attached.",
      labelNames: [...labelNames, "attach"],
      registers,
      collect,
    });
    this.#memory = new Gauge({
      name: "trigon_tracingpolicy_kernel_memory_bytes",
      help: "Kernel memory of the programs and maps of a policy.",
      labelNames: ["policy", "policy_namespace"],
      registers,
      collect,
    });
    this.#policies = new Gauge({
      name: "trigon_tracingpolicy_loaded",
      help: "Policies on this node by state.",
      labelNames: ["state"],
      registers,
      collect,
    });
  }

  /** Takes the last counts of a hook that is about to be detached. */
  settle(policy: PolicyRef, hook: AttachedHook): void {
    this.#count(policy, hook);
    this.#counted.delete(hook.id);
  }

  /** Once per scrape, although every metric asks for it. */
  #refresh(): void {
    if (this.#isFresh) return;
    this.#isFresh = true;
    setImmediate(() => {
      this.#isFresh = false;
    });
    const outcomes = this.#source.outcomes();
    this.#forgetAllBut(new Set(outcomes.map(({ ref }) => policyKey(ref))));
    this.#attached.reset();
    this.#memory.reset();
    this.#policies.reset();
    for (const { state } of outcomes) this.#policies.inc({ state });
    for (const { policy, hook } of this.#source.attachedHooks()) this.#measure(policy, hook);
  }

  #measure(policy: PolicyRef, hook: AttachedHook): void {
    this.#count(policy, hook);
    const { hook: name, ...labels } = hookLabels(policy, hook);
    this.#attached.inc({ ...labels, hook: name, attach: hook.status.attach ?? "" });
    this.#memory.inc(labels, hook.memoryBytes());
  }

  #count(policy: PolicyRef, hook: AttachedHook): void {
    const labels = this.#labelsOf(policy, hook);
    const before = this.#counted.get(hook.id);
    const now = hook.stats();
    for (const [key, counter] of this.#counters) {
      counter.inc(labels, Math.max(0, now[key] - (before?.[key] ?? 0)));
    }
    this.#counted.set(hook.id, now);
  }

  #labelsOf(policy: PolicyRef, hook: AttachedHook): LabelsOfHook {
    const key = policyKey(policy);
    const ofPolicy = this.#labels.get(key) ?? new Map<string, LabelsOfHook>();
    this.#labels.set(key, ofPolicy);
    const labels = hookLabels(policy, hook);
    ofPolicy.set(labels.hook, labels);
    return labels;
  }

  #forgetAllBut(known: ReadonlySet<string>): void {
    for (const [key, ofPolicy] of this.#labels) {
      if (known.has(key)) continue;
      for (const labels of ofPolicy.values())
        for (const counter of this.#counters.values()) counter.remove(labels);
      this.#labels.delete(key);
    }
  }
}

/** The labels that the event counters have, so that losses can be held against detections. */
function hookLabels(policy: PolicyRef, hook: AttachedHook): LabelsOfHook {
  return {
    policy: policy.name,
    policy_namespace: policy.namespace ?? "",
    hook: `kprobe:${hook.functionName}`,
  };
}
