/** Attaches and detaches hooks until they match what the sources want, one policy at a time. */
import type { HookSpec } from "../../crds/hook-spec.ts";
import type { PolicyRef } from "../../crds/names.ts";
import type { Logger } from "../../lib/logger.ts";
import type { AttachedHook, HookStatus } from "../hooks/engine.ts";
import { type Labels, selectorMatches } from "../pods/label-selector.ts";
import { isTransient, type PolicyOutcome, type Verdict } from "./outcome.ts";
import { detachHooks, type HookDeps, replaceHooks } from "./replace.ts";
import type { DesiredPolicy, UnreadPolicy, WantedPolicy } from "./sources/source.ts";

/** What the reconciler needs of the rest of the agent. */
export interface ReconcilerDeps extends HookDeps {
  /** Labels of this node; undefined when they are not known. */
  nodeLabels(): Labels | undefined;
  /** Called when a policy has been removed, so that its counters can be dropped. */
  policyGone(policy: PolicyRef): void;
  logger: Logger;
}

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

/** Level-triggered: reconcile() compares wanted and running hooks, and a second call in a row changes nothing. */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #entries = new Map<string, Entry>();

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** Keys of all policies that the reconciler knows. */
  keys(): string[] {
    return [...this.#entries.keys()];
  }

  /** Outcomes of all policies, ordered by key. */
  outcomes(): PolicyOutcome[] {
    return this.keys()
      .sort()
      .flatMap((key) => this.#entries.get(key)?.outcome ?? []);
  }

  /** The hooks that are attached now, each with the policy it belongs to. */
  attachedHooks(): { policy: PolicyRef; hook: AttachedHook }[] {
    return [...this.#entries.values()].flatMap(({ outcome, running }) =>
      (running?.hooks ?? []).map((hook) => ({ policy: outcome.ref, hook })),
    );
  }

  /** Returns whether the outcome changed. Throws TransientAttachError, once the outcome is set, to ask for a retry. */
  reconcile(key: string, desired: DesiredPolicy | undefined): boolean {
    const before = this.#entries.get(key);
    if (!desired) return this.#remove(key, before);
    const entry = this.#bringTo(desired, before);
    this.#entries.set(key, entry);
    const changed = JSON.stringify(entry.outcome) !== JSON.stringify(before?.outcome);
    if (changed) this.#log(key, entry.outcome);
    if (entry.outcome.state === "Failed" && isTransient(entry.outcome.hooks)) {
      throw new TransientAttachError(`attach ${key}: ${entry.outcome.message}`);
    }
    return changed;
  }

  #bringTo(desired: DesiredPolicy, before: Entry | undefined): Entry {
    if (desired.isDisabled) return this.#skip(desired, before, DISABLED);
    if ("problem" in desired) {
      const verdict: Verdict = { state: "Failed", reason: "SpecUnusable", message: desired.problem };
      return failed(desired, before?.running ?? this.#fallBack(desired), verdict, []);
    }
    const skipped = this.#selectNode(desired, before);
    if (skipped) return skipped;
    return "spec" in desired
      ? this.#attach(desired, before)
      : failed(desired, before?.running ?? this.#fallBack(desired), SPEC_UNREAD, []);
  }

  /** The entry of a policy whose nodeSelector excludes this node, or may do so; undefined when it selects the node. */
  #selectNode(desired: WantedPolicy | UnreadPolicy, before: Entry | undefined): Entry | undefined {
    const selector = "spec" in desired ? desired.spec.nodeSelector : desired.nodeSelector;
    if (!selector) return undefined;
    const labels = this.#deps.nodeLabels();
    if (!labels) return failed(desired, before?.running, LABELS_UNKNOWN, []);
    if (selectorMatches(selector, labels)) return undefined;
    return this.#skip(desired, before, NOT_SELECTED);
  }

  #skip(desired: DesiredPolicy, before: Entry | undefined, verdict: Verdict): Entry {
    detachHooks(this.#deps, desired.ref, before?.running?.hooks ?? []);
    return { outcome: makeOutcome(desired, undefined, verdict, []) };
  }

  #attach(desired: WantedPolicy, before: Entry | undefined): Entry {
    const { running, refused } = before ?? {};
    if (running?.hash === desired.hash && running.mode === desired.spec.mode)
      return attached(desired, running);
    if (refused?.hash === desired.hash)
      return { ...failed(desired, running, refused.verdict, refused.statuses), refused };

    const result = this.#replace(desired.ref, desired, running);
    if (result.verdict.state !== "Failed") return attached(desired, result);
    const entry = failed(desired, running ?? this.#fallBack(desired), result.verdict, result.statuses);
    return isTransient(result.statuses) ? entry : { ...entry, refused: result };
  }

  /** Attaches the newest earlier spec that works. Needed after a restart, when no hook of the policy runs yet. */
  #fallBack(desired: DesiredPolicy): Running | undefined {
    for (const fallback of desired.fallbacks ?? []) {
      const result = this.#replace(desired.ref, fallback, undefined);
      if (result.verdict.state !== "Failed") return result;
    }
    return undefined;
  }

  #replace(ref: PolicyRef, wanted: { hash: string; spec: HookSpec }, running: Running | undefined): Running {
    const result = replaceHooks(this.#deps, ref, wanted.spec.hooks, running?.hooks ?? [], wanted.spec.mode);
    const { verdict, statuses, running: hooks } = result;
    return { hash: wanted.hash, mode: wanted.spec.mode, verdict, statuses, hooks };
  }

  /** Detaches every hook when the agent stops. */
  close(): void {
    for (const { outcome, running } of this.#entries.values()) {
      detachHooks(this.#deps, outcome.ref, running?.hooks ?? []);
    }
    this.#entries.clear();
  }

  #remove(key: string, before: Entry | undefined): boolean {
    if (!before) return false;
    detachHooks(this.#deps, before.outcome.ref, before.running?.hooks ?? []);
    this.#entries.delete(key);
    this.#deps.policyGone(before.outcome.ref);
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
