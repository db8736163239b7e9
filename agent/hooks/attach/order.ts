/** In which order the kernel runs two hooks on one function, and which of them posts a hit first. Pure. */
import type { AttachKind } from "../../../crds/conditions.ts";
import type { HookDef } from "../../../crds/hook-spec.ts";

/** The part of a hook that decides when its program runs and when it posts an event. */
export interface OrderedHook {
  readonly def: Pick<HookDef, "returnArg">;
  readonly status: { readonly attach?: AttachKind };
}

/**
 * The stage of a call at which the kernel runs each kind: first the breakpoint, then the trampoline, then the modifying
 * programs of the trampoline. Within a stage the kernel runs the newest program first. Tracepoints have no stage here,
 * because they run the oldest program first.
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

/** True if the kernel runs the hook that was attached later before the earlier one. */
export function newRunsFirst(newer: OrderedHook, older: OrderedHook): boolean {
  const [newStage, oldStage] = [newer, older].map(({ status: { attach } }) => attach && STAGES[attach]);
  return newStage !== undefined && oldStage !== undefined && newStage <= oldStage;
}

/**
 * Decides which of two hooks posts its event first, where the newer one runs first at entry. A hook that posts at
 * return posts after one that posts at entry. At a return the kernel runs kretprobes from the oldest to the newest.
 */
export function postsFirst(newer: OrderedHook, older: OrderedHook): "new" | "old" {
  if (!newer.def.returnArg) return "new";
  return newer.status.attach === "kretprobe" || !older.def.returnArg ? "old" : "new";
}
