/** Hook specs for the agent's tests. */

import { HOOK_SPEC_VERSION, type HookDef, type HookSpec } from "../../../crds/hook-spec.ts";
import { NO_STATS } from "../../hooks/attach/hook-stats.ts";
import type { ActionStats, AttachedHook, HookStats } from "../../hooks/engine.ts";

/** A hook on a system call that reads one integer and has no selector. */
export function makeHookDef(call: string, position: number, changes: Partial<HookDef> = {}): HookDef {
  return {
    path: `spec.kprobes[${position}]`,
    section: "kprobes",
    call,
    syscall: true,
    ignoreCallNotFound: false,
    args: [{ index: 0, type: "int" }],
    selectors: [],
    ...changes,
  };
}

/** A spec of a cluster-scoped policy with one hook per call. */
export function makeHookSpec(name: string, calls: string[], changes: Partial<HookSpec> = {}): HookSpec {
  return {
    version: HOOK_SPEC_VERSION,
    policy: { kind: "TracingPolicy", name },
    hooks: calls.map((call, position) => makeHookDef(call, position)),
    ...changes,
  };
}

/** No actions at all. */
export const NO_ACTIONS: ActionStats = {
  post: 0,
  nopost: 0,
  signal: 0,
  monitor_signal: 0,
  override: 0,
  monitor_override: 0,
  count: 0,
};

/** A hook as the engine returns it, attached by fentry, that counts nothing by itself. */
export function makeAttachedHook(
  call: string,
  options: { id?: number; stats?: Partial<HookStats>; actions?: ActionStats[] } = {},
): AttachedHook {
  const def = makeHookDef(call, 0);
  const stats = { ...NO_STATS, ...options.stats };
  return {
    id: options.id ?? 1,
    def,
    status: { path: def.path, call, state: "Attached", attach: "fentry", function: `__x64_${call}` },
    functionName: `__x64_${call}`,
    resolved: def,
    stats: () => stats,
    actions: () => options.actions ?? [],
    counts: () => ({ stats, actions: options.actions ?? [] }),
    setMode: () => {},
    memoryBytes: () => 4096,
    attachMs: 1_500,
    unlink: async () => {},
    detach: () => {},
  };
}
