/** Shared by all benchmarks: running in a guest, medians, a table for people and a file for programs. */
import { mkdir, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { PassThrough } from "node:stream";
import { cacheDirectory } from "../e2e/cache.mjs";
import { startGuest } from "../e2e/guest/guest.ts";
import type { GuestOptions } from "../e2e/guest/options.ts";
import type { Checkout } from "./checkouts.ts";

const RESULTS = resolve(import.meta.dirname, "../build/bench");

/** The median; of an even number of values, the upper of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** For a table. */
export function roundedMedian(values: readonly number[]): number {
  return Number(median(values).toPrecision(4));
}

/** Runs a command to its end and returns the lines of its stdout; rejects unless its exit status is 0. */
export async function runInGuest(options: Omit<GuestOptions, "stdout" | "stderr">): Promise<string[]> {
  const stdout = new PassThrough();
  const text = collect(stdout);
  const guest = await startGuest({ ...options, stdout, stderr: process.stderr });
  const end = await guest.ended;
  stdout.end();
  if (end.kind !== "exited" || end.status !== 0) {
    throw new Error(`${options.command.join(" ")} in a guest: ${JSON.stringify(end)}\n${guest.console()}`);
  }
  return (await text).split("\n").filter((line) => line !== "");
}

/** Instructions per repetition in one round, as a script prints them. */
export interface Sample {
  layer: string;
  case: string;
  instructions: number;
}

export type CountedKernel = GuestOptions["kernel"];

/** A guest with one processor, whose clock counts instructions. */
export const COUNTING = {
  cpus: 1,
  accelerator: "tcg,thread=single",
  qemuArgs: ["-icount", "shift=0"],
} satisfies Partial<GuestOptions>;

/** Runs a script that prints samples in a guest whose clock counts instructions. */
export async function runCounting(kernel: CountedKernel, script: string): Promise<Sample[]> {
  const lines = await runInGuest({
    kernel,
    cacheDir: cacheDirectory(process.env),
    command: ["node", script],
    ...COUNTING,
  });
  return lines.map((line) => JSON.parse(line) as Sample);
}

/** One value that was measured of a checkout. */
export interface Figure {
  checkout: string;
  measure: string;
  value: number;
  unit: string;
}

/** Runs a command of each checkout, in turns, in one boot of a guest whose clock counts instructions. */
export async function runAlternately(
  checkouts: readonly Checkout[],
  commandOf: (checkout: Checkout) => string[],
  rounds: number,
): Promise<Figure[]> {
  const commands = checkouts.map((checkout) => {
    return { name: checkout.name, cwd: checkout.directory, command: commandOf(checkout) };
  });
  const lines = await runInGuest({
    kernel: "6.1",
    cacheDir: cacheDirectory(process.env),
    command: [
      "node",
      resolve(import.meta.dirname, "guest/alternate.ts"),
      String(rounds),
      JSON.stringify(commands),
    ],
    ...COUNTING,
    // Without "sleep", the clock jumps over what is spent waiting.
    qemuArgs: ["-icount", "shift=0,sleep=off"],
  });
  return lines.map((line) => JSON.parse(line) as Figure);
}

async function collect(stream: PassThrough): Promise<string> {
  let text = "";
  for await (const chunk of stream.setEncoding("utf8")) text += chunk;
  return text;
}

/** Prints rows with the same keys as a table. */
export function showTable(title: string, rows: readonly Record<string, unknown>[]): void {
  console.log(title);
  console.table(rows);
}

/** Prints the median of each measure as a table, and returns its rows. */
export function showMedians(title: string, samples: readonly Omit<Figure, "checkout">[]) {
  const measures = [...new Map(samples.map(({ measure, unit }) => [measure, unit]))];
  const rows = measures.map(([measure, unit]) => {
    const values = samples.filter((sample) => sample.measure === measure).map(({ value }) => value);
    return { measure, median: roundedMedian(values), unit, samples: values.length };
  });
  showTable(title, rows);
  return rows;
}

/** Writes build/bench/NAME.json. */
export async function writeResult(name: string, result: unknown): Promise<void> {
  await mkdir(RESULTS, { recursive: true });
  const path = resolve(RESULTS, `${name}.json`);
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`written to ${path}`);
}
