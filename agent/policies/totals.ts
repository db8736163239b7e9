/** Keeps the counters of each policy's hooks, also when a new version of a hook replaces the old one. */
import { type PolicyRef, policyKey } from "../../crds/names.ts";
import {
  type ActionStats,
  addActions,
  addStats,
  type HookStats,
  NO_STATS,
} from "../hooks/attach/hook-stats.ts";
import type { AttachedHook } from "../hooks/engine.ts";
import { type HookCounts, hookLabel } from "../metrics/event-metrics.ts";

/** A hook that is attached now. */
export interface LiveHook {
  policy: PolicyRef;
  hook: AttachedHook;
}

/** The counters of a hook, and those of its selectors by label. */
interface Counts {
  stats: HookStats;
  actions: ReadonlyMap<string, ActionStats>;
}

const NOTHING: Counts = { stats: NO_STATS, actions: new Map() };

/** Adds up the counters of detached hooks, which the kernel drops, until the policy is removed. */
export class HookTotals {
  readonly #settled = new Map<string, Map<string, Counts>>();

  /** Adds the last counts of a hook that has been detached. */
  settle(policy: PolicyRef, hook: AttachedHook): void {
    const ofPolicy = this.#settled.get(policyKey(policy)) ?? new Map<string, Counts>();
    this.#settled.set(policyKey(policy), ofPolicy);
    const label = labelOf(hook);
    ofPolicy.set(label, addCounts(ofPolicy.get(label), hook));
  }

  /** Counts of the attached hooks, including those of the hooks that they replaced. */
  read(live: readonly LiveHook[]): HookCounts[] {
    const sums = new Map<string, { policy: PolicyRef; hook: string; counts: Counts }>();
    for (const { policy, hook } of live) {
      const label = labelOf(hook);
      const key = `${policyKey(policy)} ${label}`;
      sums.set(key, { policy, hook: label, counts: addCounts(sums.get(key)?.counts, hook) });
    }
    return [...sums.values()].map(({ policy, hook, counts }) => {
      const before = this.#settled.get(policyKey(policy))?.get(hook) ?? NOTHING;
      return {
        policy,
        hook,
        ...addStats(before.stats, counts.stats),
        actions: [...counts.actions].map(([selector, own]) => ({
          selector,
          ...addActions(before.actions.get(selector), own),
        })),
      };
    });
  }

  /** Drops the counts of a removed policy. */
  forget(policy: PolicyRef): void {
    this.#settled.delete(policyKey(policy));
  }
}

function addCounts(before: Counts = NOTHING, hook: AttachedHook): Counts {
  const actions = new Map(before.actions);
  for (const [index, counted] of hook.actions().entries()) {
    const selector = selectorLabel(hook, index);
    actions.set(selector, addActions(actions.get(selector), counted));
  }
  return { stats: addStats(before.stats, hook.stats()), actions };
}

/** The selector's label from the policy, or its index. */
function selectorLabel(hook: AttachedHook, index: number): string {
  return hook.def.selectors[index]?.label ?? String(index);
}

function labelOf(hook: AttachedHook): string {
  return hookLabel(hook);
}
