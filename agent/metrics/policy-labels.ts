/** Labels of policies and their hooks, one object for each, so that their text is made once. */
import { type PolicyRef, policyKey } from "../../crds/names.ts";
import type { Labels } from "../../lib/scraped-metrics.ts";

/** Hands out label objects. */
export class PolicyLabels {
  readonly #byPolicy = new Map<string, Map<string, Labels>>();

  /** The same object each time; `hook` is a hook's label, see hookLabel(). No policy: the process sensors. */
  of(policy: PolicyRef | undefined, hook: string): Labels {
    const key = policy ? policyKey(policy) : "";
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
