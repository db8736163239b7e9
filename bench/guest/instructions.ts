/** Instructions of what a program of bench/programs repeats, in a guest whose clock counts them. */
import { execFile } from "node:child_process";
import { copyFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** Of the first samples some pay for what is cold, and now and then a timer strikes: the median of many is neither. */
const SAMPLES = 15;
/** Between samples the reader empties the ring, as it does on a node whose other processors are free. */
const PAUSE_US = 30_000;

/** Median per repetition. The calling thread must be free meanwhile: it takes what the reader has read. */
export async function countInstructions(program: string, calls: number, ...args: string[]): Promise<number> {
  // The checkout is the host's, which answers when it likes: the clock does not count that in instructions.
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
