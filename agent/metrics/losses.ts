/** Events of hooks that were lost after the ring buffer, by the place where. */
import type { Registry } from "prom-client";
import { type PolicyRef, policyKey } from "../../crds/names.ts";
import { type Labels, type Sample, scrapedCounter } from "../../lib/scraped-metrics.ts";
import type { PolicyLabels } from "./policy-labels.ts";

/** Lost events of one hook. */
export interface HookLosses {
  /** They found the queue of the export full. */
  queue: number;
  /** The destination of the export refused them. */
  export: number;
  /** A gRPC client was too slow; counted for each client. */
  client: number;
}

const PLACES = ["queue", "export", "client"] as const satisfies (keyof HookLosses)[];

/** Counts per policy and hook; a hook that replaces an equal one goes on counting. */
export class LossCounters {
  readonly #labels: PolicyLabels;
  readonly #counts = new Map<Labels, { policy: PolicyRef; losses: HookLosses }>();

  constructor(registry: Registry, labels: PolicyLabels) {
    this.#labels = labels;
    const help = "Events of a hook that were lost after the ring buffer, by place.";
    scrapedCounter(registry, "trigon_policy_lost_events_total", help, () => this.#samples());
  }

  of(policy: PolicyRef, hook: string): HookLosses {
    const labels = this.#labels.of(policy, hook);
    const known = this.#counts.get(labels);
    if (known) return known.losses;
    const losses = { queue: 0, export: 0, client: 0 };
    this.#counts.set(labels, { policy, losses });
    return losses;
  }

  forget(policy: PolicyRef): void {
    for (const [labels, counted] of this.#counts) {
      if (policyKey(counted.policy) === policyKey(policy)) this.#counts.delete(labels);
    }
  }

  #samples(): Sample[] {
    return [...this.#counts].flatMap(([labels, { losses }]) =>
      PLACES.map((place): Sample => [labels, losses[place], PLACE_LABELS[place]]),
    );
  }
}

const PLACE_LABELS: Record<keyof HookLosses, Labels> = {
  queue: { place: "queue" },
  export: { place: "export" },
  client: { place: "client" },
};
