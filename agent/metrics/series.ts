/** Counters by process labels: one addition per event, label sets only when they are scraped. */
import type { Image } from "../process/image.ts";

/** Metric labels that come from the process. */
export interface ProcessLabels {
  namespace: string;
  workload: string;
  pod: string;
  binary: string;
}

interface Series {
  labels: ProcessLabels;
  count: number;
}

/** Beyond this many label sets the pod and the binary are left out. */
const MAX_SERIES = 1000;

/** Counts events of one kind by where they came from. */
export class SeriesCounter {
  readonly #series = new Map<string, Series>();
  #lastImage: Image | undefined;
  #lastKey: string | undefined;
  #last: Series | undefined;

  /** One event of the image. */
  add(image: Image): void {
    if (image === this.#lastImage && image.metricKey === this.#lastKey && this.#last !== undefined) {
      this.#last.count++;
      return;
    }
    image.metricKey ??= labelKey(processLabels(image));
    const series = this.#series.get(image.metricKey) ?? this.#make(image);
    series.count++;
    this.#lastImage = image;
    this.#lastKey = image.metricKey;
    this.#last = series;
  }

  /** All series with their counts since the start. */
  entries(): Iterable<Series> {
    return this.#series.values();
  }

  #make(image: Image): Series {
    const labels = processLabels(image);
    const bounded = this.#series.size < MAX_SERIES ? labels : { ...labels, pod: "", binary: "" };
    const key = labelKey(bounded);
    const series = this.#series.get(key) ?? { labels: bounded, count: 0 };
    this.#series.set(key, series);
    return series;
  }
}

function processLabels({ pod, facts }: Image): ProcessLabels {
  return {
    namespace: pod?.namespace ?? "",
    workload: pod?.workload ?? "",
    pod: pod?.name ?? "",
    binary: facts.binary,
  };
}

function labelKey({ namespace, workload, pod, binary }: ProcessLabels): string {
  return `${namespace}\0${workload}\0${pod}\0${binary}`;
}
