/** Counts per policy and hook that go on when a hook is replaced by its next version. */
import { type PolicyRef, policyKey } from "../crds/names.ts";
import { type HookCounts, hookLabel } from "./events/metrics.ts";
import type { AttachedHook } from "./hooks/engine.ts";
import { addStats, type HookStats, NO_STATS } from "./hooks/hook-stats.ts";

/** A hook that is attached now. */
export interface LiveHook {
  policy: PolicyRef;
  hook: AttachedHook;
}

/** The kernel counts per attached hook, and its counts go with it: their sum is kept here, until the policy goes. */
export class HookTotals {
  readonly #settled = new Map<string, Map<string, HookStats>>();

  /** Takes the last counts of a hook that is about to be detached. */
  settle(policy: PolicyRef, hook: AttachedHook): void {
    const ofPolicy = this.#settled.get(policyKey(policy)) ?? new Map<string, HookStats>();
    this.#settled.set(policyKey(policy), ofPolicy);
    const label = labelOf(hook);
    ofPolicy.set(label, addStats(ofPolicy.get(label) ?? NO_STATS, hook.stats()));
  }

  /** Counts of the hooks that are attached, together with those of the hooks that they replaced. */
  read(live: readonly LiveHook[]): HookCounts[] {
    const sums = new Map<string, HookCounts>();
    for (const { policy, hook } of live) {
      const label = labelOf(hook);
      const key = `${policyKey(policy)} ${label}`;
      const before = sums.get(key) ?? this.#settled.get(policyKey(policy))?.get(label) ?? NO_STATS;
      sums.set(key, { policy, hook: label, ...addStats(before, hook.stats()) });
    }
    return [...sums.values()];
  }

  /** Lets the counts of a policy go. */
  forget(policy: PolicyRef): void {
    this.#settled.delete(policyKey(policy));
  }
}

function labelOf(hook: AttachedHook): string {
  return hookLabel(hook);
}
