/** How large the cluster is, for what the agents of all nodes do at the same time. */
import { TRACING_NODES } from "../../crds/names.ts";
import type { ListAndWatch } from "../../lib/kube.ts";

/**
 * A cluster of this size and more is large. Delays of up to a minute are meant for it: then 83 agents in a second do what
 * 5,000 do at the same time.
 */
const LARGE = 5_000;
const COUNTED_FOR_MS = 3_600_000;

/** What it works with. */
export interface ClusterSizeDeps {
  /** Lists metadata; the first page of a list says how many objects there are. */
  client: Pick<ListAndWatch, "listPage">;
  /** Milliseconds of a clock that is never set. */
  now(): number;
}

/** Counts the nodes that report, once an hour at most. */
export class ClusterSize {
  readonly #deps: ClusterSizeDeps;
  #share: Promise<number> | undefined;
  #countedAt = 0;

  constructor(deps: ClusterSizeDeps) {
    this.#deps = deps;
  }

  /**
   * From 0 to 1: the part of a large cluster that this one is. A delay for a large cluster is shortened by it, so that
   * three nodes hardly wait. 1 if the nodes cannot be counted.
   */
  share(): Promise<number> {
    const now = this.#deps.now();
    if (this.#share === undefined || now - this.#countedAt >= COUNTED_FOR_MS) {
      this.#countedAt = now;
      this.#share = this.#count().then(
        (nodes) => Math.min(1, nodes / LARGE),
        () => this.#forget(),
      );
    }
    return this.#share;
  }

  async #count(): Promise<number> {
    const { items, remaining = 0 } = await this.#deps.client.listPage(TRACING_NODES, {}, 1);
    return items.length + remaining;
  }

  /** The next question is a new try. */
  #forget(): number {
    this.#share = undefined;
    return 1;
  }
}
