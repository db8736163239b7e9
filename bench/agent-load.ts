/** Attach times, memory, CPU per event and the largest rate without loss of a real agent in a guest. */
import { cacheDirectory } from "../e2e/cache.mjs";
import { type Figure, runInGuest, showMedians, writeResult } from "./report.ts";

/** Prints a table of medians and writes build/bench/agent-load.json. */
export async function run(): Promise<void> {
  const lines = await runInGuest({
    kernel: "6.1",
    cacheDir: cacheDirectory(process.env),
    command: ["node", "bench/guest/agent-load.ts"],
  });
  const samples = lines.map((line) => JSON.parse(line) as Figure);
  const rows = showMedians("kernel 6.1, emulated: the agent", samples);
  await writeResult("agent-load", rows);
}
