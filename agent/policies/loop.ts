/** Runs the reconciler when a source or the node's labels change, and to retry. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { BackoffOptions } from "../../lib/backoff.ts";
import type { Logger } from "../../lib/logger.ts";
import { WorkQueue } from "../../lib/work-queue.ts";
import { type Course, type Reconciler, SHOW_ATTACHING_MS } from "./reconcile.ts";
import { type DesiredPolicy, mergeSources, type SpecSource } from "./sources/source.ts";

/** Collaborators of the loop. */
export interface PolicyLoopDeps {
  sources: readonly SpecSource[];
  reconciler: Reconciler;
  logger: Logger;
  /** Called when a policy's outcome may have changed. */
  onOutcome(): void;
  /** Called after each hook. */
  onProgress?(): void;
  /** Called after each attempt to reconcile a policy, successful or not. */
  onTried?(key: string): void;
  backoff?: BackoffOptions;
  nowMs?(): number;
}

/**
 * A hook takes milliseconds, and a large one some seconds. On a node without CPU, under emulation, minutes have been
 * seen; a load that takes longer than this does not end.
 */
const STALLED_MS = 15 * 60_000;

const RETRY: BackoffOptions = { initialMs: 500, maxMs: 60_000 };

/** Reconciles one policy after the other. Retries with backoff if a policy failed because the kernel was busy. */
export class PolicyLoop {
  readonly #deps: PolicyLoopDeps;
  readonly #nowMs: () => number;
  readonly #queue: WorkQueue;
  readonly #initial = Promise.withResolvers<void>();
  /** Keys of the first complete set that have not been tried yet; undefined before there is one. */
  #untried: Set<string> | undefined;
  #desired: ReadonlyMap<string, DesiredPolicy> | undefined;
  #isStopping = false;
  /** When the policy that is being attached made its last step; undefined while none is. */
  #progressMs: number | undefined;

  constructor(deps: PolicyLoopDeps) {
    this.#nowMs = deps.nowMs ?? (() => performance.now());
    this.#deps = deps;
    this.#queue = new WorkQueue({
      name: "attach",
      logger: deps.logger,
      backoff: deps.backoff ?? RETRY,
    });
    for (const source of deps.sources) source.onChange(() => this.trigger());
  }

  /** Resolves when every policy of the first complete set has been tried once. */
  get initialSetTried(): Promise<void> {
    return this.#initial.promise;
  }

  /** Which sources have not been read yet; undefined once all have. */
  get unreadSources(): string | undefined {
    if (this.#untried) return undefined;
    const waiting = this.#deps.sources.filter((source) => source.desired() === undefined);
    return `not read yet: ${waiting.map((source) => source.name).join(", ")}`;
  }

  /** Why the first complete set has not been tried yet; undefined when it has. */
  get problem(): string | undefined {
    if (!this.#untried) return this.unreadSources;
    return this.#untried.size === 0 ? undefined : `not attached yet: ${[...this.#untried].join(", ")}`;
  }

  /** That a hook is being attached without end, for /healthz; undefined as long as there is progress, however slow. */
  get stall(): string | undefined {
    const sinceMs = this.#nowMs() - (this.#progressMs ?? Number.POSITIVE_INFINITY);
    if (sinceMs < STALLED_MS) return undefined;
    return `a hook has been in the kernel's hands for ${Math.round(sinceMs / 60_000)} minutes`;
  }

  start(): void {
    this.#queue.start((key) => this.#work(key));
    this.trigger();
  }

  /** Reconciles all policies; does nothing for those that have not changed. */
  trigger(): void {
    const desired = mergeSources(this.#deps.sources);
    if (!desired || this.#isStopping) return;
    this.#desired = desired;
    this.#untried ??= new Set(desired.keys());
    for (const [key, policy] of desired) this.#deps.reconciler.announce(key, policy);
    for (const key of new Set([...desired.keys(), ...this.#deps.reconciler.keys()])) this.#queue.add(key);
    this.#settle();
  }

  /** Stops the loop: gives up what is being attached. Once it resolves, no hook is attached or detached any more. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const source of this.#deps.sources) source.close();
    await this.#queue.stop();
  }

  async #work(key: string): Promise<undefined> {
    const { reconciler, onOutcome } = this.#deps;
    const shown = setTimeout(onOutcome, SHOW_ATTACHING_MS);
    try {
      this.#noteProgress();
      await nextTurn();
      if (await reconciler.reconcile(key, this.#desired?.get(key), this.#courseOf(key))) onOutcome();
    } catch (error) {
      onOutcome();
      throw error;
    } finally {
      clearTimeout(shown);
      this.#progressMs = undefined;
      this.#untried?.delete(key);
      this.#deps.onTried?.(key);
      this.#settle();
    }
    return undefined;
  }

  /** An edit waits until the one before it is attached. A policy that is deleted or disabled meanwhile is given up. */
  #courseOf(key: string): Course {
    return {
      isWanted: () => !this.#isStopping && isWanted(this.#desired?.get(key)),
      isEnding: () => this.#isStopping,
      onProgress: () => this.#noteProgress(),
    };
  }

  #noteProgress(): void {
    this.#progressMs = this.#nowMs();
    this.#deps.onProgress?.();
  }

  #settle(): void {
    if (this.#untried?.size === 0) this.#initial.resolve();
  }
}

function isWanted(desired: DesiredPolicy | undefined): boolean {
  return desired !== undefined && desired.isDisabled !== true;
}
