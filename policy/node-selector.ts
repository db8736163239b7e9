/** The nodes that run a policy. */
import type { LabelSelector } from "../crds/hook-spec.ts";
import { child, type Problems } from "./problems.ts";
import { quote } from "./suggest.ts";
import type { PolicySpec } from "./types.ts";

const NAME = "([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]";
const KEY = new RegExp(`^([a-z0-9][-a-z0-9.]{0,252}/)?${NAME}$`);
const VALUE = new RegExp(`^(${NAME})?$`);

/** The selector with what the API server would refuse in any label selector reported. */
export function compileNodeSelector(spec: PolicySpec, problems: Problems): LabelSelector | undefined {
  const selector = spec.nodeSelector;
  if (!selector) return undefined;
  for (const key of Object.keys(selector.matchLabels ?? {})) {
    checkKey(key, child("spec.nodeSelector.matchLabels", key), problems);
  }
  for (const [index, expression] of (selector.matchExpressions ?? []).entries()) {
    const path = `spec.nodeSelector.matchExpressions[${index}]`;
    const values = expression.values ?? [];
    checkKey(expression.key, `${path}.key`, problems);
    if (expression.operator.endsWith("In") && values.length === 0) {
      problems.error(`${path}.values`, `is empty: ${expression.operator} needs at least one value`);
    }
    if (expression.operator.endsWith("Exist") || expression.operator === "Exists") {
      if (values.length > 0) problems.error(`${path}.values`, `must be empty for ${expression.operator}`);
    }
    for (const [n, value] of values.entries()) {
      if (!VALUE.test(value))
        problems.error(child(`${path}.values`, n), `${quote(value)} is not a label value`);
    }
  }
  return selector;
}

function checkKey(key: string, path: string, problems: Problems): void {
  if (!KEY.test(key)) problems.error(path, `${quote(key)} is not a label: NAME or DOMAIN/NAME`);
}
