/** A hook spec as a ConfigMap and back. Pure. */
import {
  hookSpecConfigMapName,
  LABELS,
  MANAGED_BY_OPERATOR,
  parseRevision,
  policyKey,
  policyLabelValue,
  shortSpecHash,
} from "../../crds/names.ts";
import type { SpecData } from "../../crds/spec-config-map.ts";
import { writeNodeSelector } from "../../crds/spec-node-selector.ts";
import type { KubeObject } from "../../lib/resources.ts";
import type { EncodedSpec } from "../compiler/compiled.ts";
import { slimMeta } from "../resources.ts";
import type { SpecReader } from "./spec-reader.ts";

/** A ConfigMap as the API server has it. */
export interface ConfigMap extends KubeObject, SpecData {
  immutable?: boolean;
}

/** A ConfigMap with the labels of a hook spec, as the operator reads it. */
export interface SpecObject extends KubeObject {
  /** Undefined: the content is no hook spec, or does not hash to the name; then there is a problem. */
  spec: EncodedSpec | undefined;
  problem?: string;
  immutable: boolean;
  /** NaN when it is missing or no number. */
  revision: number;
  retired: boolean;
}

/** Labels and annotations that a ConfigMap with this spec must have. */
export function specMetadata(
  spec: Pick<EncodedSpec, "policy" | "nodeSelector">,
  hash: string,
  revision: number,
  generation: number | undefined,
) {
  const selector = writeNodeSelector(spec.nodeSelector);
  return {
    labels: {
      [LABELS.managedBy]: MANAGED_BY_OPERATOR,
      [LABELS.name]: "trigon",
      [LABELS.policy]: policyLabelValue(spec.policy),
      [LABELS.specHash]: hash,
      ...(selector !== undefined && { [LABELS.selectsNodes]: "true" }),
    },
    annotations: {
      [LABELS.policyKey]: policyKey(spec.policy),
      [LABELS.revision]: String(revision),
      ...(selector !== undefined && { [LABELS.nodeSelector]: selector }),
      ...(generation !== undefined && { [LABELS.policyGeneration]: String(generation) }),
    },
  };
}

/** Never throws: damaged content gives an object without a spec. */
export function parseSpecObject(object: KubeObject, reader: SpecReader): SpecObject {
  const { immutable, metadata, data, binaryData } = object as ConfigMap;
  const decoded = reader.read(metadata.name, { ...(data && { data }), ...(binaryData && { binaryData }) });
  return {
    metadata: {
      ...slimMeta(metadata),
      labels: { ...metadata.labels },
      annotations: ownAnnotations(metadata.annotations),
    },
    spec: decoded.ok ? decoded.spec : undefined,
    ...(!decoded.ok && { problem: decoded.problem }),
    immutable: immutable === true,
    revision: parseRevision(metadata.annotations?.[LABELS.revision]) ?? Number.NaN,
    retired: metadata.labels?.[LABELS.retired] === "true",
  };
}

/** Generation of the policy that the spec was compiled from. */
export function specGeneration(object: SpecObject): number | undefined {
  const text = object.metadata.annotations?.[LABELS.policyGeneration];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Generations of specs by short hash. */
export function generationsOf(objects: readonly SpecObject[]): ReadonlyMap<string, number> {
  return new Map(
    objects.flatMap((object) => {
      const generation = specGeneration(object);
      const hash = shortSpecHash(hashOfName(object.metadata.name));
      return generation === undefined ? [] : [[hash, generation] as const];
    }),
  );
}

/** Hash of the spec in the ConfigMap of this name. */
export function hashOfName(configMapName: string): string {
  return configMapName.slice(hookSpecConfigMapName("").length);
}

function ownAnnotations(annotations: Record<string, string> | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations ?? {}).filter(([key]) => key.startsWith("trigon.dev/")),
  );
}
