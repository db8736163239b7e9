/** Counts per policy and hook that go on when a hook is replaced by its next version. */
import { type PolicyRef, policyKey } from "../crds/names.ts";
import { type HookCounts, hookLabel } from "./events/metrics.ts";
import type { AttachedHook, HookStats } from "./hooks/engine.ts";

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
    ofPolicy.set(label, add(ofPolicy.get(label) ?? ZERO, hook.stats()));
  }

  /** Counts of the hooks that are attached, together with those of the hooks that they replaced. */
  read(live: readonly LiveHook[]): HookCounts[] {
    const sums = new Map<string, HookCounts>();
    for (const { policy, hook } of live) {
      const label = labelOf(hook);
      const key = `${policyKey(policy)} ${label}`;
      const before = sums.get(key) ?? this.#settled.get(policyKey(policy))?.get(label) ?? ZERO;
      sums.set(key, { policy, hook: label, ...add(before, hook.stats()) });
    }
    return [...sums.values()];
  }

  /** Lets the counts of a policy go. */
  forget(policy: PolicyRef): void {
    this.#settled.delete(policyKey(policy));
  }
}

const ZERO: HookStats = { hits: 0, posted: 0, lost: 0, rateLimited: 0, errors: 0, missed: 0 };

function add(a: HookStats, b: HookStats): HookStats {
  return {
    hits: a.hits + b.hits,
    posted: a.posted + b.posted,
    lost: a.lost + b.lost,
    rateLimited: a.rateLimited + b.rateLimited,
    errors: a.errors + b.errors,
    missed: a.missed + b.missed,
  };
}

function labelOf(hook: AttachedHook): string {
  return hookLabel(hook.def.section, hook.functionName);
}
