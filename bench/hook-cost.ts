/**
 * Instructions that a hook adds to setuid(0), in a guest whose clock counts them (`-icount shift=0`). All cases are
 * measured in one boot; the results are medians of five rounds.
 */
import { type CountedKernel, median, runCounting, type Sample, showTable, writeResult } from "./report.ts";

/** Prints a table per kernel and writes build/bench/hook-cost.json. */
export async function run(kernels: readonly CountedKernel[] = ["6.1"]): Promise<void> {
  const results = [];
  for (const kernel of kernels) {
    const rows = summarize(await runCounting(kernel, "bench/guest/hook-cost.ts"));
    showTable(`kernel ${kernel}: instructions added to setuid(0)`, rows);
    results.push({ kernel, rows });
  }
  await writeResult("hook-cost", results);
}

function summarize(samples: readonly Sample[]) {
  const layers = [...new Set(samples.map(({ layer }) => layer))];
  return layers.flatMap((layer) => {
    const cases = [...new Set(samples.filter((s) => s.layer === layer).map((s) => s.case))];
    const of = (name: string) =>
      median(samples.filter((s) => s.layer === layer && s.case === name).map((s) => s.instructions));
    const base = of("no probe");
    const added = (name: string) => of(name) - base;
    return cases.map((name) => ({
      layer,
      case: name,
      instructions: Math.round(name === "no probe" ? base : added(name)),
      "of smallest": ratio(name, added, "smallest program"),
      "of emitted": ratio(name, added, "emitted"),
    }));
  });
}

function ratio(name: string, added: (name: string) => number, base: string): string {
  return name === "no probe" ? "" : (added(name) / added(base)).toFixed(2);
}
