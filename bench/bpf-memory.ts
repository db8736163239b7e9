/**
 * What the engine's maps and programs take in the kernel beside 300 processes. Linux 6.12 says what a map has allocated;
 * before 6.4 the kernel counts a hash as if it were full.
 */
import { cacheDirectory } from "../e2e/cache.mjs";
import { type Figure, runInGuest, showMedians, writeResult } from "./report.ts";

/** Prints a table and writes build/bench/bpf-memory.json. */
export async function run(): Promise<void> {
  const command = ["node", "bench/guest/bpf-memory.ts"];
  const lines = await runInGuest({ kernel: "6.12", cacheDir: cacheDirectory(process.env), command });
  const figures = lines.map((line) => JSON.parse(line) as Omit<Figure, "checkout">);
  const rows = showMedians("kernel 6.12: memory of maps and programs", figures);
  await writeResult("bpf-memory", rows);
}
