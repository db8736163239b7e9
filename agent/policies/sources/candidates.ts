/** What a hook-spec ConfigMap says, and which of a policy's ConfigMaps is the wanted one. Pure. */
import { gunzipSync } from "node:zlib";
import { type HookSpec, type HookSpecError, hookSpecHash, parseHookSpec } from "../../../crds/hook-spec.ts";
import { HOOK_SPEC_LIMITS } from "../../../crds/hook-spec-schema.ts";
import {
  HOOK_SPEC_KEYS,
  hookSpecConfigMapName,
  LABELS,
  type PolicyRef,
  parsePolicyKey,
  policyKey,
} from "../../../crds/names.ts";
import type { KubeObject } from "../../../lib/resources.ts";
import type { DesiredPolicy } from "./source.ts";

/** A ConfigMap. */
export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}

/** One ConfigMap of a policy. */
export interface Candidate {
  configMap: string;
  key: string;
  ref: PolicyRef;
  hash: string;
  origin: string;
  /** The operator only ever raises it. */
  revision: number;
  /** The policy is gone. */
  retired: boolean;
  content: { spec: HookSpec } | { problem: string };
}

/** Undefined if not even the policy can be told. */
export function parseCandidate(configMap: ConfigMap): Candidate | undefined {
  const { name, namespace = "", labels = {}, annotations = {} } = configMap.metadata;
  const hash = name.slice(hookSpecConfigMapName("").length);
  const content = readContent(configMap, name);
  const ref = "spec" in content ? content.spec.policy : parsePolicyKey(annotations[LABELS.policyKey] ?? "");
  if (!ref) return undefined;
  return {
    configMap: name,
    key: policyKey(ref),
    ref,
    hash,
    origin: `ConfigMap ${namespace}/${name}`,
    revision: Number(annotations[LABELS.revision]) || 0,
    retired: labels[LABELS.retired] === "true",
    content,
  };
}

/** Highest revision first. */
export function byRevision(a: Candidate, b: Candidate): number {
  return b.revision - a.revision || (a.configMap < b.configMap ? -1 : 1);
}

/** The first candidate is wanted, the others are what ran before. */
export function chooseCandidate(sorted: readonly Candidate[]): DesiredPolicy | undefined {
  const [wanted, ...earlier] = sorted;
  if (!wanted) return undefined;
  const { ref, hash, origin, content } = wanted;
  const fallbacks = earlier.flatMap((one) =>
    "spec" in one.content ? [{ hash: one.hash, spec: one.content.spec }] : [],
  );
  return { ref, hash, origin, fallbacks, ...content };
}

function readContent(configMap: ConfigMap, name: string): Candidate["content"] {
  const text = readText(configMap);
  if ("problem" in text) return text;
  const parsed = parseHookSpec(text.json);
  if (!parsed.ok)
    return { problem: `ConfigMap ${name} holds no hook spec: ${parsed.errors.map(describe).join("; ")}` };
  const expected = hookSpecConfigMapName(hookSpecHash(parsed.spec));
  if (expected !== name) {
    return { problem: `ConfigMap ${name} was changed by hand: its content belongs into ${expected}` };
  }
  return { spec: parsed.spec };
}

function describe({ path, message }: HookSpecError): string {
  return path === "" ? message : `${path} ${message}`;
}

function readText(configMap: ConfigMap): { json: string } | { problem: string } {
  const json = configMap.data?.[HOOK_SPEC_KEYS.json];
  if (json !== undefined) return { json };
  const packed = configMap.binaryData?.[HOOK_SPEC_KEYS.gzip];
  const name = configMap.metadata.name;
  if (packed === undefined) return { problem: `ConfigMap ${name} has no ${HOOK_SPEC_KEYS.json}` };
  try {
    const bytes = gunzipSync(Buffer.from(packed, "base64"), { maxOutputLength: HOOK_SPEC_LIMITS.textBytes });
    return { json: bytes.toString("utf8") };
  } catch (error) {
    return { problem: `ConfigMap ${name}: unpack ${HOOK_SPEC_KEYS.gzip}: ${(error as Error).message}` };
  }
}
