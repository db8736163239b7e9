/** Which processes a hook or a selector is about, in their parts of struct hook_config. Pure. */
import type { HookDef, WorkloadScope } from "../../../crds/hook-spec.ts";
import type { Resolution } from "./filters.ts";
import { ENUMERATORS as E } from "./layout.ts";

/** Whether the cgroup of the process matters to the hook. */
export function isScoped(def: HookDef): boolean {
  return [def, ...def.selectors].some(({ scope }) => scope !== undefined);
}

/** Writes a scope into its two members; nothing where all processes count. */
export function encodeScope(
  view: DataView,
  at: { scope: number; scope_flags: number },
  scope: WorkloadScope | undefined,
  resolution: Resolution,
): void {
  if (!scope) return;
  view.setUint8(at.scope_flags, E.SCOPE_LIMITED | (scope.host ? E.SCOPE_HOST : 0));
  view.setUint16(at.scope, resolution.scopeBit(scope), true);
}
