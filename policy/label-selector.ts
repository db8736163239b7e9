/** What the API server would refuse in any label selector, reported where it stands. */
import type { LabelSelector } from "../crds/hook-spec.ts";
import { child, type Problems } from "./problems.ts";
import { quote } from "./suggest.ts";

const NAME = "([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]";
const KEY = new RegExp(`^([a-z0-9][-a-z0-9.]{0,252}/)?${NAME}$`);
const VALUE = new RegExp(`^(${NAME})?$`);

/** What a selector selects by. */
export interface Vocabulary {
  /** What is wrong with a key; undefined if nothing is. */
  checkKey(key: string): string | undefined;
  /** The same for one of its values. */
  checkValue(value: string): string | undefined;
}

/** Labels of Kubernetes objects. */
export const OBJECT_LABELS: Vocabulary = {
  checkKey: (key) => (KEY.test(key) ? undefined : `${quote(key)} is not a label: NAME or DOMAIN/NAME`),
  checkValue: (value) => (VALUE.test(value) ? undefined : `${quote(value)} is not a label value`),
};

/** Reports keys and values that cannot be, and operators with values that they do not take. */
export function checkLabelSelector(
  selector: LabelSelector,
  path: string,
  vocabulary: Vocabulary,
  problems: Problems,
): void {
  // The schema checks the values of matchLabels.
  for (const key of Object.keys(selector.matchLabels ?? {})) {
    report(vocabulary.checkKey(key), child(`${path}.matchLabels`, key), problems);
  }
  for (const [index, expression] of (selector.matchExpressions ?? []).entries()) {
    checkExpression(expression, `${path}.matchExpressions[${index}]`, vocabulary, problems);
  }
}

type Expression = NonNullable<LabelSelector["matchExpressions"]>[number];

function checkExpression(
  { key, operator, values = [] }: Expression,
  path: string,
  vocabulary: Vocabulary,
  problems: Problems,
): void {
  report(vocabulary.checkKey(key), `${path}.key`, problems);
  const takesValues = operator === "In" || operator === "NotIn";
  if (takesValues && values.length === 0) {
    problems.error(`${path}.values`, `is empty: ${operator} needs at least one value`);
  }
  if (!takesValues && values.length > 0) problems.error(`${path}.values`, `must be empty for ${operator}`);
  for (const [n, value] of values.entries()) {
    report(vocabulary.checkValue(value), child(`${path}.values`, n), problems);
  }
}

function report(message: string | undefined, path: string, problems: Problems): void {
  if (message !== undefined) problems.error(path, message);
}
