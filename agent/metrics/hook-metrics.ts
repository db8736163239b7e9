/** Prometheus gauges of policies and hooks on this node, read when they are scraped. */
import { Gauge, type Registry } from "prom-client";
import type { NodePolicyState } from "../../crds/conditions.ts";
import type { PolicyRef } from "../../crds/names.ts";
import type { AttachedHook } from "../hooks/engine.ts";
import { hookLabel } from "./event-metrics.ts";

/** Policies and hooks as the gauges show them. */
export interface PolicyView {
  attachedHooks(): {
    policy: PolicyRef;
    hook: Pick<AttachedHook, "def" | "functionName" | "status" | "memoryBytes">;
  }[];
  outcomes(): { state: NodePolicyState }[];
}

/** Registers how hooks are attached, what they cost in the kernel, and the policies by state. */
export function registerHookMetrics(registry: Registry, view: PolicyView): void {
  const registers = [registry];
  new Gauge({
    name: "trigon_hook_attached",
    help: "Hooks that are attached now, by how they are attached.",
    labelNames: ["policy", "policy_namespace", "hook", "attach"],
    registers,
    collect() {
      this.reset();
      for (const { policy, hook } of view.attachedHooks()) {
        const labels = { policy: policy.name, policy_namespace: policy.namespace ?? "" };
        this.inc({
          ...labels,
          hook: hookLabel(hook),
          attach: hook.status.attach ?? "",
        });
      }
    },
  });
  new Gauge({
    name: "trigon_tracingpolicy_kernel_memory_bytes",
    help: "Kernel memory of the programs and maps of a policy.",
    labelNames: ["policy", "policy_namespace"],
    registers,
    collect() {
      this.reset();
      for (const { policy, hook } of view.attachedHooks()) {
        this.inc({ policy: policy.name, policy_namespace: policy.namespace ?? "" }, hook.memoryBytes());
      }
    },
  });
  new Gauge({
    name: "trigon_tracingpolicy_loaded",
    help: "Policies on this node by state.",
    labelNames: ["state"],
    registers,
    collect() {
      this.reset();
      for (const { state } of view.outcomes()) this.inc({ state });
    },
  });
}
