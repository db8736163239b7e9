/** Label selectors as they stand in policies. */
import { list, object, type Structural, text, texts, word } from "./structural.ts";

const ATOMIC_LIST: Structural = { "x-kubernetes-list-type": "atomic" };

const EXPRESSION = object(
  "One requirement on a label.",
  {
    key: text("Label that the requirement is about."),
    operator: word("How the label relates to the values.", ["In", "NotIn", "Exists", "DoesNotExist"]),
    values: texts("Values for In and NotIn; empty for Exists and DoesNotExist.", ATOMIC_LIST),
  },
  ["key", "operator"],
);

const LABEL_VALUE: Structural = {
  maxLength: 63,
  pattern: "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
  type: "string",
};

/** A label selector; all its requirements must hold. */
export function labelSelector(description: string, more: Structural = {}): Structural {
  return object(
    description,
    {
      matchExpressions: list("Requirements that must all hold.", EXPRESSION, ATOMIC_LIST),
      matchLabels: {
        additionalProperties: LABEL_VALUE,
        description: "Labels that must have exactly these values.",
        type: "object",
      },
    },
    [],
    { "x-kubernetes-map-type": "atomic", ...more },
  );
}

/** Selects processes of the host itself: absent or empty, nothing else means anything. */
export function hostSelector(): Structural {
  return labelSelector("Processes outside pods: {} includes them.", {
    "x-kubernetes-validations": [
      {
        rule: "!has(self.matchLabels) && !has(self.matchExpressions)",
        message: "must be absent or {}: the host has no labels to select by",
      },
    ],
  });
}

/** Selects pods by label. */
export function podSelector(): Structural {
  return labelSelector(
    "Pods by their labels; k8s:io.kubernetes.pod.namespace stands for the namespace of the pod.",
  );
}

/** Selects containers inside pods. */
export function containerSelector(): Structural {
  return labelSelector("Containers by the fields name and repo.");
}
