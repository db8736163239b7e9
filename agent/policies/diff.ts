/** Compares the wanted hooks of a policy with the running ones. Pure. */
import type { HookDef } from "../../crds/hook-spec.ts";
import { sha256Hex } from "../../crds/names.ts";

/** The steps from the running hooks to the wanted ones. */
export interface HookDiff<H> {
  /** Every wanted hook, in order. `keep` is the running hook with the same content; if undefined, attach a new one. */
  wanted: { def: HookDef; keep: H | undefined }[];
  /** Running hooks that are no longer wanted. */
  detach: H[];
}

/** Pairs wanted and running hooks by content, so a hook that only moved within its policy is kept. */
export function diffHooks<H extends { readonly def: HookDef }>(
  wanted: readonly HookDef[],
  running: readonly H[],
): HookDiff<H> {
  const spare = Map.groupBy(running, (hook) => hookHash(hook.def));
  return {
    wanted: wanted.map((def) => ({ def, keep: spare.get(hookHash(def))?.shift() })),
    detach: [...spare.values()].flat(),
  };
}

/** Content hash of a definition without its path in the policy. */
export function hookHash(def: HookDef): string {
  const { path: _, ...content } = def;
  return sha256Hex(JSON.stringify(content, sortKeys));
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
