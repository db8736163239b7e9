/** Metrics whose values live elsewhere and are read when they are scraped: an increment costs nothing here. */
import { Counter, Gauge, type Registry } from "prom-client";

export type Labels = Record<string, string>;
/** One label set with its value. */
export type Sample = [labels: Labels, value: number];

/** A counter with the samples that `read` gives at each scrape. */
export function scrapedCounter(
  registry: Registry,
  name: string,
  help: string,
  labelNames: string[],
  read: () => Sample[],
): void {
  new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.inc(labels, value);
    },
  });
}

/** A gauge without labels with the value that `read` gives at each scrape. */
export function scrapedGauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}

/** Adds up samples with equal labels: while a hook is replaced two of them have the same. */
export function sumByLabels(counts: Sample[]): Sample[] {
  const sums = new Map<string, Sample>();
  for (const [labels, value] of counts) {
    const key = JSON.stringify(labels);
    const known = sums.get(key);
    if (known === undefined) sums.set(key, [labels, value]);
    else known[1] += value;
  }
  return [...sums.values()];
}
