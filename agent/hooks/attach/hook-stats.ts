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
  /** Runs that the kernel has timed, and how long they took: zero until someone sets kernel.bpf_stats_enabled. */
  timedRuns: number;
  runNs: number;
}

/** Counters that the kernel itself keeps of programs and links. */
type KernelCounts = "missed" | "timedRuns" | "runNs";
type OwnCounts = Omit<HookStats, KernelCounts>;

type CountedProgram = { info(): Pick<ReturnType<BpfProgram["info"]>, "recursionMisses" | "runs" | "runNs"> };
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

const COUNTER_BYTES = 8;

/** No counts at all. */
export const NO_STATS: HookStats = {
  hits: 0,
  posted: 0,
  lost: 0,
  rateLimited: 0,
  errors: 0,
  missed: 0,
  timedRuns: 0,
  runNs: 0,
};

/** Sums one element of a per-CPU array of struct hook_stats. */
export function readStats(map: CountersMap, key: number): OwnCounts {
  return ownCounters(summed(map, key, { stride: HOOK_STATS.size, used: HOOK_STATS.size }));
}

/** Sums what the kernel itself counts, per program and per link. */
export function readKernelCounts(
  programs: readonly CountedProgram[],
  links: readonly CountedLink[] = [],
): Pick<HookStats, KernelCounts> {
  const sums = { missed: 0, timedRuns: 0, runNs: 0 };
  for (const program of programs) {
    const { recursionMisses, runs, runNs } = program.info();
    sums.missed += recursionMisses;
    sums.timedRuns += runs;
    sums.runNs += runNs;
  }
  for (const link of links) sums.missed += link.missed();
  return sums;
}

/** Sums the struct hook_counters of a hook: its own and those of its first selectors, as many as it has. */
export function readCounters(map: CountersMap, count: number): { hook: OwnCounts; selectors: ActionStats[] } {
  const used = HOOK_COUNTERS.members.selector + count * ACTION_STATS.size;
  const sums = summed(map, 0, { stride: HOOK_COUNTERS.size, used });
  const selectors = Array.from({ length: count }, (_, selector) =>
    selectorCounters(sums, HOOK_COUNTERS.members.selector + selector * ACTION_STATS.size),
  );
  const posted = selectors.reduce((all, { post }) => all + post, 0);
  return { hook: { ...ownCounters(sums), posted }, selectors };
}

function selectorCounters(sums: Float64Array, base: number): ActionStats {
  const { members } = ACTION_STATS;
  return {
    post: at(sums, base + members.post),
    nopost: at(sums, base + members.nopost),
    signal: at(sums, base + members.signal),
    monitor_signal: at(sums, base + members.monitor_signal),
    override: at(sums, base + members.override),
    monitor_override: at(sums, base + members.monitor_override),
    count: at(sums, base + members.count),
  };
}

function ownCounters(sums: Float64Array): OwnCounts {
  const { hits, posted, lost, rate_limited, errors } = HOOK_STATS.members;
  return {
    hits: at(sums, hits),
    posted: at(sums, posted),
    lost: at(sums, lost),
    rateLimited: at(sums, rate_limited),
    errors: at(sums, errors),
  };
}

function at(sums: Float64Array, member: number): number {
  return sums[member / COUNTER_BYTES] as number;
}

/** Sums over the CPUs of the counters in the first `used` bytes; the counters of a CPU take `stride` bytes. */
function summed(
  map: CountersMap,
  key: number,
  { stride, used }: { stride: number; used: number },
): Float64Array {
  const values = map.lookup(new Uint8Array(Uint32Array.of(key).buffer));
  if (!values) throw new Error(`map ${map.name} has no element ${key}`);
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  const sums = new Float64Array(used / COUNTER_BYTES);
  for (let cpu = 0; cpu < view.byteLength; cpu += stride) {
    for (let index = 0; index < sums.length; index++) {
      const counter = cpu + index * COUNTER_BYTES;
      sums[index] =
        (sums[index] as number) + view.getUint32(counter, true) + view.getUint32(counter + 4, true) * 2 ** 32;
    }
  }
  return sums;
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
    timedRuns: a.timedRuns + b.timedRuns,
    runNs: a.runNs + b.runNs,
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
