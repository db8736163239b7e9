/** Counters of a hook, summed over the CPUs. */
import type { BpfMap } from "../bpf/binding.ts";
import { HOOK_STATS } from "./config-layout.ts";

/** Since the hook was attached. */
export interface HookStats {
  /** The program ran. */
  hits: number;
  posted: number;
  /** Records that found the ring full. */
  lost: number;
  /** Hits that matched inside the window of the rate limit. */
  rateLimited: number;
  /** Helper failures that cost a record. */
  errors: number;
  /** Runs that the kernel skipped because the program was running on that CPU already (since 5.12, else 0). */
  missed: number;
}

/** No counts at all. */
export const NO_STATS: HookStats = { hits: 0, posted: 0, lost: 0, rateLimited: 0, errors: 0, missed: 0 };

/** Sums one element of a per-CPU array of struct hook_stats. */
export function readStats(map: BpfMap, key: number): Omit<HookStats, "missed"> {
  const values = map.lookup(new Uint8Array(Uint32Array.of(key).buffer));
  if (!values) throw new Error(`map ${map.name} has no element ${key}`);
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  const sum = (member: number) => {
    let total = 0;
    for (let at = member; at < view.byteLength; at += HOOK_STATS.size)
      total += Number(view.getBigUint64(at, true));
    return total;
  };
  const { hits, posted, lost, rate_limited, errors } = HOOK_STATS.members;
  return {
    hits: sum(hits),
    posted: sum(posted),
    lost: sum(lost),
    rateLimited: sum(rate_limited),
    errors: sum(errors),
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
