/** Test data of this room. */
import { HOOK_SPEC_VERSION, type HookSpec } from "../../crds/hook-spec.ts";
import { hookSpecHash } from "../../crds/hook-spec-codec.ts";
import { hookSpecConfigMapName, shortSpecHash } from "../../crds/names.ts";
import { encodeSpec } from "../../crds/spec-config-map.ts";
import type { KubeObject } from "../../lib/resources.ts";
import { type EncodedSpec, summarize } from "../compiler/compiled.ts";
import { parseSpecObject, type SpecObject, specMetadata } from "../distribute/config-map.ts";
import type { WantedSpec } from "../distribute/plan.ts";
import { SpecReader } from "../distribute/spec-reader.ts";
import type { PolicyObject } from "../resources.ts";
import type { NodeFact } from "../status/equal-nodes.ts";
import type { NodeEntry } from "../status/node-report.ts";

/** A spec of the cluster-scoped policy `p` with one hook per call. */
export function makeSpec(...calls: string[]): HookSpec {
  const hooks = calls.map((call, i) => ({
    path: `spec.kprobes[${i}]`,
    section: "kprobes" as const,
    call,
    syscall: true,
    ignoreCallNotFound: false,
    args: [],
    selectors: [],
  }));
  return { version: HOOK_SPEC_VERSION, policy: { kind: "TracingPolicy", name: "p" }, hooks };
}

/** The same as reconcile hands it to the store. */
export function makeWanted(generation: number, ...calls: string[]): WantedSpec {
  const spec = makeSpec(...calls);
  return { spec: encode(spec), hash: hookSpecHash(spec), generation };
}

function encode(spec: HookSpec): EncodedSpec {
  const encoded = encodeSpec(spec);
  if (!encoded.ok) throw new Error(encoded.message);
  return summarize(spec, encoded.data);
}

/** The ConfigMap of a spec as the API server has it, with something changed. */
export function makeConfigMap(
  wanted: WantedSpec,
  revision: number,
  change: (object: ConfigMapLike) => void = () => {},
): ConfigMapLike {
  const { spec, hash, generation } = wanted;
  const name = hookSpecConfigMapName(hash);
  const metadata = {
    name,
    namespace: "trigon-system",
    uid: `uid-${revision}`,
    ...specMetadata(spec, hash, revision, generation),
  };
  const object: ConfigMapLike = { metadata, immutable: true, ...spec.data };
  change(object);
  return object;
}

/** The same as the operator reads it. */
export function makeSpecObject(...args: Parameters<typeof makeConfigMap>): SpecObject {
  return parseSpecObject(makeConfigMap(...args), new SpecReader());
}

/** A ConfigMap that a test may damage. */
export type ConfigMapLike = KubeObject & {
  metadata: { labels: Record<string, string>; annotations: Record<string, string> };
  immutable?: boolean;
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
};

/** A node with a ready agent that runs HASH. */
export function makeNode(
  name: string,
  changes: { entry?: Partial<NodeEntry> | null; agent?: NodeFact["agent"] } = {},
): NodeFact {
  const { entry, agent = { state: "ready" } } = changes;
  const names = new Set([name]);
  if (entry === null) return { names, agent };
  const base: NodeEntry = {
    specHash: shortSpecHash(HASH),
    attachedHash: shortSpecHash(HASH),
    state: "Attached",
    hooksAttached: 2,
    attach: "fentry×2",
  };
  return { names, agent, entry: { ...base, ...entry } };
}

/** Hash of the wanted spec in tests of statuses. */
export const HASH = "a".repeat(40);

/** A policy object of generation 1. */
export function makePolicy(changes: Partial<PolicyObject> = {}): PolicyObject {
  return {
    apiVersion: "cilium.io/v1alpha1",
    kind: "TracingPolicy",
    metadata: { name: "p", uid: "uid-p", generation: 1 },
    spec: {},
    ...changes,
  };
}
