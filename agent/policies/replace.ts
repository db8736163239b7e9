/** Replaces the hooks of a policy: attaches all new ones before it detaches the old ones, or changes nothing. */
import type { HookDef } from "../../crds/hook-spec.ts";
import type { PolicyRef } from "../../crds/names.ts";
import { HandOver } from "../events/hand-over.ts";
import type { HookInfo } from "../events/hooks.ts";
import { newRunsFirst, postsFirst } from "../hooks/attach/order.ts";
import type { AttachedHook, HookStatus, Mode } from "../hooks/engine.ts";
import { diffHooks } from "./diff.ts";
import { judgeHooks, type Verdict } from "./outcome.ts";

/** The parts of the engine and of the event pipeline that a replacement uses. */
export interface HookDeps {
  engine: { attach(def: HookDef, mode: Mode): AttachedHook; waitForHits(): void };
  pipeline: {
    registerHook(id: number, info: HookInfo): void;
    retireHook(id: number, untilKtimeNs?: bigint, handsOver?: HandOver): void;
  };
  /** CLOCK_BOOTTIME, the clock of the records. */
  bootTimeNs(): bigint;
  /** Called when a hook has been detached and its counters are final. */
  detached(policy: PolicyRef, hook: AttachedHook): void;
}

/** The result of a replacement. */
export interface Replacement {
  verdict: Verdict;
  /** One status per wanted hook, in order. */
  statuses: HookStatus[];
  /** The hooks that run now: the old ones if the verdict is Failed. */
  running: AttachedHook[];
}

/**
 * Attaches the new hooks. If the policy can run with the result, lets them enforce and detaches the old ones; otherwise
 * detaches the new ones. Synchronous, so that no records are handled between attaching and registering a hook.
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
    hook: keep ?? deps.engine.attach(def, mode === "count" ? "count" : "monitor"),
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

/** Cuts the records over from the old hooks to the new ones; decision-hand-over.md has the timeline. */
function handOver(
  deps: HookDeps,
  policy: PolicyRef,
  fresh: readonly AttachedHook[],
  old: readonly AttachedHook[],
): void {
  const areBoth = fresh.length > 0 && old.length > 0;
  if (areBoth) deps.engine.waitForHits(); // from here on every hit runs the new hook
  const cutOver = old.length > 0 ? deps.bootTimeNs() : undefined;
  if (areBoth) deps.engine.waitForHits(); // the old hook has run for every hit that began before the cut-over
  const handOvers = pairUp(fresh, old);
  for (const hook of fresh) register(deps, policy, hook, cutOver, handOvers.get(hook));
  for (const hook of old) {
    deps.pipeline.retireHook(hook.id, cutOver, handOvers.get(hook));
    hook.detach();
    deps.detached(policy, hook);
  }
}

/** Pairs an old and a new hook on one function where the kernel runs the new one first; both get the same HandOver. */
function pairUp(fresh: readonly AttachedHook[], old: readonly AttachedHook[]): Map<AttachedHook, HandOver> {
  const handOvers = new Map<AttachedHook, HandOver>();
  const waiting = [...old];
  for (const after of fresh) {
    const index = waiting.findIndex(({ functionName }) => functionName === after.functionName);
    const [before] = index < 0 ? [] : waiting.splice(index, 1);
    if (!before || !newRunsFirst(after, before)) continue;
    const shared = new HandOver(postsFirst(after, before));
    handOvers.set(after, shared).set(before, shared);
  }
  return handOvers;
}

/** Detaches a hook and discards its records, because a policy that does not attach completely must not run. */
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

/** The status of a hook that attached and was detached again because another hook of the policy did not attach. */
function afterRollBack(status: HookStatus): HookStatus {
  if (status.state !== "Attached") return status;
  const { attach: _, ...rest } = status;
  return { ...rest, state: "Skipped", message: "attaches, but another hook of the policy does not" };
}

/** Detaches the hooks of a removed policy; the records that they have posted are still exported. */
export function detachHooks(deps: HookDeps, policy: PolicyRef, hooks: readonly AttachedHook[]): void {
  for (const hook of hooks) {
    hook.detach();
    deps.detached(policy, hook);
    deps.pipeline.retireHook(hook.id);
  }
}
