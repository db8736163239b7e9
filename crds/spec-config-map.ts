/** The one codec of a hook-spec ConfigMap: what the operator writes and the agents read. Pure. */
import { gunzipSync, gzipSync } from "node:zlib";
import type { HookSpec, HookSpecError } from "./hook-spec.ts";
import { hashHookSpecText, hookSpecHash, measureHookSpec, parseHookSpec } from "./hook-spec-codec.ts";
import { HOOK_SPEC_LIMITS } from "./hook-spec-schema.ts";
import { HOOK_SPEC_KEYS, hookSpecConfigMapName } from "./names.ts";

/** The part of a ConfigMap that carries the spec. */
export interface SpecData {
  data?: Record<string, string>;
  /** Values in base64. */
  binaryData?: Record<string, string>;
}

/** A spec as it is distributed, or why it cannot be. */
export type EncodedSpec = { ok: true; hash: string; data: SpecData } | { ok: false; message: string };

/** The spec of a ConfigMap, or why it has none; the problem names the ConfigMap. */
export type DecodedSpec = { ok: true; spec: HookSpec } | { ok: false; problem: string };

/** Larger texts are compressed: every agent reads them, and the watch cache of the API server keeps them. */
const GZIP_ABOVE_BYTES = 64 << 10;
/** The API server's limit on the sum of a ConfigMap's values. */
const MAX_DATA_BYTES = 1 << 20;

/** What it returns as ok fits into one ConfigMap, and decodeSpec() reads it back. */
export function encodeSpec(spec: HookSpec): EncodedSpec {
  const { text, textBytes, expandedBytes } = measureHookSpec(spec);
  const hash = hashHookSpecText(text);
  if (expandedBytes > HOOK_SPEC_LIMITS.expandedBytes) {
    const what = `the selectors of its ${spec.hooks.length} hooks, written out for each hook,`;
    return tooLarge(what, expandedBytes, HOOK_SPEC_LIMITS.expandedBytes);
  }
  if (textBytes > HOOK_SPEC_LIMITS.textBytes)
    return tooLarge("its hook spec", textBytes, HOOK_SPEC_LIMITS.textBytes);
  if (textBytes <= GZIP_ABOVE_BYTES)
    return { ok: true, hash, data: { data: { [HOOK_SPEC_KEYS.json]: text } } };

  const compressed = gzipSync(text, { level: 9 });
  if (compressed.length > MAX_DATA_BYTES)
    return tooLarge("its hook spec, compressed,", compressed.length, MAX_DATA_BYTES);
  const binaryData = { [HOOK_SPEC_KEYS.gzip]: compressed.toString("base64") };
  return { ok: true, hash, data: { binaryData } };
}

/** Reads the spec of the ConfigMap with this name; never throws, whatever the data is. */
export function decodeSpec(name: string, configMap: SpecData): DecodedSpec {
  const unpacked = unpackSpec(configMap);
  if ("problem" in unpacked) return failed(name, unpacked.problem);
  const parsed = parseHookSpec(unpacked.text);
  if (!parsed.ok) return failed(name, `holds no hook spec: ${parsed.errors.map(describe).join("; ")}`);
  const expected = hookSpecConfigMapName(hookSpecHash(parsed.spec));
  if (expected !== name) return failed(name, `was changed by hand: its content belongs into ${expected}`);
  return parsed;
}

/** The JSON of a hook spec, as it stands in the ConfigMap; it is not checked. */
export function unpackSpec({ data, binaryData }: SpecData): { text: string } | { problem: string } {
  const text = data?.[HOOK_SPEC_KEYS.json];
  if (text !== undefined) return { text };
  const packed = binaryData?.[HOOK_SPEC_KEYS.gzip];
  if (packed === undefined) return { problem: `has no ${HOOK_SPEC_KEYS.json}` };
  try {
    const bytes = gunzipSync(Buffer.from(packed, "base64"), { maxOutputLength: HOOK_SPEC_LIMITS.textBytes });
    return { text: bytes.toString("utf8") };
  } catch (error) {
    return { problem: `has a ${HOOK_SPEC_KEYS.gzip} that cannot be unpacked: ${(error as Error).message}` };
  }
}

function tooLarge(what: string, bytes: number, most: number): EncodedSpec {
  const kib = (size: number) => Math.ceil(size / 1024);
  const message = `compiles to too much: ${what} would have ${kib(bytes)} KiB, at most ${kib(most)} KiB are allowed; shorten the value lists, or split the policy`;
  return { ok: false, message };
}

function failed(name: string, problem: string): DecodedSpec {
  return { ok: false, problem: `ConfigMap ${name} ${problem}` };
}

function describe({ path, message }: HookSpecError): string {
  return path === "" ? message : `${path} ${message}`;
}
