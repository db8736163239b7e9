/** Labels of policies and their hooks, one object for each, so that their text is made once. */
import { type PolicyRef, policyKey } from "../../crds/names.ts";
import type { Labels } from "../../lib/scraped-metrics.ts";

/** More than a node ever has at once. */
export const KEPT_POLICIES = 10_000;

/** Hands out label objects. */
export class PolicyLabels {
  readonly #byPolicy = new Map<string, Map<string, Labels>>();
  readonly #maxPolicies: number;

  /** `maxPolicies`: for those who never forget a policy; beyond it all labels are made anew. */
  constructor(maxPolicies = Number.POSITIVE_INFINITY) {
    this.#maxPolicies = maxPolicies;
  }

  /** The same object each time; `hook` is a hook's label, see hookLabel(). No policy: the process sensors. */
  of(policy: PolicyRef | undefined, hook: string): Labels {
    const key = policy ? policyKey(policy) : "";
    if (this.#byPolicy.size >= this.#maxPolicies && !this.#byPolicy.has(key)) this.#byPolicy.clear();
    const hooks = this.#byPolicy.get(key) ?? new Map<string, Labels>();
    this.#byPolicy.set(key, hooks);
    const labels = hooks.get(hook) ?? { ...policyLabels(policy), hook };
    hooks.set(hook, labels);
    return labels;
  }

  /** Drops those of a policy that is gone. */
  forget(policy: PolicyRef): void {
    this.#byPolicy.delete(policyKey(policy));
  }
}

/** The labels of a policy alone. */
export function policyLabels(policy: PolicyRef | undefined): Labels {
  return { policy: policy?.name ?? "", policy_namespace: policy?.namespace ?? "" };
}
