/** Metrics whose values live elsewhere and are read when they are scraped: an increment costs nothing here. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Metric, Registry } from "prom-client";
import { type Labels, MetricLines } from "./metric-lines.ts";

export type { Labels } from "./metric-lines.ts";
/**
 * One label set, in one or two parts, with its value. Text is kept with the object of a part: a metric whose samples have
 * the objects of the last scrape is rendered where a value has changed.
 */
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
  readonly #head: Buffer;
  readonly #lines: MetricLines;

  constructor(name: string, help: string, type: "counter" | "gauge", read: () => Samples) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.#read = read;
    this.#head = Buffer.from(`# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`);
    this.#lines = new MetricLines(name);
  }

  /** For prom-client. */
  async get() {
    const values = Array.from(await this.#read(), ([labels, value, more]) => ({
      labels: { ...labels, ...more },
      value,
    }));
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }

  /** The lines of the metric. Scrapes of a registry take turns, so no other one adds lines meanwhile. */
  async render(slices: Slices): Promise<Buffer[]> {
    const lines = this.#lines;
    let count = 0;
    try {
      for (const [labels, value, more] of await this.#read()) {
        lines.add(labels, value, more);
        if (++count % SLICE_SAMPLES === 0 && slices.isOver) await slices.pause();
      }
    } catch (error) {
      lines.take();
      throw error;
    }
    return [this.#head, ...lines.take()];
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

const renders = new WeakMap<Registry, Promise<unknown>>();

/**
 * Everything of a registry in the text format, in UTF-8. Other work has its turn while a large answer is made; scrapes at
 * the same time are answered one after the other.
 */
export async function renderMetrics(registry: Registry): Promise<Buffer> {
  const before = renders.get(registry);
  const own = (before ?? Promise.resolve()).catch(() => {}).then(() => renderAll(registry));
  renders.set(registry, own);
  return own;
}

async function renderAll(registry: Registry): Promise<Buffer> {
  const slices = new Slices();
  const scrape = {};
  const texts: Buffer[] = [];
  for (const metric of registry.getMetricsAsArray() as unknown as (ScrapedMetric | { name: string })[]) {
    current = scrape;
    const text =
      metric instanceof ScrapedMetric ? metric.render(slices) : registry.getSingleMetricAsString(metric.name);
    current = undefined;
    const rendered = await text;
    if (typeof rendered === "string") texts.push(Buffer.from(`${rendered}\n`));
    else texts.push(...rendered);
    if (slices.isOver) await slices.pause();
  }
  return Buffer.concat(texts);
}

/** The scrape that a metric is read for, set only while it begins to be read. */
let current: object | undefined;

/** Gives the event loop its turn whenever a slice of time is over. */
export class Slices {
  #endMs = performance.now() + SLICE_MS;

  get isOver(): boolean {
    return performance.now() >= this.#endMs;
  }

  /** Undefined while the slice lasts. */
  pause(): Promise<void> | undefined {
    return this.isOver ? this.#next() : undefined;
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

function escapeHelp(text: string): string {
  return text.replace(/[\\\n]/g, (character) => (character === "\n" ? "\\n" : "\\\\"));
}
