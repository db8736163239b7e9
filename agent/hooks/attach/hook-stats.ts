/** Counters of a hook, summed over the CPUs. */
import type { BpfLink, BpfMap, BpfProgram } from "../../bpf/binding.ts";
import { ACTION_STATS, HOOK_COUNTERS, HOOK_STATS } from "../config/layout.ts";

/** Counts since the hook was attached. */
export interface HookStats {
  /** How often the program ran. */
  hits: number;
  posted: number;
  /** Records for which the ring was full, and calls that found too many others in flight. */
  lost: number;
  /** Matches that the rate limit suppressed. */
  rateLimited: number;
  /** Helper failures that cost a record or a signal. */
  errors: number;
  /**
   * Runs that the kernel skipped, because the program was already running on that CPU (counted since 5.12), another
   * kprobe was, or too many calls were in flight for a kretprobe (both counted since 6.7).
   */
  missed: number;
}

type CountedProgram = { info(): Pick<ReturnType<BpfProgram["info"]>, "recursionMisses"> };
type CountersMap = Pick<BpfMap, "name" | "lookup">;
type CountedLink = Pick<BpfLink, "missed">;

/**
 * How often a selector carried out each action; `monitor_*`: how often it would have, in the mode enforce; `count`: how
 * often it would have posted, in another mode than count.
 */
export interface ActionStats {
  post: number;
  nopost: number;
  signal: number;
  monitor_signal: number;
  override: number;
  monitor_override: number;
  count: number;
}

/** No counts at all. */
export const NO_STATS: HookStats = { hits: 0, posted: 0, lost: 0, rateLimited: 0, errors: 0, missed: 0 };

/** Sums one element of a per-CPU array of struct hook_stats. */
export function readStats(map: CountersMap, key: number): Omit<HookStats, "missed"> {
  return ownCounters(summing(map, key, HOOK_STATS.size));
}

/** Sums the missed runs that the kernel itself counts, per program and per link. */
export function readMissed(programs: readonly CountedProgram[], links: readonly CountedLink[] = []): number {
  const ofPrograms = programs.reduce((sum, program) => sum + program.info().recursionMisses, 0);
  return links.reduce((sum, link) => sum + link.missed(), ofPrograms);
}

/** Sums the struct hook_counters of a hook: its own and those of its first selectors, as many as it has. */
export function readCounters(
  map: CountersMap,
  count: number,
): { hook: Omit<HookStats, "missed">; selectors: ActionStats[] } {
  const sum = summing(map, 0, HOOK_COUNTERS.size);
  const selectors = Array.from({ length: count }, (_, selector) => {
    const base = HOOK_COUNTERS.members.selector + selector * ACTION_STATS.size;
    return selectorCounters((member) => sum(base + member));
  });
  return { hook: ownCounters(sum), selectors };
}

function selectorCounters(sum: (member: number) => number): ActionStats {
  const { members } = ACTION_STATS;
  return {
    post: sum(members.post),
    nopost: sum(members.nopost),
    signal: sum(members.signal),
    monitor_signal: sum(members.monitor_signal),
    override: sum(members.override),
    monitor_override: sum(members.monitor_override),
    count: sum(members.count),
  };
}

function ownCounters(sum: (member: number) => number): Omit<HookStats, "missed"> {
  const { hits, posted, lost, rate_limited, errors } = HOOK_STATS.members;
  return {
    hits: sum(hits),
    posted: sum(posted),
    lost: sum(lost),
    rateLimited: sum(rate_limited),
    errors: sum(errors),
  };
}

function summing(map: CountersMap, key: number, size: number): (member: number) => number {
  const values = map.lookup(new Uint8Array(Uint32Array.of(key).buffer));
  if (!values) throw new Error(`map ${map.name} has no element ${key}`);
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  return (member) => {
    let total = 0;
    for (let at = member; at < view.byteLength; at += size)
      total += view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
    return total;
  };
}

/** Adds two sets of counters. */
export function addStats(a: HookStats, b: HookStats): HookStats {
  return {
    hits: a.hits + b.hits,
    posted: a.posted + b.posted,
    lost: a.lost + b.lost,
    rateLimited: a.rateLimited + b.rateLimited,
    errors: a.errors + b.errors,
    missed: a.missed + b.missed,
  };
}

/** Adds what a selector did in a hook to what it did in others. */
export function addActions(others: ActionStats | undefined, own: ActionStats): ActionStats {
  if (others === undefined) return own;
  return {
    post: others.post + own.post,
    nopost: others.nopost + own.nopost,
    signal: others.signal + own.signal,
    monitor_signal: others.monitor_signal + own.monitor_signal,
    override: others.override + own.override,
    monitor_override: others.monitor_override + own.monitor_override,
    count: others.count + own.count,
  };
}
