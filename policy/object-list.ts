/**
 * `kind: List`, as `kubectl get -o yaml` prints several objects, and `kind: TracingPolicyList`, as the API server does:
 * each item is what a document of its own would be.
 */
import { POLICY_API } from "../crds/names.ts";
import type { Structural } from "../crds/schema/structural.ts";
import type { Problems } from "./problems.ts";
import { checkVersion, member } from "./schema/check.ts";
import { POLICY_SCHEMAS } from "./schema/json-schema.ts";
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
  const kind = member(value, "kind", "ignoreCase");
  return kind === "List" || itemKind(kind) !== undefined;
}

/** The kind of the items of a list of policies, which need not name it themselves. */
function itemKind(kind: unknown): string | undefined {
  return Object.keys(POLICY_SCHEMAS).find((name) => kind === `${name}List`);
}

/** The items, which may be anything; none when the list itself is wrong. */
export function readObjectList(list: object, problems: Problems): unknown[] {
  const normal = normaliseKeys(list, LIST, "ignoreCase", problems) as Record<string, unknown>;
  const { apiVersion, items = [] } = normal;
  const kind = itemKind(normal.kind);
  if (!checkVersion(apiVersion, kind === undefined ? "v1" : POLICY_API.apiVersion, problems)) return [];
  if (!Array.isArray(items)) {
    problems.error("items", `must be a list, is ${quote(items)}`);
    return [];
  }
  if (items.length === 0) problems.error("items", "is empty: there is no policy in it");
  return kind === undefined ? items : items.map((item) => withKind(item, kind));
}

function withKind(item: unknown, kind: string): unknown {
  if (typeof item !== "object" || item === null || member(item, "kind", "ignoreCase") !== undefined)
    return item;
  return { apiVersion: POLICY_API.apiVersion, kind, ...item };
}
