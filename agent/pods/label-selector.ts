/** Kubernetes label selectors. Pure. */
import type { LabelSelector } from "../../crds/hook-spec.ts";

/** Labels of an object; undefined when they are not known. */
export type Labels = Readonly<Record<string, string>>;

/** True if every part of the selector matches; an empty selector matches every object. */
export function selectorMatches(selector: LabelSelector, labels: Labels): boolean {
  return anyNameMatches(selector, [labels]);
}

/** The same for an object with several names for one thing: what is asked for is one of them, what is excluded none. */
export function anyNameMatches(selector: LabelSelector, names: readonly Labels[]): boolean {
  const equal = Object.entries(selector.matchLabels ?? {}).every(([key, value]) =>
    names.some((labels) => labels[key] === value),
  );
  return (
    equal &&
    (selector.matchExpressions ?? []).every((expression) =>
      expression.operator === "NotIn" || expression.operator === "DoesNotExist"
        ? names.every((labels) => expressionMatches(expression, labels))
        : names.some((labels) => expressionMatches(expression, labels)),
    )
  );
}

type Expression = NonNullable<LabelSelector["matchExpressions"]>[number];

/** As in Kubernetes, NotIn matches an absent label. */
function expressionMatches({ key, operator, values = [] }: Expression, labels: Labels): boolean {
  const value = labels[key];
  const listed = value !== undefined && values.includes(value);
  switch (operator) {
    case "In":
      return listed;
    case "NotIn":
      return !listed;
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}
