/** The nodes that run a policy. */
import type { LabelSelector } from "../crds/hook-spec.ts";
import { checkLabelSelector, OBJECT_LABELS } from "./label-selector.ts";
import type { Problems } from "./problems.ts";
import type { PolicySpec } from "./types.ts";

/** The selector with what the API server would refuse in any label selector reported. */
export function compileNodeSelector(spec: PolicySpec, problems: Problems): LabelSelector | undefined {
  const selector = spec.nodeSelector;
  if (selector) checkLabelSelector(selector, "spec.nodeSelector", OBJECT_LABELS, problems);
  return selector;
}
