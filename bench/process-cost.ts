/**
 * Instructions that the process sensors add to a process's life, in a guest whose clock counts them. All cases are
 * measured in one boot; the results are medians of five rounds.
 */
import { median, runCounting, type Sample, showTable, writeResult } from "./report.ts";

/** Prints a table and writes build/bench/process-cost.json. */
export async function run(): Promise<void> {
  const rows = summarize(await runCounting("6.1", "bench/guest/process-cost.ts"));
  showTable("kernel 6.1: instructions of a process's life, and what is added to it", rows);
  await writeResult("process-cost", rows);
}

function summarize(samples: readonly Sample[]) {
  const of = (layer: string, name: string) =>
    median(samples.filter((s) => s.layer === layer && s.case === name).map((s) => s.instructions));
  const pairs = new Map(samples.map((sample) => [`${sample.layer}/${sample.case}`, sample]));
  return [...pairs.values()].map(({ layer, case: name }) => {
    const base = of(layer, "no probe");
    const added = of(layer, name) - base;
    const instructions = Math.round(name === "no probe" ? base : added);
    return {
      layer,
      case: name,
      instructions,
      "of no probe": name === "no probe" ? "" : (added / base).toFixed(3),
      "of smallest": name === "no probe" ? "" : (added / (of(layer, "smallest programs") - base)).toFixed(2),
    };
  });
}
