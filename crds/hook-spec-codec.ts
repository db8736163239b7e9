/** The hook spec as a string: one encoding, and a parser that refuses whatever breaks its schema or its limits. */
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { HOOK_SPEC_VERSION, type HookSpec, type HookSpecError, type LabelSelector } from "./hook-spec.ts";
import { checkHook } from "./hook-spec-checks.ts";
import { HOOK_SPEC_LIMITS, HOOK_SPEC_SCHEMA } from "./hook-spec-schema.ts";
import { sha256Hex } from "./names.ts";
import { expandSelectors, shareSelectors } from "./shared-selectors.ts";

/** A hook spec, or everything that is wrong with the text. */
export type HookSpecResult = { ok: true; spec: HookSpec } | { ok: false; errors: HookSpecError[] };

/** Reads a hook spec; what it returns as ok keeps to HOOK_SPEC_SCHEMA and refers only to arguments that exist. */
export function parseHookSpec(text: string): HookSpecResult {
  if (Buffer.byteLength(text) > HOOK_SPEC_LIMITS.textBytes) {
    return failed("", `is longer than ${HOOK_SPEC_LIMITS.textBytes} bytes`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return failed("", `is not JSON: ${(cause as Error).message}`);
  }
  return checkHookSpec(value);
}

/** A spec as text, with what the limits are about. */
export interface EncodedHookSpec {
  text: string;
  textBytes: number;
  /** Bytes of the text if every selector were written out in each hook that has it. */
  expandedBytes: number;
}

/** The one text of a spec: sorted keys, no white space, shared selectors; equal specs give equal texts. */
export function encodeHookSpec(spec: HookSpec): string {
  return measureHookSpec(spec).text;
}

/** The same with its sizes; HOOK_SPEC_LIMITS bounds both. */
export function measureHookSpec(spec: HookSpec): EncodedHookSpec {
  const { wire, savedBytes } = shareSelectors(spec, encodeSorted);
  const text = encodeSorted(wire);
  const textBytes = Buffer.byteLength(text);
  return { text, textBytes, expandedBytes: textBytes + savedBytes };
}

/** Name of a spec's content: 40 hex digits. */
export function hookSpecHash(spec: HookSpec): string {
  return hashHookSpecText(encodeHookSpec(spec));
}

/** hookSpecHash() of the spec that this is the text of. */
export function hashHookSpecText(text: string): string {
  return sha256Hex(text).slice(0, 40);
}

/** True for what a hook spec may have as nodeSelector. */
export function isLabelSelector(value: unknown): value is LabelSelector {
  selectorValidator ??= new Ajv().compile<LabelSelector>(HOOK_SPEC_SCHEMA.properties.nodeSelector);
  return selectorValidator(value);
}

let selectorValidator: ValidateFunction<LabelSelector> | undefined;
let validator: ValidateFunction<HookSpec> | undefined;

function checkHookSpec(wire: unknown): HookSpecResult {
  const version = (wire as { version?: unknown } | null)?.version;
  if (version !== undefined && version !== HOOK_SPEC_VERSION) {
    return failed(
      "version",
      `is ${JSON.stringify(version)}, this release reads version ${HOOK_SPEC_VERSION} only`,
    );
  }
  const value = expandSelectors(wire, HOOK_SPEC_LIMITS.expandedBytes);
  if (value === undefined) {
    return failed("sharedSelectors", `stand for more than ${HOOK_SPEC_LIMITS.expandedBytes} bytes`);
  }
  validator ??= new Ajv({ allErrors: true, allowUnionTypes: true }).compile<HookSpec>(HOOK_SPEC_SCHEMA);
  if (!validator(value)) return { ok: false, errors: describeErrors(validator.errors ?? []) };
  const errors = value.hooks.flatMap((hook, index) => checkHook(hook, `hooks[${index}]`));
  return errors.length > 0 ? { ok: false, errors } : { ok: true, spec: value };
}

function failed(path: string, message: string): HookSpecResult {
  return { ok: false, errors: [{ path, message }] };
}

/** More help no one, and the search for the nearest alternative compares each with each. */
const MAX_ERRORS = 500;

/** Where alternatives exist, ajv reports all of them; only the nearest one, with the fewest errors, helps. */
function describeErrors(all: ErrorObject[]): HookSpecError[] {
  const errors = all.slice(0, MAX_ERRORS);
  const described = errors
    .filter((error) => error.keyword !== "anyOf" && isOfNearestAlternative(error, errors))
    .map((error) => ({ path: jsonPath(error), message: errorText(error) }));
  return [...new Map(described.map((error) => [`${error.path} ${error.message}`, error])).values()];
}

function isOfNearestAlternative(error: ErrorObject, errors: ErrorObject[]): boolean {
  const alternative = /^(.*\/anyOf\/)(\d+)\//.exec(error.schemaPath);
  const place = /^(\/hooks\/\d+\/selectors\/\d+\/(?:filters|actions)\/\d+)/.exec(error.instancePath)?.[1];
  if (!alternative || place === undefined) return true;
  const [, prefix = "", chosen = ""] = alternative;
  const counts = new Map<string, number>();
  for (const other of errors) {
    if (!other.instancePath.startsWith(place) || !other.schemaPath.startsWith(prefix)) continue;
    const branch = other.schemaPath.slice(prefix.length).split("/", 1)[0] ?? "";
    counts.set(branch, (counts.get(branch) ?? 0) + (other.keyword === "const" ? 100 : 1));
  }
  const nearest = [...counts].sort((a, b) => a[1] - b[1])[0]?.[0];
  return chosen === nearest;
}

function jsonPath(error: ErrorObject): string {
  const path = error.instancePath
    .split("/")
    .slice(1)
    .map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`))
    .join("")
    .replace(/^\./, "");
  const extra = error.params.additionalProperty ?? error.params.missingProperty;
  return extra === undefined ? path : path === "" ? extra : `${path}.${extra}`;
}

function errorText(error: ErrorObject): string {
  switch (error.keyword) {
    case "additionalProperties":
      return "is unknown";
    case "required":
      return "is missing";
    case "const":
      return `must be ${JSON.stringify(error.params.allowedValue)}`;
    case "enum":
      return `must be one of ${(error.params.allowedValues as unknown[]).join(", ")}`;
    default:
      return error.message ?? "is invalid";
  }
}

/** JSON with sorted keys: equal values give equal strings. */
export function encodeSorted(value: unknown): string {
  return JSON.stringify(sortKeys(value));
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sortKeys(member)]));
}
