/** Process image -> pod and container, as far as it is known. */
import type { ContainerRef } from "./container-id.ts";
import { makePodContext, type PodContext } from "./pod-context.ts";
import type { PodStore } from "./pod-store.ts";

interface Known {
  context: PodContext;
  complete: boolean;
}

/** What the resolver asks of a process image. */
export interface ContainerProcess {
  readonly facts: { readonly container?: ContainerRef };
  /** Its events need not wait for the pod: there is none, it is known, or the wait is over. */
  podSettled: boolean;
  /** The wait ended without a full answer, at this state of the pods. */
  podRetryAfter: number | undefined;
  /** Takes the pod and sets podSettled. */
  setPod(pod: PodContext | undefined): void;
}

/** How many containers' contexts are kept; they are made again when needed. */
const MAX_CONTEXTS = 4096;

/** Names the pod of an image; images of one container share one context. */
export class PodResolver {
  readonly #store: PodStore | undefined;
  readonly #contexts = new Map<string, Known>();
  readonly #listeners: (() => void)[] = [];
  #generation = 0;
  /** Containers for which waiting did not help: their next images do not wait again. */
  readonly #hopeless = new Set<string>();

  /** Without a store (no Kubernetes) no process has a pod and nothing ever waits. */
  constructor(store?: PodStore) {
    this.#store = store;
    store?.onChange(() => {
      this.#generation++;
      this.#contexts.clear();
      for (const listener of this.#listeners) listener();
    });
  }

  /** False until the pods that are there at the start are known. */
  get isListed(): boolean {
    return this.#store?.isListed ?? true;
  }

  /** Called when a container that was not known may be known now. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Settles the image's pod if everything about its container is known, and returns whether it did. Must not be called
   * for an image that is settled.
   */
  settle(image: ContainerProcess): boolean {
    if (this.#store === undefined || image.facts.container === undefined) {
      image.podSettled = true;
      return true;
    }
    const { id } = image.facts.container;
    const known = this.#find(image);
    if (known?.complete === true) {
      this.#hopeless.delete(id);
      image.setPod(known.context);
      return true;
    }
    if (!this.#hopeless.has(id)) return false;
    this.giveUp(image);
    return true;
  }

  /** Stops waiting: takes what is known, which may be the pod without its container, or nothing. Returns whether it had a pod. */
  giveUp(image: ContainerProcess): boolean {
    const known = this.#find(image);
    image.setPod(known?.context);
    image.podRetryAfter = this.#generation;
    if (this.#hopeless.size >= MAX_CONTEXTS) this.#hopeless.clear();
    this.#hopeless.add(image.facts.container?.id ?? "");
    return known !== undefined;
  }

  /** Gives an image that was given up another try, once per change of the pods. */
  retry(image: ContainerProcess): void {
    if (image.podRetryAfter === this.#generation) return;
    image.podRetryAfter = this.#generation;
    const known = this.#find(image);
    if (known === undefined) return;
    image.setPod(known.context);
    if (known.complete) image.podRetryAfter = undefined;
  }

  #find(image: ContainerProcess): Known | undefined {
    const ref = image.facts.container;
    if (ref === undefined || this.#store === undefined) return undefined;
    const cached = this.#contexts.get(ref.id);
    if (cached !== undefined) return cached;
    const pod = this.#store.find(ref.id, ref.podUid);
    if (pod === undefined) return undefined;
    const known = makePodContext(pod, ref, this.#store.facts(ref.id));
    if (this.#contexts.size >= MAX_CONTEXTS) this.#contexts.clear();
    this.#contexts.set(ref.id, known);
    return known;
  }
}
