/** Keeps the counters of each policy's hooks, also when a new version of a hook replaces the old one. */
import { type PolicyRef, policyKey } from "../../crds/names.ts";
import type { Slices } from "../../lib/scraped-metrics.ts";
import { addActions, addStats, type HookStats, NO_STATS } from "../hooks/attach/hook-stats.ts";
import type { AttachedHook } from "../hooks/engine.ts";
import { hookLabel } from "../metrics/event-metrics.ts";
import type { HookCounts, SelectorActions } from "../metrics/kernel-metrics.ts";

/** A hook that is attached now. */
export interface LiveHook {
  policy: PolicyRef;
  hook: AttachedHook;
}

/** The counters of a hook, and those of its selectors in their order. */
interface Counts {
  stats: HookStats;
  actions: readonly SelectorActions[];
}

const NOTHING: Counts = { stats: NO_STATS, actions: [] };

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
    const reading = new Reading(this.#settled, live);
    for (const one of live) reading.add(one);
    return reading.counts();
  }

  /** The same, while other work has its turn. What is detached meanwhile is counted once. */
  async readInTurns(live: readonly LiveHook[], slices: Slices): Promise<HookCounts[]> {
    const reading = new Reading(this.#settled, live);
    for (const one of live) {
      reading.add(one);
      await slices.pause();
    }
    return reading.counts();
  }

  /** Drops the counts of a removed policy. */
  forget(policy: PolicyRef): void {
    this.#settled.delete(policyKey(policy));
  }
}

type Settled = ReadonlyMap<string, ReadonlyMap<string, Counts>>;

/** One reading of all counters: the settled ones are those of its start. */
class Reading {
  readonly #settled: Settled;
  readonly #sums = new Map<string, { live: LiveHook; label: string; counts: Counts }>();

  constructor(settled: Settled, live: readonly LiveHook[]) {
    const keys = new Set(live.map(({ policy }) => policyKey(policy)));
    const known = [...keys].flatMap((key) => {
      const counts = settled.get(key);
      return counts ? [[key, new Map(counts)] as const] : [];
    });
    this.#settled = new Map(known);
  }

  add(live: LiveHook): void {
    const label = labelOf(live.hook);
    const key = `${policyKey(live.policy)} ${label}`;
    const before = this.#sums.get(key);
    this.#sums.set(key, { live: before?.live ?? live, label, counts: addCounts(before?.counts, live.hook) });
  }

  counts(): HookCounts[] {
    return [...this.#sums.values()].map(({ live: { policy, hook }, label, counts }) => {
      const before = this.#settled.get(policyKey(policy))?.get(label) ?? NOTHING;
      return {
        policy,
        hook: label,
        section: hook.def.section,
        index: Number(/\d+/.exec(hook.def.path)?.[0] ?? 0),
        ...(before === NOTHING ? counts.stats : addStats(before.stats, counts.stats)),
        actions:
          before === NOTHING ? counts.actions : counts.actions.map((own) => addSelector(before.actions, own)),
      };
    });
  }
}

function addCounts(before: Counts = NOTHING, hook: AttachedHook): Counts {
  const { stats, actions } = hook.counts();
  const own = actions.map((counted, index) => ({ ...selectorOf(hook, index), ...counted }));
  if (before === NOTHING) return { stats, actions: own };
  const others = before.actions.filter(({ selector }) => !own.some((one) => one.selector === selector));
  return {
    stats: addStats(before.stats, stats),
    actions: [...own.map((one) => addSelector(before.actions, one)), ...others],
  };
}

/** Selectors of two versions of a hook are the same if their labels are, or their places where they have none. */
function addSelector(before: readonly SelectorActions[], own: SelectorActions): SelectorActions {
  const known = before.find(({ selector }) => selector === own.selector);
  return { ...own, ...addActions(known, own) };
}

function selectorOf(
  hook: AttachedHook,
  index: number,
): Pick<SelectorActions, "selector" | "index" | "label"> {
  const label = hook.def.selectors[index]?.label;
  return { selector: label ?? String(index), index, ...(label !== undefined && { label }) };
}

function labelOf(hook: AttachedHook): string {
  return hookLabel(hook);
}
