/** Puts one policy's hooks in the place of others: new before old, all or nothing. */
import type { AttachKind } from "../../crds/conditions.ts";
import type { HookDef } from "../../crds/hook-spec.ts";
import type { PolicyRef } from "../../crds/names.ts";
import { HandOver } from "../events/hand-over.ts";
import type { HookInfo } from "../events/hooks.ts";
import type { AttachedHook, HookStatus, Mode } from "../hooks/engine.ts";
import { diffHooks } from "./diff.ts";
import { judgeHooks, type Verdict } from "./outcome.ts";

/** What a replacement needs of the engine and the event pipeline. */
export interface HookDeps {
  engine: { attach(def: HookDef, mode: Mode): AttachedHook; waitForHits(): void };
  pipeline: {
    registerHook(id: number, info: HookInfo): void;
    retireHook(id: number, untilKtimeNs?: bigint, handsOver?: HandOver): void;
  };
  /** CLOCK_BOOTTIME, the clock of the records. */
  bootTimeNs(): bigint;
  /** A hook that ran is detached: its counters are final. */
  detached(policy: PolicyRef, hook: AttachedHook): void;
}

/** What runs afterwards, and how it went. */
export interface Replacement {
  verdict: Verdict;
  /** Of every wanted hook, in order. */
  statuses: HookStatus[];
  /** The hooks that run now: the old ones if the verdict is Failed. */
  running: AttachedHook[];
}

/**
 * Attaches what is new, and only if the policy may run with the result lets it enforce and detaches what is old.
 * Synchronous: no batch of records is handled between attaching a hook and telling the pipeline about it.
 */
export function replaceHooks(
  deps: HookDeps,
  policy: PolicyRef,
  wanted: readonly HookDef[],
  old: readonly AttachedHook[],
  mode: Mode = "enforce",
): Replacement {
  const diff = diffHooks(wanted, old);
  const hooks = diff.wanted.map(({ def, keep }) => ({
    def,
    hook: keep ?? deps.engine.attach(def, "monitor"),
    fresh: !keep,
  }));
  const statuses = hooks.map(({ def, hook }) => ({ ...hook.status, path: def.path }));
  const verdict = judgeHooks(wanted, statuses);
  const attached = hooks.filter(({ hook }) => hook.status.state === "Attached");
  const fresh = attached.filter((hook) => hook.fresh).map(({ hook }) => hook);
  if (verdict.state === "Failed") {
    for (const hook of fresh) rollBack(deps, policy, hook);
    return { verdict, statuses: statuses.map(afterRollBack), running: [...old] };
  }
  for (const { hook } of attached) hook.setMode(mode);
  handOver(deps, policy, fresh, diff.detach);
  return { verdict, statuses, running: attached.map(({ hook }) => hook) };
}

/**
 * One instant parts the records of old and new hooks, so that both may run for a moment and each hit is told once. It
 * lies after the last attach and before the first detach: at any time one of the two was there to see the hit. A hit can
 * take long to pass both, as its CPU may be a virtual one that does not run. So before the instant all that have not
 * met the new hook are waited for, as the old one could look at the clock after it; and behind the instant all that the
 * new one has seen before it, as they must still meet the old.
 */
function handOver(
  deps: HookDeps,
  policy: PolicyRef,
  fresh: readonly AttachedHook[],
  old: readonly AttachedHook[],
): void {
  const areBoth = fresh.length > 0 && old.length > 0;
  if (areBoth) deps.engine.waitForHits();
  const instant = old.length > 0 ? deps.bootTimeNs() : undefined;
  if (areBoth) deps.engine.waitForHits();
  const handOvers = pairUp(fresh, old);
  for (const hook of fresh) register(deps, policy, hook, instant, handOvers.get(hook));
  for (const hook of old) {
    deps.pipeline.retireHook(hook.id, instant, handOvers.get(hook));
    hook.detach();
    deps.detached(policy, hook);
  }
}

/** Both hooks of each pair on one function, by hook, of which the kernel runs the new one first. */
function pairUp(fresh: readonly AttachedHook[], old: readonly AttachedHook[]): Map<AttachedHook, HandOver> {
  const handOvers = new Map<AttachedHook, HandOver>();
  const waiting = [...old];
  for (const after of fresh) {
    const index = waiting.findIndex(({ functionName }) => functionName === after.functionName);
    const [before] = index < 0 ? [] : waiting.splice(index, 1);
    if (!before || !runsBefore(after, before)) continue;
    const shared = new HandOver(postsFirst(after, before));
    handOvers.set(after, shared).set(before, shared);
  }
  return handOvers;
}

/** In which order a call passes them; of two of the same place the kernel runs the newest first. */
const PLACES: Readonly<Record<AttachKind, number | undefined>> = {
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

/** At a tracepoint the oldest runs first: a hit in flight may be told by both hooks then, never by none. */
function runsBefore(after: AttachedHook, before: AttachedHook): boolean {
  const [newPlace, oldPlace] = [after, before].map(({ status: { attach } }) => attach && PLACES[attach]);
  return newPlace !== undefined && oldPlace !== undefined && newPlace <= oldPlace;
}

/** Returns come after entries, and a return passes kretprobes from the oldest to the newest. */
function postsFirst(after: AttachedHook, before: AttachedHook): "new" | "old" {
  if (!after.def.returnArg) return "new";
  return after.status.attach === "kretprobe" || !before.def.returnArg ? "old" : "new";
}

/** Nothing that the hook has seen is told: a policy that does not attach completely does not run at all. */
function rollBack(deps: HookDeps, policy: PolicyRef, hook: AttachedHook): void {
  hook.detach();
  register(deps, policy, hook, deps.bootTimeNs());
  deps.pipeline.retireHook(hook.id);
}

function register(
  deps: HookDeps,
  policy: PolicyRef,
  hook: AttachedHook,
  fromKtimeNs: bigint | undefined,
  takesOver?: HandOver,
): void {
  deps.pipeline.registerHook(hook.id, {
    policy,
    def: hook.resolved,
    functionName: hook.functionName,
    ...(fromKtimeNs !== undefined && { fromKtimeNs }),
    takesOver,
  });
}

/** The hooks that would attach are not attached either. */
function afterRollBack(status: HookStatus): HookStatus {
  if (status.state !== "Attached") return status;
  const { attach: _, ...rest } = status;
  return { ...rest, state: "Skipped", message: "attaches, but another hook of the policy does not" };
}

/** Detaches hooks of a policy that is gone; what they have posted until now is still told. */
export function detachHooks(deps: HookDeps, policy: PolicyRef, hooks: readonly AttachedHook[]): void {
  for (const hook of hooks) {
    hook.detach();
    deps.detached(policy, hook);
    deps.pipeline.retireHook(hook.id);
  }
}
