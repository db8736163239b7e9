/** A policy as ListTracingPolicies shows it, in the JSON form of TracingPolicyStatus. Pure. */
import type { NodePolicyState } from "../../crds/conditions.ts";
import type { PolicyRef } from "../../crds/names.ts";
import { isEnforcing } from "../hooks/config/selectors.ts";
import type { HookStatus } from "../hooks/engine.ts";
import { type HookCounts, SENSORS } from "../metrics/kernel-metrics.ts";
import type { PolicyOutcome } from "../policies/outcome.ts";
import type { DesiredPolicy } from "../policies/sources/source.ts";

/** What is known of a policy. */
export interface PolicyView {
  id: number;
  domain: string;
  desired: DesiredPolicy;
  /** Absent: it has not been tried yet. */
  outcome: PolicyOutcome | undefined;
  memoryBytes: number;
  counts: readonly HookCounts[];
}

const STATES: Record<NodePolicyState, string> = {
  Attached: "TP_STATE_ENABLED",
  PartiallyAttached: "TP_STATE_PARTIALLY_ENABLED",
  Failed: "TP_STATE_LOAD_ERROR",
  Pending: "TP_STATE_LOADING",
  Skipped: "TP_STATE_SKIPPED",
};

/** The status of a policy; counters are those that the kernel keeps. */
export function policyStatus({ id, domain, desired, outcome, memoryBytes, counts }: PolicyView): object {
  const { name, namespace = "" } = desired.ref;
  const hooks = "spec" in desired ? desired.spec.hooks : [];
  const state = stateOf(outcome);
  return {
    id: String(id),
    name,
    namespace,
    info: desired.origin,
    sensors: [...new Set(hooks.map(({ section }) => SENSORS[section]))],
    enabled: state === "TP_STATE_ENABLED" || state === "TP_STATE_PARTIALLY_ENABLED",
    error: errorOf(outcome),
    state,
    kernel_memory_bytes: String(memoryBytes),
    mode: modeOf(desired),
    count_only: "spec" in desired && desired.spec.mode === "count",
    stats: statsOf(counts),
    domain,
    hook_statuses: (outcome?.hooks ?? []).map(hookStatus),
  };
}

function stateOf(outcome: PolicyOutcome | undefined): string {
  if (!outcome) return "TP_STATE_LOADING";
  return outcome.reason === "Disabled" ? "TP_STATE_DISABLED" : STATES[outcome.state];
}

/** Not of a policy that is off because somebody wants it to be. */
function errorOf(outcome: PolicyOutcome | undefined): string {
  return outcome === undefined || outcome.state === "Skipped" ? "" : (outcome.message ?? "");
}

function modeOf(desired: DesiredPolicy): string {
  if (!("spec" in desired)) return "TP_MODE_UNKNOWN";
  if (!desired.spec.hooks.some(isEnforcing)) return "TP_MODE_MONITOR_ONLY";
  return desired.spec.mode === "monitor" || desired.spec.mode === "count"
    ? "TP_MODE_MONITOR"
    : "TP_MODE_ENFORCE";
}

type Counters = Record<(typeof COUNTERS)[number], number>;

const COUNTERS = ["post", "nopost", "signal", "monitor_signal", "override", "monitor_override"] as const;

function statsOf(counts: readonly HookCounts[]): object {
  const selectors = counts.flatMap(({ hook, index = 0, actions = [] }) =>
    actions.map((action) => ({ hook, hookIndex: index, ...action })),
  );
  return {
    action_counters: counters(selectors),
    selector_action_counters: selectors.map((selector) => ({
      hook: selector.hook,
      hook_index: selector.hookIndex,
      ...(selector.label === undefined
        ? { selector_index: selector.index }
        : { selector_label: selector.label, selector_index: selector.index }),
      action_counters: counters([selector]),
    })),
  };
}

function counters(selectors: readonly Counters[]): object {
  const sums = COUNTERS.map((name) => [
    name,
    String(selectors.reduce((sum, { [name]: count }) => sum + count, 0)),
  ]);
  return Object.fromEntries(sums);
}

/** `path` is the hook's place in the policy: spec.kprobes[0]. */
function hookStatus({ path, call, state, attach, message }: HookStatus): object {
  const [, section = "", index = "0"] = /^spec\.(\w+)\[(\d+)\]/.exec(path) ?? [];
  return {
    section,
    hook_idx: Number(index),
    state:
      state === "Attached"
        ? "STATUS_LOADED"
        : state === "NotFound"
          ? "STATUS_CALL_NOT_FOUND"
          : "STATUS_UNSPECIFIED",
    hook_description: [call, attach && `(${attach})`, message && `: ${message}`].filter(Boolean).join(" "),
  };
}

/** The policy that a request names; one with a namespace is of the namespaced kind. */
export function refOf(name: string, namespace: string): PolicyRef {
  return namespace === ""
    ? { kind: "TracingPolicy", name }
    : { kind: "TracingPolicyNamespaced", namespace, name };
}
