/** A hook spec as a ConfigMap and back. Pure. */
import { gunzipSync, gzipSync } from "node:zlib";
import { encodeHookSpec, type HookSpec, hookSpecHash, parseHookSpec } from "../../crds/hook-spec.ts";
import {
  HOOK_SPEC_KEYS,
  hookSpecConfigMapName,
  LABELS,
  MANAGED_BY_OPERATOR,
  policyKey,
  policyLabelValue,
} from "../../crds/names.ts";
import type { KubeObject } from "../../lib/resources.ts";
import { slimMeta } from "../resources.ts";

/** A ConfigMap as the API server has it. */
export interface ConfigMap extends KubeObject {
  immutable?: boolean;
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}

/** What the operator knows of a ConfigMap that carries, or claims to carry, a hook spec. */
export interface SpecObject extends KubeObject {
  /** Undefined: the content is no hook spec, or does not hash to the name. */
  spec: HookSpec | undefined;
  immutable: boolean;
  /** NaN when it is missing or no number. */
  revision: number;
  retired: boolean;
}

/** Larger JSON is compressed: every agent reads it, and the watch cache of the API server keeps it. */
const GZIP_ABOVE_BYTES = 64 << 10;
/** The API server's limit on the sum of a ConfigMap's values. */
const MAX_DATA_BYTES = 1 << 20;
/** A compressed spec may not make us allocate without bounds. */
const MAX_JSON_BYTES = 64 << 20;

/** The data of the ConfigMap, or why the spec cannot be distributed. */
export type EncodedSpec =
  | { ok: true; data: Pick<ConfigMap, "data" | "binaryData"> }
  | { ok: false; message: string };

/** Compresses when that is worth it; a spec that does not fit one ConfigMap is refused. */
export function encodeSpec(spec: HookSpec): EncodedSpec {
  const json = encodeHookSpec(spec);
  if (Buffer.byteLength(json) <= GZIP_ABOVE_BYTES)
    return { ok: true, data: { data: { [HOOK_SPEC_KEYS.json]: json } } };

  const compressed = gzipSync(json, { level: 9 });
  if (compressed.length > MAX_DATA_BYTES) {
    const kib = (bytes: number) => Math.ceil(bytes / 1024);
    const message = `the compiled policy has ${kib(compressed.length)} KiB compressed, a ConfigMap holds ${kib(MAX_DATA_BYTES)} KiB; split the policy or shorten its value lists`;
    return { ok: false, message };
  }
  return { ok: true, data: { binaryData: { [HOOK_SPEC_KEYS.gzip]: compressed.toString("base64") } } };
}

/** Labels and annotations that a ConfigMap with this spec has to have. */
export function specMetadata(spec: HookSpec, hash: string, revision: number, generation: number | undefined) {
  return {
    labels: {
      [LABELS.managedBy]: MANAGED_BY_OPERATOR,
      [LABELS.name]: "trigon",
      [LABELS.policy]: policyLabelValue(spec.policy),
      [LABELS.specHash]: hash,
    },
    annotations: {
      [LABELS.policyKey]: policyKey(spec.policy),
      [LABELS.revision]: String(revision),
      ...(generation !== undefined && { [LABELS.policyGeneration]: String(generation) }),
    },
  };
}

/** Reads what is there; damage shows as a missing spec, never as an exception. */
export function parseSpecObject(object: KubeObject): SpecObject {
  const { data, binaryData, immutable, metadata } = object as ConfigMap;
  return {
    metadata: {
      ...slimMeta(metadata),
      labels: { ...metadata.labels },
      annotations: ownAnnotations(metadata.annotations),
    },
    spec: decodeSpec(
      metadata.name,
      data?.[HOOK_SPEC_KEYS.json] ?? gunzipText(binaryData?.[HOOK_SPEC_KEYS.gzip]),
    ),
    immutable: immutable === true,
    revision: parseRevision(metadata.annotations?.[LABELS.revision]),
    retired: metadata.labels?.[LABELS.retired] === "true",
  };
}

/** Generation of the policy that the spec was compiled from. */
export function specGeneration(object: SpecObject): number | undefined {
  const text = object.metadata.annotations?.[LABELS.policyGeneration];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function decodeSpec(name: string, json: string | undefined): HookSpec | undefined {
  if (json === undefined) return undefined;
  const parsed = parseHookSpec(json);
  if (!parsed.ok) return undefined;
  return hookSpecConfigMapName(hookSpecHash(parsed.spec)) === name ? parsed.spec : undefined;
}

function gunzipText(base64: string | undefined): string | undefined {
  if (base64 === undefined) return undefined;
  try {
    return gunzipSync(Buffer.from(base64, "base64"), { maxOutputLength: MAX_JSON_BYTES }).toString("utf8");
  } catch {
    return undefined;
  }
}

function parseRevision(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}

function ownAnnotations(annotations: Record<string, string> | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations ?? {}).filter(([key]) => key.startsWith("trigon.dev/")),
  );
}
