/** What an agent has lost since it started, from its metrics. Pure. */

/** Counts since the agent's start. */
export interface Losses {
  /** Records that found the ring buffer full, or that a helper failed to write. */
  kernel: number;
  /** Runs of a hook's program that the kernel skipped. */
  missedRuns: number;
  /** Events that the export could not write. */
  export: number;
}

const METRICS: Readonly<Record<string, keyof Losses>> = {
  trigon_hook_lost_total: "kernel",
  trigon_hook_errors_total: "kernel",
  trigon_hook_missed_runs_total: "missedRuns",
  trigon_export_lost_events_total: "export",
};

/** Sums over all series of the text format of Prometheus. */
export function parseLosses(text: string): Losses {
  const losses: Losses = { kernel: 0, missedRuns: 0, export: 0 };
  for (const [, name = "", value] of text.matchAll(/^(\w+)(?:\{.*\})? ([\d.e+]+)(?: \d+)?$/gm)) {
    const field = METRICS[name];
    if (field) losses[field] += Number(value);
  }
  return losses;
}
