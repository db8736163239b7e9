/** Attaches and detaches hooks until they match what the sources want, one policy at a time. */
import type { HookSpec } from "../../crds/hook-spec.ts";
import type { PolicyRef } from "../../crds/names.ts";
import type { Logger } from "../../lib/logger.ts";
import type { AttachedHook, HookStatus } from "../hooks/engine.ts";
import { type Labels, selectorMatches } from "../pods/label-selector.ts";
import { Departures, type PolicyHook } from "./departures.ts";
import { isTransient, type PolicyOutcome, type Verdict } from "./outcome.ts";
import { endHooks, type HookDeps, replaceHooks } from "./replace.ts";
import type { DesiredPolicy, UnreadPolicy, WantedPolicy } from "./sources/source.ts";

/** What the reconciler needs of the rest of the agent. */
export interface ReconcilerDeps extends Omit<HookDeps, "departures"> {
  /** Called when a hook has been detached and its counters are final. */
  detached(policy: PolicyRef, hook: AttachedHook): void;
  /** Labels of this node; undefined when they are not known. */
  nodeLabels(): Labels | undefined;
  /** Called when a policy has been removed, so that its counters can be dropped. */
  policyGone(policy: PolicyRef): void;
  logger: Logger;
  nowMs?(): number;
}

/** Progress of a reconciliation, and whether it is still asked for. */
export interface Course {
  /** Once it is false, hooks that are being attached are detached again. */
  isWanted(): boolean;
  /** True once the agent ends: what is attached then goes with its engine, which takes less time. */
  isEnding(): boolean;
  /** Called after each hook. */
  onProgress(): void;
}

/** A policy that is being attached for longer is shown as Pending. Most are attached sooner, and cost one status write. */
export const SHOW_ATTACHING_MS = 10_000;

const TO_THE_END: Course = { isWanted: () => true, isEnding: () => false, onProgress: () => {} };

/** Thrown when the kernel lacked resources or was busy: the same spec may attach later. */
export class TransientAttachError extends Error {}

/** A policy that is wanted or running. */
interface Entry {
  outcome: PolicyOutcome;
  /** The last spec that attached. */
  running?: Running;
  /** The last spec that failed for good. It is tried again only after a different spec has been tried. */
  refused?: Attempt;
}

interface Attempt {
  hash: string;
  verdict: Verdict;
  statuses: HookStatus[];
}

interface Running extends Attempt {
  /** The mode of the spec, unless a client has changed it since. */
  mode: HookSpec["mode"];
  hooks: AttachedHook[];
}

/**
 * Level-triggered: reconcile() compares wanted and running hooks, and a second call in a row changes nothing. Calls must
 * not overlap; other work has its turn while one runs.
 */
export class Reconciler {
  readonly #deps: ReconcilerDeps & HookDeps;
  readonly #departures: Departures;
  readonly #nowMs: () => number;
  readonly #entries = new Map<string, Entry>();
  /** The policies that are being attached or wait for it. */
  readonly #attaching = new Map<string, { sinceMs: number; outcome: PolicyOutcome }>();

  constructor(deps: ReconcilerDeps) {
    this.#nowMs = deps.nowMs ?? (() => performance.now());
    this.#departures = new Departures(deps);
    this.#deps = { ...deps, departures: this.#departures };
  }

  /** Keys of all policies that the reconciler knows, those that are being attached for the first time included. */
  keys(): string[] {
    return [...new Set([...this.#entries.keys(), ...this.#attaching.keys()])];
  }

  /** Outcomes of all policies, ordered by key. */
  outcomes(): PolicyOutcome[] {
    return this.keys()
      .sort()
      .flatMap((key) => this.#outcomeOf(key) ?? []);
  }

  #outcomeOf(key: string): PolicyOutcome | undefined {
    return this.#isShownAttaching(key) ? this.#attaching.get(key)?.outcome : this.#entries.get(key)?.outcome;
  }

  #isShownAttaching(key: string): boolean {
    const { sinceMs = Number.POSITIVE_INFINITY } = this.#attaching.get(key) ?? {};
    return this.#nowMs() - sinceMs >= SHOW_ATTACHING_MS;
  }

  /** Says that a policy is going to be reconciled: if that takes long, its outcome is Pending until then. */
  announce(key: string, desired: DesiredPolicy): void {
    const { outcome, running } = this.#entries.get(key) ?? {};
    if (outcome?.specHash === desired.hash) return;
    const sinceMs = this.#attaching.get(key)?.sinceMs ?? this.#nowMs();
    this.#attaching.set(key, { sinceMs, outcome: makeOutcome(desired, running?.hash, ATTACHING, []) });
  }

  /** The hooks that are attached now, each with the policy it belongs to; those on their way out come last. */
  attachedHooks(): PolicyHook[] {
    const running = [...this.#entries.values()].flatMap(({ outcome, running }) =>
      (running?.hooks ?? []).map((hook) => ({ policy: outcome.ref, hook })),
    );
    return [...running, ...this.#departures.hooks()];
  }

  /**
   * Resolves with whether the outcome changed. Rejects with TransientAttachError, once the outcome is set, to ask for a
   * retry. If the policy is not wanted any more before all its hooks are attached, nothing changes.
   */
  async reconcile(
    key: string,
    desired: DesiredPolicy | undefined,
    course: Course = TO_THE_END,
  ): Promise<boolean> {
    if (desired) this.announce(key, desired);
    try {
      const changed = await this.#reconcile(key, desired, course);
      return changed || this.#isShownAttaching(key);
    } finally {
      this.#attaching.delete(key);
    }
  }

  async #reconcile(key: string, desired: DesiredPolicy | undefined, course: Course): Promise<boolean> {
    const before = this.#entries.get(key);
    if (!desired) return this.#remove(key, before);
    const entry = await this.#bringTo(desired, before, course);
    if (!entry) return false;
    this.#entries.set(key, entry);
    const changed = JSON.stringify(entry.outcome) !== JSON.stringify(before?.outcome);
    if (changed) this.#log(key, entry.outcome);
    if (entry.outcome.state === "Failed" && isTransient(entry.outcome.hooks)) {
      throw new TransientAttachError(`attach ${key}: ${entry.outcome.message}`);
    }
    return changed;
  }

  /** Resolves with undefined, and nothing changed, if it was given up. */
  async #bringTo(
    desired: DesiredPolicy,
    before: Entry | undefined,
    course: Course,
  ): Promise<Entry | undefined> {
    if (desired.isDisabled) return this.#skip(desired, before, DISABLED);
    if ("problem" in desired) {
      const verdict: Verdict = { state: "Failed", reason: "SpecUnusable", message: desired.problem };
      return this.#fail(desired, before, course, verdict);
    }
    const skipped = await this.#selectNode(desired, before);
    if (skipped) return skipped;
    return "spec" in desired
      ? this.#attach(desired, before, course)
      : this.#fail(desired, before, course, SPEC_UNREAD);
  }

  /** The entry of a policy whose spec cannot be attached: what ran goes on. */
  async #fail(
    desired: DesiredPolicy,
    before: Entry | undefined,
    course: Course,
    verdict: Verdict,
  ): Promise<Entry> {
    return failed(desired, before?.running ?? (await this.#fallBack(desired, course)), verdict, []);
  }

  /** The entry of a policy whose nodeSelector excludes this node, or may do so; undefined when it selects the node. */
  async #selectNode(
    desired: WantedPolicy | UnreadPolicy,
    before: Entry | undefined,
  ): Promise<Entry | undefined> {
    const selector = "spec" in desired ? desired.spec.nodeSelector : desired.nodeSelector;
    if (!selector) return undefined;
    const labels = this.#deps.nodeLabels();
    if (!labels) return failed(desired, before?.running, LABELS_UNKNOWN, []);
    if (selectorMatches(selector, labels)) return undefined;
    return this.#skip(desired, before, NOT_SELECTED);
  }

  #skip(desired: DesiredPolicy, before: Entry | undefined, verdict: Verdict): Entry {
    endHooks(this.#deps, desired.ref, before?.running?.hooks ?? [], true);
    return { outcome: makeOutcome(desired, undefined, verdict, []) };
  }

  async #attach(
    desired: WantedPolicy,
    before: Entry | undefined,
    course: Course,
  ): Promise<Entry | undefined> {
    const { running, refused } = before ?? {};
    if (running?.hash === desired.hash && running.mode === desired.spec.mode)
      return attached(desired, running);
    if (refused?.hash === desired.hash)
      return { ...failed(desired, running, refused.verdict, refused.statuses), refused };

    const result = await this.#replaceOrMakeRoom(desired, running, course);
    if (!result) return undefined;
    if (result.verdict.state !== "Failed") return attached(desired, result);
    const runs = running ?? (await this.#fallBack(desired, course));
    const entry = failed(desired, runs, result.verdict, result.statuses);
    return isTransient(result.statuses) ? entry : { ...entry, refused: result };
  }

  /** A hook on its way out still has its place among the scopes, lists and programs of which a node has so many. */
  async #replaceOrMakeRoom(
    desired: WantedPolicy,
    running: Running | undefined,
    course: Course,
  ): Promise<Running | undefined> {
    const isCrowded = this.#departures.isBusy;
    const result = await this.#replace(desired.ref, desired, running, course);
    if (!isCrowded || result?.verdict.state !== "Failed") return result;
    await this.#departures.waitForAll(course.isWanted);
    return this.#replace(desired.ref, desired, running, course);
  }

  /** Attaches the newest earlier spec that works. Needed after a restart, when no hook of the policy runs yet. */
  async #fallBack(desired: DesiredPolicy, course: Course): Promise<Running | undefined> {
    for (const fallback of desired.fallbacks ?? []) {
      const result = await this.#replace(desired.ref, fallback, undefined, course);
      if (result?.verdict.state !== "Failed") return result;
    }
    return undefined;
  }

  /** Resolves with undefined if it was given up. */
  async #replace(
    policy: PolicyRef,
    wanted: { hash: string; spec: HookSpec },
    running: Running | undefined,
    course: Course,
  ): Promise<Running | undefined> {
    const { hooks: defs, mode = "enforce" } = wanted.spec;
    const old = running?.hooks ?? [];
    // A function takes a limited number of programs: an edit waits for the hooks that the one before it has replaced.
    await this.#departures.waitFor(policy, course.isWanted);
    const result = await replaceHooks(this.#deps, { ...course, policy, wanted: defs, old, mode });
    if (!result) return undefined;
    const { verdict, statuses, running: hooks } = result;
    return { hash: wanted.hash, mode: wanted.spec.mode, verdict, statuses, hooks };
  }

  /** Resolves when every hook that has been ended is detached. */
  departed(): Promise<void> {
    return this.#departures.waitForAll();
  }

  /** Ends every hook when the agent stops. They go with their engine. */
  async close(): Promise<void> {
    for (const { hook } of this.attachedHooks()) hook.setMode("off");
    await this.#deps.engine.waitForHits();
    await this.#departures.stop();
    this.#entries.clear();
  }

  #remove(key: string, before: Entry | undefined): boolean {
    if (!before) return false;
    const { ref } = before.outcome;
    endHooks(this.#deps, ref, before.running?.hooks ?? [], false);
    this.#entries.delete(key);
    this.#departures.forget(ref);
    this.#deps.policyGone(ref);
    this.#deps.logger.info(`${key}: removed`);
    return true;
  }

  #log(key: string, { state, reason, message, hooks }: PolicyOutcome): void {
    const kinds = Map.groupBy(hooks, (hook) => hook.attach ?? hook.state);
    const summary = [...kinds].map(([kind, { length }]) => `${kind}×${length}`).join(" ");
    const text = [`${key}: ${state}`, summary && `(${summary})`, reason, message].filter(Boolean).join(" ");
    if (state === "Failed") this.#deps.logger.error(text);
    else this.#deps.logger.info(text);
  }
}

const NOT_SELECTED: Verdict = {
  state: "Skipped",
  reason: "NodeNotSelected",
  message: "the labels of this node do not match spec.nodeSelector",
};

const ATTACHING: Verdict = {
  state: "Pending",
  reason: "Attaching",
  message: "its hooks are being attached",
};

const DISABLED: Verdict = {
  state: "Skipped",
  reason: "Disabled",
  message: "disabled on this node by a client of the agent's API",
};

const LABELS_UNKNOWN: Verdict = {
  state: "Pending",
  reason: "NodeLabelsUnknown",
  message: "the policy has a nodeSelector and the labels of this node are not known",
};

const SPEC_UNREAD: Verdict = {
  state: "Pending",
  reason: "SpecUnread",
  message: "the node is selected, and its agent has not read the hook spec yet",
};

function attached(desired: WantedPolicy, running: Running): Entry {
  return { running, outcome: makeOutcome(desired, running.hash, running.verdict, running.statuses) };
}

/** The entry of a policy that did not attach; the hooks that ran before keep running. */
function failed(
  desired: DesiredPolicy,
  running: Running | undefined,
  verdict: Verdict,
  hooks: HookStatus[],
): Entry {
  return { ...(running && { running }), outcome: makeOutcome(desired, running?.hash, verdict, hooks) };
}

/** For a policy of two sources, the outcome has the spec of the second one, because its status is read there. */
function makeOutcome(
  desired: DesiredPolicy,
  attachedHash: string | undefined,
  verdict: Verdict,
  hooks: HookStatus[],
): PolicyOutcome {
  const rival = "rival" in desired && desired.rival?.hash !== desired.hash ? desired.rival : undefined;
  return {
    ref: desired.ref,
    specHash: rival?.hash ?? desired.hash,
    ...(attachedHash !== undefined && { attachedHash }),
    ...(rival ? duplicate(desired.origin, rival.origin) : verdict),
    hooks,
  };
}

function duplicate(running: string, other: string): Verdict {
  const message = `${other} and ${running} give the same policy; the one of ${running} is used`;
  return { state: "Failed", reason: "DuplicatePolicy", message };
}
