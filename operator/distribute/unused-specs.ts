/** Which previous specs can go, because the last node has left them. */
import { hookSpecConfigMapName, type PolicyRef } from "../../crds/names.ts";
import type { SpecObject } from "./config-map.ts";
import type { WantedSpec } from "./plan.ts";

/** What it reads. */
export interface UnusedSpecsDeps {
  specs: { distributed(key: string): WantedSpec | undefined };
  sources: { specsOf(key: string): SpecObject[] };
  isInUse(ref: PolicyRef, name: string): boolean;
}

/**
 * Reports each set of unused specs once. Their removal may fail, or wait for a finalizer: the queue repeats it with
 * backoff, and asking again after every status would defeat that.
 */
export class UnusedSpecs {
  readonly #deps: UnusedSpecsDeps;
  /** What was reported last, by policy key. */
  readonly #reported = new Map<string, string>();

  constructor(deps: UnusedSpecsDeps) {
    this.#deps = deps;
  }

  /** True if the policy has unused specs, and not the same ones as at the last call. */
  areNews(key: string): boolean {
    const names = this.#names(key).join(" ");
    const before = this.#reported.get(key) ?? "";
    if (names === "") this.#reported.delete(key);
    else this.#reported.set(key, names);
    return names !== "" && names !== before;
  }

  #names(key: string): string[] {
    const { specs, sources, isInUse } = this.#deps;
    const wanted = specs.distributed(key);
    if (wanted === undefined) return [];
    const { policy } = wanted.spec;
    const wantedName = hookSpecConfigMapName(wanted.hash);
    const names = sources.specsOf(key).map(({ metadata }) => metadata.name);
    return names.filter((name) => name !== wantedName && !isInUse(policy, name)).sort();
  }
}
