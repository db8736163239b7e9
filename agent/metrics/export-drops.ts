/** Events that the rate limit of the export has dropped. */
import type { Registry } from "prom-client";
import { type PolicyRef, policyKey } from "../../crds/names.ts";
import { type Labels, scrapedCounter } from "../../lib/scraped-metrics.ts";
import { policyLabels } from "./policy-labels.ts";

/** Counts per policy; events of no policy count under an empty name. */
export class ExportDrops {
  readonly #counts = new Map<string, { labels: Labels; dropped: number }>();

  constructor(registry: Registry) {
    const name = "trigon_export_ratelimit_events_dropped_total";
    scrapedCounter(registry, name, "Events that only the rate limit kept out of the export.", () =>
      [...this.#counts.values()].map(({ labels, dropped }) => [labels, dropped] as const),
    );
  }

  count(policy: PolicyRef | undefined): void {
    const key = policy ? policyKey(policy) : "";
    const count = this.#counts.get(key) ?? { labels: policyLabels(policy), dropped: 0 };
    count.dropped++;
    this.#counts.set(key, count);
  }

  /** Drops the count of a policy that is gone. */
  forget(policy: PolicyRef): void {
    this.#counts.delete(policyKey(policy));
  }
}
