/** Replaces the hooks of a policy: attaches all new ones before it detaches the old ones, or changes nothing. */
import type { HookDef } from "../../crds/hook-spec.ts";
import type { PolicyRef } from "../../crds/names.ts";
import { HandOver } from "../events/hand-over.ts";
import type { HookInfo } from "../events/hooks.ts";
import { newRunsFirst, postsFirst } from "../hooks/attach/order.ts";
import type { AttachedHook, HookStatus, LoadedHook, Mode } from "../hooks/engine.ts";
import type { Departures } from "./departures.ts";
import { diffHooks } from "./diff.ts";
import { judgeHooks, type Verdict } from "./outcome.ts";

/** The parts of the engine and of the event pipeline that a replacement uses. */
export interface HookDeps {
  engine: {
    /** Records of the hook may be read from the call of `onLoaded` on, also if it does not get attached in the end. */
    attachInBackground(def: HookDef, mode: Mode, onLoaded: (hook: LoadedHook) => void): Promise<AttachedHook>;
    waitForHits(): Promise<void>;
  };
  pipeline: {
    registerHook(id: number, info: HookInfo): void;
    retireHook(id: number, untilKtimeNs?: bigint, handsOver?: HandOver): void;
  };
  /** CLOCK_BOOTTIME, the clock of the records. */
  bootTimeNs(): bigint;
  /** Where hooks go to be detached. */
  departures: Pick<Departures, "add">;
}

/** What replaces the hooks of a policy, and how. */
export interface HookChange {
  policy: PolicyRef;
  wanted: readonly HookDef[];
  old: readonly AttachedHook[];
  mode: Mode;
  /** Asked before each hook; once it is false, the replacement is given up. */
  isWanted(): boolean;
  /** True once the agent ends: what is attached then goes with its engine. */
  isEnding(): boolean;
  /** Called after each hook. */
  onProgress(): void;
}

/** The result of a replacement. */
export interface Replacement {
  verdict: Verdict;
  /** One status per wanted hook, in order. */
  statuses: HookStatus[];
  /** The hooks that run now: the old ones if the verdict is Failed. */
  running: AttachedHook[];
}

/** A hook of the wanted spec; `fresh` if it has been attached for it. */
interface WantedHook {
  def: HookDef;
  hook: AttachedHook;
  fresh: boolean;
}

/** The start of a hook whose records do not count yet. */
const NOT_YET = 0xffff_ffff_ffff_ffffn;

/**
 * Attaches the new hooks. If the policy can run with the result, lets them enforce and ends the old ones; otherwise
 * ends the new ones. Other work has its turn between two hooks, so the policy begins at one instant, when all of them
 * are attached. Resolves with undefined, and nothing changed, if it was given up.
 */
export async function replaceHooks(deps: HookDeps, change: HookChange): Promise<Replacement | undefined> {
  const { policy, wanted, old, mode } = change;
  const diff = diffHooks(wanted, old);
  const hooks = await attachWanted(deps, change, diff.wanted);
  const fresh = hooks.filter(({ hook, fresh }) => fresh && isAttached(hook)).map(({ hook }) => hook);
  if (hooks.length < wanted.length) {
    if (!change.isEnding()) endHooks(deps, policy, fresh, false);
    return undefined;
  }
  const statuses = hooks.map(({ def, hook }) => ({ ...hook.status, path: def.path }));
  const verdict = judgeHooks(wanted, statuses);
  if (verdict.state === "Failed") {
    endHooks(deps, policy, fresh, false);
    return { verdict, statuses: statuses.map(afterRollBack), running: [...old] };
  }
  const running = hooks.map(({ hook }) => hook).filter(isAttached);
  const enable = () => {
    for (const hook of running) hook.setMode(mode);
  };
  await handOver(deps, policy, { fresh, old: diff.detach, enable });
  return { verdict, statuses, running };
}

/** Keeps or attaches one hook after the other; ends early if the change is not wanted any more. */
async function attachWanted(
  deps: HookDeps,
  change: HookChange,
  wanted: readonly { def: HookDef; keep: AttachedHook | undefined }[],
): Promise<WantedHook[]> {
  const hooks: WantedHook[] = [];
  for (const { def, keep } of wanted) {
    if (!change.isWanted()) break;
    hooks.push({ def, hook: keep ?? (await attachFresh(deps, change, def)), fresh: !keep });
    change.onProgress();
  }
  return hooks;
}

/** The pipeline knows the hook before any record of it is read, and leaves its records out until the hand-over. */
async function attachFresh(
  { engine, pipeline }: HookDeps,
  { policy, mode }: HookChange,
  def: HookDef,
): Promise<AttachedHook> {
  const onLoaded = (loaded: LoadedHook) => register(pipeline, policy, loaded, NOT_YET);
  const hook = await engine.attachInBackground(def, mode === "count" ? "count" : "monitor", onLoaded);
  if (!isAttached(hook)) pipeline.retireHook(hook.id);
  return hook;
}

function isAttached({ status }: AttachedHook): boolean {
  return status.state === "Attached";
}

/** Cuts the records over from the old hooks to the new ones; decision-hand-over.md has the timeline. */
async function handOver(
  deps: HookDeps,
  policy: PolicyRef,
  hooks: { fresh: readonly AttachedHook[]; old: readonly AttachedHook[]; enable(): void },
): Promise<void> {
  const { fresh, old, enable } = hooks;
  const areBoth = fresh.length > 0 && old.length > 0;
  const handOvers = pairUp(fresh, old);
  for (const hook of fresh) register(deps.pipeline, policy, hook, NOT_YET, handOvers.get(hook));
  if (areBoth) {
    enable();
    await deps.engine.waitForHits(); // from here on every hit runs the new hook
  }
  const cutOver = deps.bootTimeNs();
  for (const hook of fresh) register(deps.pipeline, policy, hook, cutOver, handOvers.get(hook));
  for (const hook of old) deps.pipeline.retireHook(hook.id, cutOver, handOvers.get(hook));
  if (areBoth)
    await deps.engine.waitForHits(); // the old hook has run for every hit that began before the cut-over
  else enable(); // what a hook without a predecessor enforces is also reported
  deps.departures.add(policy, old, true);
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

function register(
  pipeline: HookDeps["pipeline"],
  policy: PolicyRef,
  hook: LoadedHook,
  fromKtimeNs: bigint,
  takesOver?: HandOver,
): void {
  pipeline.registerHook(hook.id, {
    policy,
    def: hook.resolved,
    functionName: hook.functionName,
    fromKtimeNs,
    takesOver,
  });
}

/** The status of a hook that attached and was detached again because another hook of the policy did not attach. */
function afterRollBack(status: HookStatus): HookStatus {
  if (status.state !== "Attached") return status;
  const { attach: _, ...rest } = status;
  return { ...rest, state: "Skipped", message: "attaches, but another hook of the policy does not" };
}

/**
 * Ends the hooks of a policy that must not run, or runs no more; the records that they have posted are still exported if
 * they count. `isCounted`: so are their counters.
 */
export function endHooks(
  { departures, pipeline }: HookDeps,
  policy: PolicyRef,
  hooks: readonly AttachedHook[],
  isCounted: boolean,
): void {
  departures.add(policy, hooks, isCounted);
  for (const hook of hooks) pipeline.retireHook(hook.id);
}
