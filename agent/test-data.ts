/** Hook specs for the agent's tests. */
import { HOOK_SPEC_VERSION, type HookDef, type HookSpec } from "../crds/hook-spec.ts";

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
