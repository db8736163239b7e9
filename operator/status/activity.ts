/** Adds up what a policy does on all nodes. Pure. */
import type { PolicyActivity } from "../../crds/policy-activity.ts";

/** What a policy does in the cluster, as its status shows it. */
export interface ClusterActivity {
  pods?: number;
  eventsPerMinute?: number;
  noisiest?: { namespaces: string[]; binaries: string[] };
}

/** Names that are shown of the noisiest. */
const SHOWN = 3;

/** Sums over nodes; a name weighs as much as the nodes that name it report. */
export class ActivitySum {
  #pods: number | undefined;
  #perMinute = 0;
  readonly #namespaces = new Map<string, number>();
  readonly #binaries = new Map<string, number>();

  add({ pods, perMinute, namespaces, binaries }: PolicyActivity): void {
    if (pods !== undefined) this.#pods = (this.#pods ?? 0) + pods;
    this.#perMinute += perMinute;
    for (const name of namespaces) addWeight(this.#namespaces, name, perMinute);
    for (const name of binaries) addWeight(this.#binaries, name, perMinute);
  }

  result(): ClusterActivity {
    const pods = this.#pods !== undefined && { pods: this.#pods };
    if (this.#perMinute === 0) return { ...pods };
    const noisiest = { namespaces: heaviest(this.#namespaces), binaries: heaviest(this.#binaries) };
    return { ...pods, eventsPerMinute: this.#perMinute, noisiest };
  }
}

function addWeight(weights: Map<string, number>, name: string, weight: number): void {
  weights.set(name, (weights.get(name) ?? 0) + weight);
}

function heaviest(weights: ReadonlyMap<string, number>): string[] {
  return [...weights]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, SHOWN)
    .map(([name]) => name);
}
