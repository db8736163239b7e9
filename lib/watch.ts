/**
 * List and watch: a local copy of some objects that follows the API server through restarts, expired histories and
 * dead connections. Own code, because the informer of client-node stops for good after a list error and asks for no
 * bookmarks, and the watcher of kubernetes-fluent-client leaked connections.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type BackoffOptions, backoffMs } from "./backoff.ts";
import type { KubeClient, Selection } from "./kube.ts";
import { isExpired, KubeError } from "./kube-error.ts";
import { errorText, type Logger } from "./logger.ts";
import type { WatchMetrics } from "./metrics.ts";
import { type KubeObject, objectKey, type Resource } from "./resources.ts";
import { IdleError, type Patience, type WatchEvent, watchStream } from "./watch-stream.ts";

/** What to watch and how. */
export interface ResourceWatchOptions<T> extends Selection {
  client: KubeClient;
  resource: Resource;
  logger: Logger;
  metrics?: WatchMetrics;
  /** What is kept of each object; absent: all of it. Must keep the metadata. */
  parse?: (object: KubeObject) => T;
  pageSize?: number;
  patience?: Patience;
  /** The server ends a watch after a random time between these. */
  watchSeconds?: { min: number; max: number };
  backoff?: BackoffOptions;
  random?: () => number;
}

/** Told of every change, in order, after the store has it. */
export interface WatchHandlers<T> {
  onAdd?(object: T): void;
  onUpdate?(object: T, previous: T): void;
  onDelete?(object: T): void;
  /** The first complete list is in the store. */
  onSync?(): void;
}

/** A watch that lived this long was healthy: the next try needs no delay. */
const HEALTHY_MS = 5_000;
const WATCH_SECONDS = { min: 300, max: 600 };
/** Bookmarks come once a minute. */
const PATIENCE: Patience = { answerMs: 30_000, bookmarkMs: 90_000, graceMs: 30_000 };

/** Keeps `store` equal to what the API server has, with never more than one open watch. */
export class ResourceWatch<T extends KubeObject> {
  readonly #options: ResourceWatchOptions<T>;
  #handlers: WatchHandlers<T>;
  readonly #store = new Map<string, T>();
  readonly #stopped = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  readonly #random: () => number;
  #running: Promise<void> | undefined;
  #resourceVersion: string | undefined;
  #isSynced = false;
  #problem: string | undefined;
  /** When the server accepted the current watch. */
  #openedAt: number | undefined;

  constructor(options: ResourceWatchOptions<T>, handlers: WatchHandlers<T> = {}) {
    this.#options = options;
    this.#handlers = handlers;
    this.#random = options.random ?? Math.random;
  }

  /** Objects by `NAMESPACE/NAME` or `NAME`. */
  get store(): ReadonlyMap<string, T> {
    return this.#store;
  }

  /** True from the first complete list on. */
  get synced(): boolean {
    return this.#isSynced;
  }

  /** What keeps the copy from being current; undefined when it is. */
  get problem(): string | undefined {
    return this.#problem ?? (this.#isSynced ? undefined : "not listed yet");
  }

  /** Begins; handlers that need the store themselves are given here instead of to the constructor. */
  start(handlers: WatchHandlers<T> = this.#handlers): void {
    this.#handlers = handlers;
    this.#running ??= this.#run();
  }

  /** Resolves after the first complete list. */
  waitForSync(): Promise<void> {
    return this.#synced.promise;
  }

  /** Closes the connection; no handler is called after it resolves. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    let failures = 0;
    let before: unknown;
    while (!this.#stopped.signal.aborted) {
      this.#openedAt = undefined;
      const error = await this.#listAndWatch().catch((reason: unknown) => reason);
      if (this.#stopped.signal.aborted) return;

      failures = this.#wasHealthy() ? 0 : failures + 1;
      this.#note(error);
      // A server that has just come back and forgotten the past answers: nothing to wait for, if it is not always so.
      const listsAtOnce = isExpired(error) && !isExpired(before);
      before = error;
      if (failures > 0 && !listsAtOnce) await this.#pause(error, failures);
    }
  }

  /** Ends when the watch ends; throws when something failed. */
  async #listAndWatch(): Promise<void> {
    if (this.#resourceVersion === undefined) await this.#relist();
    const open = this.#options.metrics?.open;
    const labels = { resource: this.#options.resource.plural };
    const onOpen = () => {
      this.#openedAt = performance.now();
      open?.inc(labels);
      this.#recovered();
    };
    try {
      for await (const event of this.#stream(onOpen)) this.#take(event);
    } finally {
      if (this.#openedAt !== undefined) open?.dec(labels);
    }
  }

  #stream(onOpen: () => void): AsyncGenerator<WatchEvent> {
    const {
      client,
      resource,
      patience = PATIENCE,
      watchSeconds: { min, max } = WATCH_SECONDS,
    } = this.#options;
    return watchStream(client, resource, {
      ...this.#selection(),
      resourceVersion: this.#resourceVersion ?? "",
      timeoutSeconds: Math.round(min + (max - min) * this.#random()),
      patience,
      signal: this.#stopped.signal,
      onOpen,
    });
  }

  /** Reads the whole list and tells the handlers what is different, deletions that nobody saw included. */
  async #relist(): Promise<void> {
    const { client, resource, pageSize = 500, metrics } = this.#options;
    const seen = new Set<string>();
    let token: string | undefined;
    let resourceVersion: string;
    do {
      const page = await client.listPage<KubeObject>(resource, this.#selection(), pageSize, token);
      if (this.#stopped.signal.aborted) return;
      for (const object of page.items) {
        seen.add(objectKey(object.metadata));
        this.#put(object);
      }
      resourceVersion = page.resourceVersion;
      token = page.continue;
    } while (token !== undefined);

    for (const key of this.#store.keys()) if (!seen.has(key)) this.#remove(key);
    this.#resourceVersion = resourceVersion;
    metrics?.lists.inc({ resource: resource.plural });
    this.#markSynced();
  }

  #take({ type, object }: WatchEvent): void {
    this.#resourceVersion = object.metadata.resourceVersion;
    if (type === "DELETED") this.#remove(objectKey(object.metadata), object);
    else if (type !== "BOOKMARK") this.#put(object);
  }

  #put(object: KubeObject): void {
    const key = objectKey(object.metadata);
    const previous = this.#store.get(key);
    if (previous?.metadata.resourceVersion === object.metadata.resourceVersion && previous !== undefined)
      return;

    // The object of this name is another one: its deletion happened while we were away.
    const replaced = previous !== undefined && previous.metadata.uid !== object.metadata.uid;
    if (replaced) this.#remove(key);
    const kept = this.#parse(object);
    this.#store.set(key, kept);
    if (previous === undefined || replaced) this.#call("onAdd", () => this.#handlers.onAdd?.(kept));
    else this.#call("onUpdate", () => this.#handlers.onUpdate?.(kept, previous));
  }

  /** Hands over the last state before the deletion where the event carries it. */
  #remove(key: string, last?: KubeObject): void {
    const known = this.#store.get(key);
    if (known === undefined) return;
    this.#store.delete(key);
    const object = last === undefined ? known : this.#parse(last);
    this.#call("onDelete", () => this.#handlers.onDelete?.(object));
  }

  #parse(object: KubeObject): T {
    return this.#options.parse ? this.#options.parse(object) : (object as T);
  }

  /** A handler that throws is a bug; it must not cost the others their events. */
  #call(name: string, handler: () => void): void {
    try {
      handler();
    } catch (error) {
      const { logger, resource } = this.#options;
      logger.error(`${name} of the watch on ${resource.plural} threw`, { error });
    }
  }

  #markSynced(): void {
    if (this.#isSynced) return;
    this.#isSynced = true;
    this.#call("onSync", () => this.#handlers.onSync?.());
    this.#synced.resolve();
  }

  #selection(): Selection {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace !== undefined && { namespace }),
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    };
  }

  /** Says each problem once, not at every try. */
  #note(error: unknown): void {
    const { logger, resource, metrics } = this.#options;
    metrics?.restarts.inc({ resource: resource.plural, reason: endReason(error) });
    if (isExpired(error)) {
      this.#resourceVersion = undefined;
      logger.info(`watch on ${resource.plural} expired, listing again`);
    } else if (error !== undefined) {
      const problem = errorText(error);
      if (problem !== this.#problem)
        logger.warn(`watch on ${resource.plural} failed, trying again`, { error });
      this.#problem = problem;
    }
  }

  #wasHealthy(): boolean {
    return this.#openedAt !== undefined && performance.now() - this.#openedAt >= HEALTHY_MS;
  }

  #recovered(): void {
    const { logger, resource } = this.#options;
    if (this.#problem !== undefined) logger.info(`watch on ${resource.plural} works again`);
    this.#problem = undefined;
  }

  async #pause(error: unknown, failures: number): Promise<void> {
    const backoff = this.#options.backoff ?? { initialMs: 200, maxMs: 15_000 };
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    const ms = Math.max(asked, backoffMs(backoff, failures - 1, this.#random));
    await delay(ms, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
  }
}

function endReason(error: unknown): string {
  if (error === undefined) return "ended";
  if (isExpired(error)) return "expired";
  if (error instanceof IdleError) return "idle";
  return error instanceof KubeError ? `status ${error.status}` : "connection";
}
