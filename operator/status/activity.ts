/** Adds up what a policy does on all nodes. Pure. */
import { noisiest, type PolicyActivity } from "../../crds/policy-activity.ts";

/** What a policy does in the cluster, as its status shows it. */
export interface ClusterActivity {
  pods?: number;
  eventsPerMinute?: number;
  noisiest?: { namespaces: string[]; binaries: string[] };
}

/** Sums over nodes; a name weighs as much as the nodes that name it report. */
export class ActivitySum {
  #pods: number | undefined;
  #perMinute = 0;
  readonly #namespaces = new Map<string, number>();
  readonly #binaries = new Map<string, number>();

  /** Adds what so many nodes report alike. */
  add({ pods, perMinute, namespaces, binaries }: PolicyActivity, nodes = 1): void {
    const weight = perMinute * nodes;
    if (pods !== undefined) this.#pods = (this.#pods ?? 0) + pods * nodes;
    this.#perMinute += weight;
    for (const name of namespaces) addWeight(this.#namespaces, name, weight);
    for (const name of binaries) addWeight(this.#binaries, name, weight);
  }

  result(): ClusterActivity {
    const pods = this.#pods !== undefined && { pods: this.#pods };
    if (this.#perMinute === 0) return { ...pods };
    const most = { namespaces: noisiest(this.#namespaces), binaries: noisiest(this.#binaries) };
    return { ...pods, eventsPerMinute: this.#perMinute, noisiest: most };
  }
}

function addWeight(weights: Map<string, number>, name: string, weight: number): void {
  weights.set(name, (weights.get(name) ?? 0) + weight);
}
