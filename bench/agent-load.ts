/**
 * Attach times, memory, CPU per event and the largest rate without loss of a real agent in a guest; and the same of the
 * image's agent at several rates, in a guest whose clock counts instructions.
 */
import { cacheDirectory } from "../e2e/cache.mjs";
import { imageCommand, thisCheckout } from "./checkouts.ts";
import { type Figure, runAlternately, runInGuest, showMedians, writeResult } from "./report.ts";

/** Counts the image's agent at several rates. */
export const agentLoadCommand = imageCommand("image-load.ts");

/** Prints tables of medians and writes build/bench/agent-load.json. */
export async function run(): Promise<void> {
  const counted = await runAlternately([thisCheckout()], agentLoadCommand, 1);
  const rates = showMedians(
    "kernel 6.1, one processor that counts instructions: the agent at rates",
    counted,
  );
  const lines = await runInGuest({
    kernel: "6.1",
    cacheDir: cacheDirectory(process.env),
    command: ["node", "bench/guest/agent-load.ts"],
  });
  const samples = lines.map((line) => JSON.parse(line) as Figure);
  const rows = showMedians("kernel 6.1, emulated: the agent", samples);
  await writeResult("agent-load", [...rates, ...rows]);
}
