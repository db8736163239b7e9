/** Specs of policies with a nodeSelector: their metadata comes to every node, and their content only where it is needed. */
import type { LabelSelector } from "../../../crds/hook-spec.ts";
import { LABELS } from "../../../crds/names.ts";
import { decodeSpec } from "../../../crds/spec-config-map.ts";
import { readNodeSelector } from "../../../crds/spec-node-selector.ts";
import type { BackoffOptions } from "../../../lib/backoff.ts";
import type { Logger } from "../../../lib/logger.ts";
import type { KubeObject } from "../../../lib/resources.ts";
import { WorkQueue } from "../../../lib/work-queue.ts";
import type { ConfigMap } from "./candidates.ts";

/** What it works with. */
export interface SelectedSpecsDeps {
  /** Takes what has been read, and the metadata of what the node does not need. */
  put(configMap: ConfigMap): void;
  remove(configMap: ConfigMap): void;
  /** Reads a whole ConfigMap; undefined if there is none of this name. */
  read(name: string): Promise<ConfigMap | undefined>;
  /** True if the selector selects this node; false while the labels of the node are not known. */
  selects(selector: LabelSelector): boolean;
  /** Called once everything that was known at listed() has been put. */
  onSync(): void;
  logger: Logger;
  backoff?: BackoffOptions;
}

const CONCURRENCY = 2;

/** The annotation only saves reading: once a spec has been read, its own nodeSelector is what counts. */
export class SelectedSpecs {
  readonly #deps: SelectedSpecsDeps;
  readonly #queue: WorkQueue;
  readonly #seen = new Map<string, KubeObject>();
  /** By name. The name is the hash of the content, so what has been read stays right. */
  readonly #read = new Map<string, ConfigMap>();
  /** Names that are to be put before the first set is complete; undefined before listed(). */
  #initial: Set<string> | undefined;
  #synced = false;

  constructor(deps: SelectedSpecsDeps) {
    this.#deps = deps;
    const { logger, backoff = { initialMs: 200, maxMs: 15_000 } } = deps;
    this.#queue = new WorkQueue({ name: "read the hook spec of", logger, concurrency: CONCURRENCY, backoff });
  }

  start(): void {
    this.#queue.start((name) => this.#fetch(name));
  }

  stop(): Promise<void> {
    return this.#queue.stop();
  }

  /** Takes in the metadata of a ConfigMap that is new or has changed. */
  seen(object: KubeObject): void {
    this.#seen.set(object.metadata.name, object);
    this.#place(object);
  }

  /** Takes out a ConfigMap that was deleted, given in its last state. */
  gone(object: KubeObject): void {
    const { name } = object.metadata;
    this.#seen.delete(name);
    this.#read.delete(name);
    this.#deps.remove(object);
    this.#settle(name);
  }

  /** Called when the first complete list has been seen. */
  listed(): void {
    this.#initial = new Set([...this.#seen.keys()].filter((name) => this.#mustRead(name)));
    this.#settle();
  }

  /** Called when the labels of the node have changed, or are known now. */
  labelsChanged(): void {
    for (const object of this.#seen.values()) this.#place(object);
  }

  has(name: string): boolean {
    return this.#seen.has(name);
  }

  #place(object: KubeObject): void {
    const { name } = object.metadata;
    const read = this.#read.get(name);
    const unreadFor = read ? undefined : this.#leftOutBy(object);
    if (read) this.#deps.put({ ...read, metadata: object.metadata });
    else if (unreadFor) this.#deps.put({ ...object, unreadFor });
    else this.#queue.add(name);
  }

  async #fetch(name: string): Promise<undefined> {
    if (!this.#mustRead(name)) return this.#settle(name);
    const configMap = await this.#deps.read(name);
    const object = this.#seen.get(name);
    if (configMap && object) {
      if (decodeSpec(name, configMap).ok) this.#read.set(name, configMap);
      this.#deps.put({ ...configMap, metadata: object.metadata });
    }
    return this.#settle(name);
  }

  #mustRead(name: string): boolean {
    const object = this.#seen.get(name);
    return object !== undefined && !this.#read.has(name) && !this.#leftOutBy(object);
  }

  /** The selector that leaves this node out; undefined also if the annotation does not say. */
  #leftOutBy({ metadata }: KubeObject): LabelSelector | undefined {
    const selector = readNodeSelector(metadata.annotations?.[LABELS.nodeSelector]);
    return selector && !this.#deps.selects(selector) ? selector : undefined;
  }

  #settle(name?: string): undefined {
    if (name !== undefined) this.#initial?.delete(name);
    if (this.#synced || this.#initial?.size !== 0) return;
    this.#synced = true;
    this.#deps.onSync();
  }
}
