/** Detaches hooks that no longer count, one after the other, while policies are attached: the kernel takes some 0.2 s for each. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type PolicyRef, policyKey } from "../../crds/names.ts";
import { errorText, type Logger } from "../../lib/logger.ts";
import type { AttachedHook } from "../hooks/engine.ts";

/** A hook of a policy that is there. */
export interface PolicyHook {
  policy: PolicyRef;
  hook: AttachedHook;
}

interface DeparturesDeps {
  /** Called when a hook has been detached and its counters are final, unless its policy is gone. */
  detached(policy: PolicyRef, hook: AttachedHook): void;
  logger: Pick<Logger, "warn">;
}

/** Hooks that are on their way out. They do nothing any more, but are attached. */
export class Departures {
  readonly #deps: DeparturesDeps;
  /** Those whose counters still belong to a policy. */
  readonly #counted = new Map<AttachedHook, PolicyRef>();
  /** By policy, when the last of its hooks is detached. */
  readonly #ends = new Map<string, Promise<void>>();
  #last = Promise.resolve();
  /** Resolved with the next hook. */
  #step = Promise.withResolvers<void>();
  #isStopped = false;

  constructor(deps: DeparturesDeps) {
    this.#deps = deps;
  }

  /** `isCounted`: the counters of the hooks are kept for their policy. */
  add(policy: PolicyRef, hooks: readonly AttachedHook[], isCounted: boolean): void {
    if (hooks.length === 0) return;
    for (const hook of hooks) {
      hook.setMode("off");
      if (isCounted) this.#counted.set(hook, policy);
    }
    const key = policyKey(policy);
    const end = this.#last.then(() => this.#detachEach(hooks));
    this.#last = end;
    this.#ends.set(key, end);
    void end.then(() => {
      if (this.#ends.get(key) === end) this.#ends.delete(key);
      this.#makeStep();
    });
  }

  #makeStep(): void {
    this.#step.resolve();
    this.#step = Promise.withResolvers<void>();
  }

  /** Detaches one hook per turn, each in one turn with what follows from it. */
  async #detachEach(hooks: readonly AttachedHook[]): Promise<void> {
    for (const hook of hooks) {
      if (this.#isStopped) return;
      await this.#detach(hook);
      this.#makeStep();
      await nextTurn();
    }
  }

  async #detach(hook: AttachedHook): Promise<void> {
    try {
      await hook.unlink();
      hook.detach();
    } catch (error) {
      this.#deps.logger.warn(`detach ${hook.functionName}: ${errorText(error)}`);
    }
    const policy = this.#counted.get(hook);
    this.#counted.delete(hook);
    if (policy) this.#deps.detached(policy, hook);
  }

  /** The hooks whose counters still change and belong to a policy. */
  hooks(): PolicyHook[] {
    return [...this.#counted].map(([hook, policy]) => ({ policy, hook }));
  }

  /** Whether a hook is on its way out. */
  get isBusy(): boolean {
    return this.#ends.size > 0;
  }

  /** Resolves when no hook of the policy is on its way out any more, or with the next hook once nobody waits for it. */
  async waitFor(policy: PolicyRef, isWanted: () => boolean): Promise<void> {
    while (this.#ends.has(policyKey(policy)) && isWanted()) await this.#step.promise;
  }

  /** The same for the hooks of all policies. */
  async waitForAll(isWanted = () => true): Promise<void> {
    while (this.isBusy && isWanted()) await this.#step.promise;
  }

  /** Drops the counters of a policy that is gone. */
  forget(policy: PolicyRef): void {
    const key = policyKey(policy);
    for (const [hook, ref] of this.#counted) if (policyKey(ref) === key) this.#counted.delete(hook);
  }

  /** Resolves when no hook is being detached; the others stay attached. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#last;
  }
}
