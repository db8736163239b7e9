/** Parses hook-spec ConfigMaps, and chooses the wanted one among those of a policy. Pure. */
import type { HookSpec, LabelSelector } from "../../../crds/hook-spec.ts";
import {
  hookSpecConfigMapName,
  LABELS,
  type PolicyRef,
  parsePolicyKey,
  parseRevision,
  policyKey,
} from "../../../crds/names.ts";
import { decodeSpec, type SpecData } from "../../../crds/spec-config-map.ts";
import type { KubeObject } from "../../../lib/resources.ts";
import type { DesiredPolicy } from "./source.ts";

/** A ConfigMap with a hook spec. */
export interface ConfigMap extends KubeObject, SpecData {
  /** Present while only the metadata has been read: the node may do without the content. */
  unreadFor?: LabelSelector;
}

/** A parsed ConfigMap of a policy. */
export interface Candidate {
  configMap: string;
  key: string;
  ref: PolicyRef;
  hash: string;
  origin: string;
  /** The operator never lowers it. */
  revision: number;
  /** It has the label with which the operator announces a deletion; a person may have set it, too. */
  isAnnounced: boolean;
  /** The policy has been deleted: what the operator announces, it deletes. */
  retired: boolean;
  content: { spec: HookSpec } | { problem: string } | { nodeSelector: LabelSelector };
}

/** Parses a ConfigMap; undefined if neither its content nor its annotation names a policy. */
export function parseCandidate(configMap: ConfigMap): Candidate | undefined {
  const { name, namespace = "", labels = {}, annotations = {}, deletionTimestamp } = configMap.metadata;
  const isAnnounced = labels[LABELS.retired] === "true";
  const hash = name.slice(hookSpecConfigMapName("").length);
  const content = readContent(configMap);
  const ref = "spec" in content ? content.spec.policy : parsePolicyKey(annotations[LABELS.policyKey] ?? "");
  if (!ref) return undefined;
  return {
    configMap: name,
    key: policyKey(ref),
    ref,
    hash,
    origin: `ConfigMap ${namespace}/${name}`,
    revision: parseRevision(annotations[LABELS.revision]) ?? 0,
    isAnnounced,
    retired: isAnnounced && deletionTimestamp !== undefined,
    content,
  };
}

function readContent(configMap: ConfigMap): Candidate["content"] {
  if (configMap.unreadFor) return { nodeSelector: configMap.unreadFor };
  const decoded = decodeSpec(configMap.metadata.name, configMap);
  return decoded.ok ? { spec: decoded.spec } : { problem: decoded.problem };
}

/** Sorts the highest revision first. */
export function byRevision(a: Candidate, b: Candidate): number {
  return b.revision - a.revision || (a.configMap < b.configMap ? -1 : 1);
}

/** The first candidate is wanted; the others are fallbacks. */
export function chooseCandidate(sorted: readonly Candidate[]): DesiredPolicy | undefined {
  const [wanted, ...earlier] = sorted;
  if (!wanted) return undefined;
  const { ref, hash, origin, content } = wanted;
  const fallbacks = earlier.flatMap((one) =>
    "spec" in one.content ? [{ hash: one.hash, spec: one.content.spec }] : [],
  );
  return { ref, hash, origin, fallbacks, ...content };
}
