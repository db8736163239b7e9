/** What the compiler of policy/ returns, reduced to what the operator uses. Pure. */
import type { HookDef, HookSpec } from "../../crds/hook-spec.ts";
import { hookSpecConfigMapName } from "../../crds/names.ts";
import { decodeSpec, encodeSpec, type SpecData } from "../../crds/spec-config-map.ts";
import { compilePolicy } from "../../policy/compile.ts";

/** An error or a warning of the compiler about a field. */
export interface Remark {
  path: string;
  message: string;
}

/** What a hook is attached to, and the field of the policy that it comes from. */
export type HookCall = Pick<HookDef, "path" | "section" | "call">;

/** A hook spec in the encoding of its ConfigMap, with the parts of it that the operator looks at. */
export interface EncodedSpec extends Pick<HookSpec, "policy" | "nodeSelector"> {
  hookCount: number;
  data: SpecData;
}

/** A compiled policy, or everything that is wrong with it. */
export type Compiled =
  | { ok: true; spec: EncodedSpec; hash: string; calls: HookCall[]; warnings: readonly Remark[] }
  | { ok: false; errors: readonly Remark[]; moreErrors: number };

/** Compiles a policy object as the API server has it. */
export type Compile = (policy: unknown) => Promise<Compiled>;

/** Compiles and encodes; what it returns as ok can be written into a ConfigMap and read by agents. */
export function compileAndEncode(policy: unknown): Compiled {
  const compiled = compilePolicy(policy);
  if (!compiled.ok) return failed(compiled.errors);
  const { spec, hash, warnings } = compiled;
  const encoded = encodeSpec(spec);
  if (!encoded.ok) return failed([{ path: "spec", message: encoded.message }]);
  const decoded = decodeSpec(hookSpecConfigMapName(hash), encoded.data);
  if (!decoded.ok) {
    const message = `compiles to what no agent can read: ${decoded.problem}`;
    return failed([{ path: "spec", message }]);
  }
  const calls = spec.hooks.map(({ path, section, call }) => ({ path, section, call }));
  return { ok: true, spec: summarize(spec, encoded.data), hash, calls, warnings };
}

/** The parts of a spec that the operator looks at, with its encoding. */
export function summarize({ policy, nodeSelector, hooks }: HookSpec, data: SpecData): EncodedSpec {
  return { policy, ...(nodeSelector && { nodeSelector }), hookCount: hooks.length, data };
}

/** A large policy can have a mistake in each of its 40,000 values. */
function failed(errors: readonly Remark[]): Compiled {
  const kept = errors.slice(0, MAX_REMARKS);
  return { ok: false, errors: kept, moreErrors: errors.length - kept.length };
}

const MAX_REMARKS = 10;
const MAX_LENGTH = 4_000;

/** All remarks in one bounded line; `more` counts those that are left out already. */
export function joinRemarks(remarks: readonly Remark[], more = 0): string {
  const shown = remarks
    .slice(0, MAX_REMARKS)
    .map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  const rest = remarks.length - shown.length + more;
  const text = [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join("; ");
  return text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH - 1)}…`;
}
