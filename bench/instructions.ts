/**
 * Instructions that hooks add in the kernel, compared with those in bench/instructions.json. They are exact, so that
 * e2e/guest/instructions.host-test.ts can refuse a change that makes the kernel's part dearer. Those of the process
 * sensors differ by 5 % from boot to boot, so they are not in the table.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { cacheDirectory } from "../e2e/cache.mjs";
import { COUNTING, type CountedKernel, median, runInGuest, type Sample, showTable } from "./report.ts";

/** Added instructions by what adds them, `LAYER: CASE`. */
export type Counts = Record<string, number>;

/** One is enough: a sample is a median already. */
const ROUNDS = "1";
const TABLE = resolve(import.meta.dirname, "instructions.json");
/** What samples of one build differ by. */
const TOLERANCE = 0.03;
const TOLERANCE_INSTRUCTIONS = 10;

/** The committed counts of a kernel. */
export function committedCounts(kernel: CountedKernel): Counts {
  return readTable()[kernel] ?? {};
}

function readTable(): Record<string, Counts> {
  return JSON.parse(readFileSync(TABLE, "utf8")) as Record<string, Counts>;
}

/** Counts all hooks in one boot. */
export async function count(kernel: CountedKernel): Promise<Counts> {
  const command = ["node", "bench/guest/hook-cost.ts", ROUNDS];
  const lines = await runInGuest({ kernel, cacheDir: cacheDirectory(process.env), command, ...COUNTING });
  return addedTo(lines.map((line) => JSON.parse(line) as Sample));
}

/** Added to what the same takes without a probe. Pure. */
export function addedTo(samples: readonly Sample[]): Counts {
  const of = (layer: string, name: string) =>
    median(
      samples.filter((s) => s.layer === layer && s.case === name).map(({ instructions }) => instructions),
    );
  const cases = new Map(samples.map((sample) => [`${sample.layer}: ${sample.case}`, sample]));
  const added = [...cases].filter(([, { case: name }]) => name !== "no probe");
  return Object.fromEntries(
    added.map(([key, { layer, case: name }]) => [key, Math.round(of(layer, name) - of(layer, "no probe"))]),
  );
}

/** What differs from the table by more than samples of one build do; one line each. Pure. */
export function differences(counts: Counts, table: Counts): string[] {
  return [...new Set([...Object.keys(table), ...Object.keys(counts)])].flatMap((key) => {
    const [now, then] = [counts[key], table[key]];
    if (now === undefined || then === undefined)
      return [`${key}: ${then ?? "not in the table"}, now ${now ?? "not counted"}`];
    const allowed = Math.max(Math.abs(then) * TOLERANCE, TOLERANCE_INSTRUCTIONS);
    return Math.abs(now - then) > allowed ? [`${key}: ${then} instructions, now ${now}`] : [];
  });
}

/** Prints the counts beside the committed ones; with `write` they become the committed ones. */
export async function run(write: boolean): Promise<void> {
  const kernel = "6.1";
  const counts = await count(kernel);
  const table = committedCounts(kernel);
  const rows = Object.entries(counts).map(([what, now]) => ({ what, committed: table[what], now }));
  showTable(`kernel ${kernel}: instructions added`, rows);
  if (write) writeFileSync(TABLE, `${JSON.stringify({ ...readTable(), [kernel]: counts }, null, 2)}\n`);
}
