/** Runs the reconciler when a source or the node's labels change, and to retry. */
import type { BackoffOptions } from "../../lib/backoff.ts";
import type { Logger } from "../../lib/logger.ts";
import { WorkQueue } from "../../lib/work-queue.ts";
import type { Reconciler } from "./reconcile.ts";
import { type DesiredPolicy, mergeSources, type SpecSource } from "./sources/source.ts";

/** Collaborators of the loop. */
export interface PolicyLoopDeps {
  sources: readonly SpecSource[];
  reconciler: Reconciler;
  logger: Logger;
  /** Called when a policy's outcome may have changed. */
  onOutcome(): void;
  /** Called after each attempt to reconcile a policy, successful or not. */
  onTried?(key: string): void;
  backoff?: BackoffOptions;
}

const RETRY: BackoffOptions = { initialMs: 500, maxMs: 60_000 };

/** Reconciles one policy after the other. Retries with backoff if a policy failed because the kernel was busy. */
export class PolicyLoop {
  readonly #deps: PolicyLoopDeps;
  readonly #queue: WorkQueue;
  readonly #initial = Promise.withResolvers<void>();
  /** Keys of the first complete set that have not been tried yet; undefined before there is one. */
  #untried: Set<string> | undefined;
  #desired: ReadonlyMap<string, DesiredPolicy> | undefined;

  constructor(deps: PolicyLoopDeps) {
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

  start(): void {
    this.#queue.start((key) => this.#work(key));
    this.trigger();
  }

  /** Reconciles all policies; does nothing for those that have not changed. */
  trigger(): void {
    const desired = mergeSources(this.#deps.sources);
    if (!desired) return;
    this.#desired = desired;
    this.#untried ??= new Set(desired.keys());
    for (const key of new Set([...desired.keys(), ...this.#deps.reconciler.keys()])) this.#queue.add(key);
    this.#settle();
  }

  /** Stops the loop. Once it resolves, no hook is attached or detached any more. */
  async stop(): Promise<void> {
    for (const source of this.#deps.sources) source.close();
    await this.#queue.stop();
  }

  async #work(key: string): Promise<undefined> {
    await nextTurn();
    try {
      if (this.#deps.reconciler.reconcile(key, this.#desired?.get(key))) this.#deps.onOutcome();
    } catch (error) {
      this.#deps.onOutcome();
      throw error;
    } finally {
      this.#untried?.delete(key);
      this.#deps.onTried?.(key);
      this.#settle();
    }
    return undefined;
  }

  #settle(): void {
    if (this.#untried?.size === 0) this.#initial.resolve();
  }
}

/** Attaching is synchronous, so the loop yields between two policies to let records and requests be handled. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
