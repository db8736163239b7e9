/** `kind: List`, as `kubectl get -o yaml` prints several objects: each item is what a document of its own would be. */
import type { Structural } from "../crds/schema/structural.ts";
import type { Problems } from "./problems.ts";
import { checkVersion, member } from "./schema/check.ts";
import { normaliseKeys } from "./schema/keys.ts";
import { quote } from "./suggest.ts";

const LIST: Structural = {
  type: "object",
  properties: {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: { type: "object" },
    items: { type: "array" },
  },
};

/** Whether a document is such a list; its keys may be written in any case, as those of a policy. */
export function isObjectList(value: unknown): value is object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return member(value, "kind", "ignoreCase") === "List";
}

/** The items, which may be anything; none when the list itself is wrong. */
export function readObjectList(list: object, problems: Problems): unknown[] {
  const { apiVersion, items = [] } = normaliseKeys(list, LIST, "ignoreCase", problems) as Record<
    string,
    unknown
  >;
  if (!checkVersion(apiVersion, "v1", problems)) return [];
  if (!Array.isArray(items)) {
    problems.error("items", `must be a list, is ${quote(items)}`);
    return [];
  }
  if (items.length === 0) problems.error("items", "is empty: there is no policy in it");
  return items;
}
