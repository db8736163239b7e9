/**
 * The same figures of this checkout and of another revision, in turns and in one boot of a guest whose clock counts
 * instructions. A ratio below 1 is better; its spread comes from the rounds, each compared with the other's.
 */
import { agentLoadCommand } from "./agent-load.ts";
import { type Checkout, checkOut, thisCheckout } from "./checkouts.ts";
import { eventLoopCommand } from "./event-loop.ts";
import { type Figure, median, roundedMedian, runAlternately, showTable, writeResult } from "./report.ts";
import { restCommand } from "./rest.ts";

interface Comparison {
  rounds: number;
  commandOf(checkout: Checkout): string[];
  /** Makes figures of what a checkout's own script prints. */
  read?(line: Figure & { layer?: string; case?: string; instructions?: number }): Figure;
}

const counted: Pick<Comparison, "read"> = {
  read: ({ checkout, layer, case: name, instructions = Number.NaN }) => {
    return { checkout, measure: `${layer}: ${name}`, value: instructions, unit: "instructions" };
  },
};

const COMPARISONS: Record<string, Comparison> = {
  rest: { rounds: 2, commandOf: restCommand },
  "agent-load": { rounds: 2, commandOf: agentLoadCommand },
  "event-loop": { rounds: 2, commandOf: eventLoopCommand },
  "hook-cost": { rounds: 2, commandOf: () => ["node", "bench/guest/hook-cost.ts"], ...counted },
  "process-cost": { rounds: 2, commandOf: () => ["node", "bench/guest/process-cost.ts"], ...counted },
};

/** What can be compared. */
export const COMPARED = Object.keys(COMPARISONS);

/** Prints a table per benchmark and writes build/bench/against-NAME.json. */
export async function compareWith(revision: string, names: readonly string[]): Promise<void> {
  const checkouts = [checkOut(revision), thisCheckout()];
  for (const [name, { rounds, commandOf, read }] of Object.entries(COMPARISONS)) {
    if (names.length > 0 && !names.includes(name)) continue;
    const lines = await runAlternately(checkouts, commandOf, rounds);
    const rows = compare(read ? lines.map(read) : lines, revision);
    showTable(`kernel 6.1: ${name} of ${revision} and of this checkout`, rows);
    await writeResult(`against-${name}`, rows);
  }
}

/** One row per measure: medians of both, and the ratio of each round. Pure. */
export function compare(figures: readonly Figure[], revision: string) {
  const measures = new Map(figures.map(({ measure, unit }) => [measure, unit]));
  return [...measures].map(([measure, unit]) => {
    const of = (checkout: string) =>
      figures
        .filter((figure) => figure.measure === measure && figure.checkout === checkout)
        .map(({ value }) => value);
    const [before, now] = [of(revision), of("this")];
    const ratios = now.map((value, index) => value / (before[index] ?? 0)).filter(Number.isFinite);
    return { measure, unit, [revision]: rounded(before), this: rounded(now), ...spread(ratios) };
  });
}

/** Empty if one of both has no such measure, or if it was 0 before. */
function spread(ratios: readonly number[]) {
  if (ratios.length === 0) return { ratio: "", spread: "" };
  const shown = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(3));
  return { ratio: median(ratios).toFixed(3), spread: shown.join(" to ") };
}

/** The median; empty where nothing was measured. */
function rounded(values: readonly number[]): number | string {
  return values.length === 0 ? "" : roundedMedian(values);
}
