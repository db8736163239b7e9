/**
 * List and watch: keeps a local copy of some objects up to date through restarts of the API server, expired histories
 * and dead connections. This is own code because the informer of client-node stops for good after a list error and
 * requests no bookmarks, and the watcher of kubernetes-fluent-client leaked connections.
 */
import { setImmediate as turnOfTheEventLoop } from "node:timers/promises";
import type { BackoffOptions } from "./backoff.ts";
import type { ListAndWatch } from "./kube.ts";
import { isExpired, KubeError, retryDelayMs } from "./kube-error.ts";
import { errorText, type Logger } from "./logger.ts";
import type { WatchMetrics } from "./metrics.ts";
import { pause } from "./pause.ts";
import { type KubeObject, objectKey, type Resource } from "./resources.ts";
import { IdleError } from "./silence.ts";
import type { Patience, Selection, WatchEvent } from "./watch-stream.ts";

/** Options of a watch. */
export interface ResourceWatchOptions<T> extends Selection {
  client: ListAndWatch;
  resource: Resource;
  logger: Logger;
  metrics?: WatchMetrics;
  /** Returns the part of an object to store, which must have the metadata; absent to store whole objects. */
  parse?: (object: KubeObject) => T;
  pageSize?: number;
  patience?: Patience;
  /** The server ends a watch after a random time between these. */
  watchSeconds?: { min: number; max: number };
  backoff?: BackoffOptions;
  random?: () => number;
}

/** Called for every change, in order, after the store has been updated. */
export interface WatchHandlers<T> {
  onAdd?(object: T): void;
  onUpdate?(object: T, previous: T): void;
  onDelete?(object: T): void;
  /** Called when the first complete list is in the store. */
  onSync?(): void;
  /** Called when the copy stops being up to date, with the cause, and when it is so again. */
  onProblem?(problem: unknown): void;
}

/** A watch that lived this long was healthy: the next try needs no delay. */
const HEALTHY_MS = 5_000;
/** One watch that ends at once may be a server that restarts; so many in a row are no accident. */
const CUT_SHORT_LIMIT = 5;
const WATCH_SECONDS = { min: 300, max: 600 };
/** Bookmarks come once a minute. */
const PATIENCE: Patience = { answerMs: 30_000, bookmarkMs: 90_000, graceMs: 30_000 };

/** After this time without a turn of the event loop, other work of the process gets one. */
const TURN_MS = 20;

/** Keeps `store` equal to the objects in the API server, with at most one open watch. */
export class ResourceWatch<T extends KubeObject> {
  readonly #options: ResourceWatchOptions<T>;
  #handlers: WatchHandlers<T>;
  readonly #store = new Map<string, T>();
  readonly #stopped = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  readonly #tried = Promise.withResolvers<void>();
  readonly #random: () => number;
  #running: Promise<void> | undefined;
  #resourceVersion: string | undefined;
  #isSynced = false;
  #problem: string | undefined;
  /** When the server accepted the current watch. */
  #openedAt: number | undefined;
  #turnedAt = 0;
  /** Watches in a row that were accepted and ended at once, without an event. */
  #cutShort = 0;

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

  /** Why the copy is not up to date; undefined when it is. */
  get problem(): string | undefined {
    return this.#problem ?? (this.#isSynced ? undefined : "not listed yet");
  }

  /** Starts the watch. Handlers that need the store are passed here instead of to the constructor. */
  start(handlers: WatchHandlers<T> = this.#handlers): void {
    this.#handlers = handlers;
    this.#running ??= this.#run();
  }

  /** Resolves after the first complete list. */
  waitForSync(): Promise<void> {
    return this.#synced.promise;
  }

  /** Resolves when the first watch is open, or the first attempt to list and watch has failed. */
  waitForFirstTry(): Promise<void> {
    return this.#tried.promise;
  }

  /** Closes the connection; once it resolves, no handler is called. */
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
      this.#tried.resolve();
      if (this.#stopped.signal.aborted) return;

      failures = this.#wasHealthy() ? 0 : failures + 1;
      this.#note(error);
      // The history expired: list again at once, unless that was also the result of the last try.
      const listsAtOnce = isExpired(error) && !isExpired(before);
      before = error;
      if (failures > 0 && !listsAtOnce) await this.#pause(error, failures);
    }
  }

  /** Resolves when the watch ends; rejects if a request fails. */
  async #listAndWatch(): Promise<void> {
    if (this.#resourceVersion === undefined) await this.#relist();
    const open = this.#options.metrics?.open;
    const labels = { resource: this.#options.resource.plural };
    let lasts: NodeJS.Timeout | undefined;
    const onOpen = () => {
      this.#openedAt = performance.now();
      this.#tried.resolve();
      open?.inc(labels);
      if (this.#cutShort < CUT_SHORT_LIMIT) this.#recovered();
      else lasts = setTimeout(() => this.#works(), HEALTHY_MS).unref();
    };
    this.#cutShort++;
    try {
      for await (const event of this.#stream(onOpen)) {
        this.#works();
        this.#take(event);
        await this.#letOthersWork();
      }
    } finally {
      clearTimeout(lasts);
      if (this.#openedAt !== undefined) open?.dec(labels);
      if (this.#openedAt === undefined || this.#wasHealthy()) this.#cutShort = 0;
    }
    if (this.#cutShort >= CUT_SHORT_LIMIT) throw cutShort(this.#options.resource);
  }

  #works(): void {
    this.#cutShort = 0;
    this.#recovered();
  }

  #stream(onOpen: () => void): AsyncIterable<WatchEvent> {
    const {
      client,
      resource,
      patience = PATIENCE,
      watchSeconds: { min, max } = WATCH_SECONDS,
    } = this.#options;
    return client.watch(resource, {
      ...this.#selection(),
      resourceVersion: this.#resourceVersion ?? "",
      timeoutSeconds: Math.round(min + (max - min) * this.#random()),
      patience,
      signal: this.#stopped.signal,
      onOpen,
    });
  }

  /** Reads the whole list and calls the handlers for each difference, including deletions that no watch reported. */
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
        await this.#letOthersWork();
        if (this.#stopped.signal.aborted) return;
      }
      resourceVersion = page.resourceVersion;
      token = page.continue;
    } while (token !== undefined);

    for (const key of this.#store.keys()) if (!seen.has(key)) this.#remove(key);
    this.#resourceVersion = resourceVersion;
    metrics?.lists.inc({ resource: resource.plural });
    this.#markSynced();
  }

  /** Thousands of objects, or a few large ones, may come at once: timers and health checks go on between them. */
  async #letOthersWork(): Promise<void> {
    if (performance.now() - this.#turnedAt < TURN_MS) return;
    await turnOfTheEventLoop();
    this.#turnedAt = performance.now();
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

    // A different object of the same name: the old one was deleted while no watch was open.
    const replaced = previous !== undefined && previous.metadata.uid !== object.metadata.uid;
    if (replaced) this.#remove(key);
    const kept = this.#parse(object);
    this.#store.set(key, kept);
    if (previous === undefined || replaced) this.#call("onAdd", () => this.#handlers.onAdd?.(kept));
    else this.#call("onUpdate", () => this.#handlers.onUpdate?.(kept, previous));
  }

  /** Passes the last state before the deletion to the handler, if the event has it. */
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

  /** A handler that throws has a bug, which must not keep other events from being handled. */
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

  /** Logs each problem once, not at every try. */
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
      const isNew = problem !== this.#problem;
      this.#problem = problem;
      if (isNew) this.#call("onProblem", () => this.#handlers.onProblem?.(error));
    }
  }

  #wasHealthy(): boolean {
    return this.#openedAt !== undefined && performance.now() - this.#openedAt >= HEALTHY_MS;
  }

  #recovered(): void {
    const { logger, resource } = this.#options;
    if (this.#problem === undefined) return;
    logger.info(`watch on ${resource.plural} works again`);
    this.#problem = undefined;
    this.#call("onProblem", () => this.#handlers.onProblem?.(undefined));
  }

  async #pause(error: unknown, failures: number): Promise<void> {
    const backoff = this.#options.backoff ?? { initialMs: 200, maxMs: 15_000 };
    await pause(retryDelayMs(error, backoff, failures - 1, this.#random), this.#stopped.signal);
  }
}

function cutShort({ plural }: Resource): Error {
  return new Error(
    `the watch on ${plural} ends at once, ${CUT_SHORT_LIMIT} times in a row: does a proxy end long requests? Changes arrive late`,
  );
}

function endReason(error: unknown): string {
  if (error === undefined) return "ended";
  if (isExpired(error)) return "expired";
  if (error instanceof IdleError) return "idle";
  return error instanceof KubeError ? `status ${error.status}` : "connection";
}
