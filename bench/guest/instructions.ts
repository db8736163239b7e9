/** Instructions per repetition of a program of bench/programs, in a guest whose clock counts them. */
import { execFile } from "node:child_process";
import { copyFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** The first samples include cold caches and some include a timer interrupt; the median of many samples has neither. */
const SAMPLES = 15;
/** Between samples the reader empties the ring, as it does on a node whose other processors are free. */
const PAUSE_US = 30_000;

/** Median per repetition. The calling thread must not block, because it takes the batches from the ring reader. */
export async function countInstructions(program: string, calls: number, ...args: string[]): Promise<number> {
  // The checkout is on the host: waiting for the host takes time that is not counted in instructions.
  const copy = join(tmpdir(), program);
  copyFileSync(`build/bench/${program}`, copy);
  const numbers = [SAMPLES, calls, PAUSE_US].map(String);
  const { stdout } = await promisify(execFile)(copy, [...numbers, ...args]);
  const samples = stdout
    .trim()
    .split("\n")
    .map(Number)
    .sort((a, b) => a - b);
  return samples[SAMPLES >> 1] ?? Number.NaN;
}
