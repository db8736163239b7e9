/** How often processes that executed a file had each of their flags. */
import type { Labels, Sample } from "../../lib/scraped-metrics.ts";
import { flagNames } from "../process/flags.ts";

/** One addition per exec; names are looked up when they are scraped. */
export class FlagCounts {
  /** By all flags of a process together: a node sees a few dozen combinations. */
  readonly #counts = new Map<number, number>();
  readonly #labels = new Map<string, Labels>();

  add(flags: number): void {
    this.#counts.set(flags, (this.#counts.get(flags) ?? 0) + 1);
  }

  samples(): Sample[] {
    const sums = new Map<string, number>();
    for (const [flags, count] of this.#counts)
      for (const type of flagNames(flags).split(" ")) sums.set(type, (sums.get(type) ?? 0) + count);
    return [...sums].map(([type, count]) => [this.#labelsOf(type), count]);
  }

  #labelsOf(type: string): Labels {
    const labels = this.#labels.get(type) ?? { type };
    this.#labels.set(type, labels);
    return labels;
  }
}
