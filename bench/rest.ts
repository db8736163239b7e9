/**
 * What an agent costs where little happens, in the form that the image has: memory, the processor's time at rest, time to
 * ready, and the time from a call to its line. The guest's clock counts instructions: a second of CPU is 10^9 of them.
 */
import { imageCommand, thisCheckout } from "./checkouts.ts";
import { runAlternately, showMedians, writeResult } from "./report.ts";

export const restCommand = imageCommand("rest.ts");

/** Prints a table and writes build/bench/rest.json. */
export async function run(): Promise<void> {
  const samples = await runAlternately([thisCheckout()], restCommand, 1);
  const rows = showMedians("kernel 6.1, one processor that counts instructions: an agent at rest", samples);
  await writeResult("rest", rows);
}
