/** For how long the agent of the image keeps its event loop from other work, in instructions. */
import { imageCommand, thisCheckout } from "./checkouts.ts";
import { runAlternately, showMedians, writeResult } from "./report.ts";

export const eventLoopCommand = imageCommand("event-loop.ts");

/** Prints a table and writes build/bench/event-loop.json. */
export async function run(): Promise<void> {
  const samples = await runAlternately([thisCheckout()], eventLoopCommand, 1);
  const rows = showMedians(
    "kernel 6.1, one processor that counts instructions: turns of the event loop",
    samples,
  );
  await writeResult("event-loop", rows);
}
