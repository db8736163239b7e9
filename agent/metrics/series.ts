/** Counters by process labels: one addition per event, label sets only when they are scraped. */
import type { Image } from "../process/image.ts";

/** Metric labels that come from the process, in the order in which they are shown. */
export const PROCESS_LABELS = ["namespace", "workload", "pod", "binary"] as const;

/** Metric labels that come from the process; one that is not shown is empty. */
export type ProcessLabels = Record<(typeof PROCESS_LABELS)[number], string>;

interface Series {
  labels: ProcessLabels;
  count: number;
  /** When it was looked up last. */
  used: number;
}

/** At this many label sets, those that were counted longest ago leave, a tenth of them at once. */
const MAX_SERIES = 1000;
/** Beyond this many binaries of a pod, the others are counted without their name. */
const MAX_BINARIES_OF_POD = 200;

/**
 * Counts events of one kind by where they came from. Series are bounded: a pod that execs many names loses the names, and
 * a pod that is gone leaves, because it is not counted any more. What leaves goes on being counted with fewer labels, so
 * that sums stay right.
 */
export class SeriesCounter {
  readonly #shown: ReadonlySet<string>;
  readonly #maxSeries: number;
  readonly #series = new Map<string, Series>();
  /** Number of binaries, by pod. */
  readonly #binaries = new Map<string, number>();
  #lookups = 0;
  #lastImage: Image | undefined;
  #lastKey: string | undefined;
  #last: Series | undefined;

  /** `shown`: the labels that are not left empty. */
  constructor(shown: readonly string[] = PROCESS_LABELS, maxSeries = MAX_SERIES) {
    this.#shown = new Set(shown);
    this.#maxSeries = maxSeries;
  }

  /** Events of a process that is not known. */
  addUnknown(count: number): void {
    this.#make({ namespace: "", workload: "", pod: "", binary: "" }).count += count;
  }

  /** One event of the image, or more. */
  add(image: Image, count = 1): void {
    if (image === this.#lastImage && image.metricKey === this.#lastKey && this.#last !== undefined) {
      this.#last.count += count;
      return;
    }
    image.metricKey ??= labelKey(processLabels(image));
    const series = this.#series.get(image.metricKey) ?? this.#make(this.#show(processLabels(image)));
    series.count += count;
    series.used = ++this.#lookups;
    this.#lastImage = image;
    this.#lastKey = image.metricKey;
    this.#last = series;
  }

  /** All series with their counts since the start. */
  entries(): Iterable<Series> {
    return this.#series.values();
  }

  #show(labels: ProcessLabels): ProcessLabels {
    const entries = PROCESS_LABELS.map((name) => [name, this.#shown.has(name) ? labels[name] : ""]);
    return Object.fromEntries(entries) as ProcessLabels;
  }

  #make(labels: ProcessLabels): Series {
    const isFull = (this.#binaries.get(podKey(labels)) ?? 0) >= MAX_BINARIES_OF_POD;
    const bounded = isFull ? { ...labels, binary: "" } : labels;
    const known = this.#series.get(labelKey(bounded));
    if (known) return known;
    if (this.#series.size >= this.#maxSeries) this.#makeRoom();
    return this.#insert(bounded, this.#lookups);
  }

  #insert(labels: ProcessLabels, used: number): Series {
    const series = { labels, count: 0, used };
    this.#series.set(labelKey(labels), series);
    if (labels.binary !== "") this.#countBinary(labels, 1);
    return series;
  }

  #countBinary(labels: ProcessLabels, change: 1 | -1): void {
    const key = podKey(labels);
    const count = (this.#binaries.get(key) ?? 0) + change;
    if (count > 0) this.#binaries.set(key, count);
    else this.#binaries.delete(key);
  }

  /** Every pass leaves fewer series, or fewer labels on them. */
  #makeRoom(): void {
    this.#last = undefined;
    const atOnce = Math.ceil(this.#maxSeries / 10);
    while (this.#series.size > this.#maxSeries - atOnce) {
      const leaving = [...this.#series.values()]
        .filter(({ labels }) => withFewerLabels(labels) !== undefined)
        .sort((a, b) => a.used - b.used)
        .slice(0, atOnce);
      if (leaving.length === 0) return;
      for (const series of leaving) this.#fold(series);
    }
  }

  #fold({ labels, count, used }: Series): void {
    const rest = withFewerLabels(labels);
    if (!rest) return;
    this.#series.delete(labelKey(labels));
    if (labels.binary !== "") this.#countBinary(labels, -1);
    const series = this.#series.get(labelKey(rest)) ?? this.#insert(rest, used);
    series.count += count;
  }
}

/** Where the events of a series are counted when it leaves: with the workload, then with the namespace. */
function withFewerLabels({ namespace, workload, pod, binary }: ProcessLabels): ProcessLabels | undefined {
  if (pod !== "" || binary !== "") return { namespace, workload, pod: "", binary: "" };
  return workload === "" ? undefined : { namespace, workload: "", pod: "", binary: "" };
}

function processLabels({ pod, facts }: Image): ProcessLabels {
  return {
    namespace: pod?.namespace ?? "",
    workload: pod?.workload ?? "",
    pod: pod?.name ?? "",
    binary: facts.binary,
  };
}

function podKey({ namespace, pod }: ProcessLabels): string {
  return `${namespace}\0${pod}`;
}

function labelKey({ namespace, workload, pod, binary }: ProcessLabels): string {
  return `${namespace}\0${workload}\0${pod}\0${binary}`;
}
