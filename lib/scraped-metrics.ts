/** Metrics whose values live elsewhere and are read when they are scraped: an increment costs nothing here. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Metric, Registry } from "prom-client";

export type Labels = Readonly<Record<string, string>>;
/** One label set, in one or two parts, with its value. The text of a part is kept with its object: equal parts may share one. */
export type Sample = readonly [labels: Labels, value: number, more?: Labels];
type Samples = Iterable<Sample> | Promise<Iterable<Sample>>;

/** How long the answer to a scrape may keep the event loop at a time. */
const SLICE_MS = 1;
/** After this many samples it looks at the clock. */
const SLICE_SAMPLES = 50;

/** A metric with the samples that `read` returns at each scrape. */
class ScrapedMetric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly aggregator = "sum";
  readonly #read: () => Samples;

  constructor(name: string, help: string, type: "counter" | "gauge", read: () => Samples) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.#read = read;
  }

  /** For prom-client. */
  async get() {
    const values = Array.from(await this.#read(), ([labels, value, more]) => ({
      labels: { ...labels, ...more },
      value,
    }));
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }

  /** The lines of the metric. */
  async render(slices: Slices): Promise<string> {
    const lines = [`# HELP ${this.name} ${escapeHelp(this.help)}`, `# TYPE ${this.name} ${this.type}`];
    let count = 0;
    for (const [labels, value, more] of await this.#read()) {
      lines.push(`${this.name}${labelsText(labels, more)} ${numberText(value)}`);
      if (++count % SLICE_SAMPLES === 0) await slices.pause();
    }
    return lines.join("\n");
  }

  reset(): void {}
}

/** A counter. */
export function scrapedCounter(registry: Registry, name: string, help: string, read: () => Samples): void {
  register(registry, new ScrapedMetric(name, help, "counter", read));
}

/** A gauge with labels. */
export function scrapedGauges(registry: Registry, name: string, help: string, read: () => Samples): void {
  register(registry, new ScrapedMetric(name, help, "gauge", read));
}

const NO_LABELS: Labels = {};

/** A gauge without labels. */
export function scrapedGauge(registry: Registry, name: string, help: string, read: () => number): void {
  scrapedGauges(registry, name, help, () => [[NO_LABELS, read()]]);
}

function register(registry: Registry, metric: ScrapedMetric): void {
  registry.registerMetric(metric as unknown as Metric);
}

/** Everything of a registry in the text format. Other work has its turn while a large answer is made. */
export async function renderMetrics(registry: Registry): Promise<string> {
  const slices = new Slices();
  const scrape = {};
  const texts: string[] = [];
  for (const metric of registry.getMetricsAsArray() as unknown as (ScrapedMetric | { name: string })[]) {
    current = scrape;
    const text =
      metric instanceof ScrapedMetric ? metric.render(slices) : registry.getSingleMetricAsString(metric.name);
    current = undefined;
    texts.push(await text);
    await slices.pause();
  }
  return `${texts.join("\n")}\n`;
}

/** The scrape that a metric is read for, set only while it begins to be read. */
let current: object | undefined;

/** Gives the event loop its turn whenever a slice of time is over. */
export class Slices {
  #endMs = performance.now() + SLICE_MS;

  /** Undefined while the slice lasts. */
  pause(): Promise<void> | undefined {
    return performance.now() < this.#endMs ? undefined : this.#next();
  }

  async #next(): Promise<void> {
    await nextTurn();
    this.#endMs = performance.now() + SLICE_MS;
  }
}

/** Adds up samples with the same label object. */
export function sumSamples(samples: Iterable<Sample>): Sample[] {
  const sums = new Map<Labels, number>();
  for (const [labels, value] of samples) sums.set(labels, (sums.get(labels) ?? 0) + value);
  return [...sums];
}

/** What `read` returns, read once for all metrics of a scrape. */
export function oncePerScrape<T>(read: () => T): () => T {
  const values = new WeakMap<object, { value: T }>();
  return () => {
    const known = current && values.get(current);
    if (known) return known.value;
    const value = read();
    if (current) values.set(current, { value });
    return value;
  };
}

const texts = new WeakMap<Labels, string>();

function labelsText(labels: Labels, more: Labels | undefined): string {
  const text = partText(labels);
  const rest = more === undefined ? "" : partText(more);
  if (text === "" && rest === "") return "";
  return `{${text}${text !== "" && rest !== "" ? "," : ""}${rest}}`;
}

function partText(labels: Labels): string {
  const known = texts.get(labels);
  if (known !== undefined) return known;
  const made = Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeValue(value)}"`)
    .join(",");
  texts.set(labels, made);
  return made;
}

function escapeValue(text: string): string {
  return text.replace(/[\\\n"]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
}

function escapeHelp(text: string): string {
  return text.replace(/[\\\n]/g, (character) => (character === "\n" ? "\\n" : "\\\\"));
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
