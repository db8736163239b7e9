/** In which order the kernel runs two hooks on one function, and which of them posts a hit first. Pure. */
import type { AttachKind } from "../../../crds/conditions.ts";
import type { HookDef } from "../../../crds/hook-spec.ts";

/** What decides when the program of an attached hook runs and when it posts. */
export interface OrderedHook {
  readonly def: Pick<HookDef, "returnArg">;
  readonly status: { readonly attach?: AttachKind };
}

/**
 * Where a call meets each kind: breakpoint, then trampoline, then the trampoline's modifying programs. At the same stage
 * the kernel runs the newest program first. Tracepoints have no stage, as they run the oldest program first.
 */
const STAGES: Readonly<Record<AttachKind, number | undefined>> = {
  kprobe: 0,
  kretprobe: 0,
  "kprobe.multi": 0,
  fentry: 1,
  fexit: 1,
  fmod_ret: 2,
  lsm: 2,
  tp_btf: undefined,
  raw_tracepoint: undefined,
  tracepoint: undefined,
};

/** True if a call meets the hook that was attached later before it meets the earlier one. */
export function newRunsFirst(newer: OrderedHook, older: OrderedHook): boolean {
  const [newStage, oldStage] = [newer, older].map(({ status: { attach } }) => attach && STAGES[attach]);
  return newStage !== undefined && oldStage !== undefined && newStage <= oldStage;
}

/**
 * Which of two hooks posts a hit first, where the newer one runs first at entry. A hook that posts at return posts
 * after one that posts at entry, and a return passes kretprobes from the oldest to the newest.
 */
export function postsFirst(newer: OrderedHook, older: OrderedHook): "new" | "old" {
  if (!newer.def.returnArg) return "new";
  return newer.status.attach === "kretprobe" || !older.def.returnArg ? "old" : "new";
}
