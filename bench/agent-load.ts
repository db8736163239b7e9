/** Attach times, memory, CPU per event and the largest rate without loss of a real agent in a guest. */
import { cacheDirectory } from "../e2e/cache.mjs";
import { median, runInGuest, showTable, writeResult } from "./report.ts";

interface Sample {
  measure: string;
  value: number;
  unit: string;
}

/** Prints a table of medians and writes build/bench/agent-load.json. */
export async function run(): Promise<void> {
  const lines = await runInGuest({
    kernel: "6.1",
    cacheDir: cacheDirectory(process.env),
    command: ["node", "bench/guest/agent-load.ts"],
  });
  const samples = lines.map((line) => JSON.parse(line) as Sample);
  const rows = [...new Map(samples.map((sample) => [sample.measure, sample.unit]))].map(([measure, unit]) => {
    const values = samples.filter((sample) => sample.measure === measure).map(({ value }) => value);
    return { measure, median: Number(median(values).toFixed(1)), unit, rounds: values.length };
  });
  showTable("kernel 6.1, emulated: the agent", rows);
  await writeResult("agent-load", rows);
}
