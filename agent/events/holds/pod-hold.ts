/** Events that wait until the pod of their container is known. */

import type { EventMetrics } from "../../metrics/event-metrics.ts";
import type { PodResolver } from "../../pods/resolver.ts";
import type { Image } from "../../process/image.ts";
import type { ExecEvent, ExitEvent, HookEvent } from "../event.ts";
import type { HookEntry } from "../hooks.ts";
import { WaitingRoom } from "./waiting-room.ts";

/** An event whose image is known. Events that wait own their records. */
export type Event = (HookEvent & { hook: HookEntry }) | ExecEvent | ExitEvent;

/** What the hold is built from. */
export interface PodHoldDeps {
  pods: PodResolver;
  metrics: EventMetrics;
  nowMs: () => number;
  waitMs: number;
  /** How much longer waits are while the pods that are there at the start have not been listed. */
  listWaitMs: number;
  maxEvents: number;
  /** Called with events that do not have to wait, or no longer. */
  write(event: Event): void;
}

/**
 * Holds the events of a container whose pod is not known, for a bounded time. A process whose events wait does not
 * overtake itself; other processes are not delayed.
 */
export class PodHold {
  readonly #deps: PodHoldDeps;
  /** By container id. */
  readonly #room: WaitingRoom<Event>;
  /** The container in whose queue events of the pid wait. */
  readonly #queueOfPid = new Map<number, string>();

  constructor(deps: PodHoldDeps) {
    this.#deps = deps;
    this.#room = new WaitingRoom(deps.maxEvents);
    deps.pods.onChange(() => this.#releaseKnown());
  }

  /** Events that wait. */
  get count(): number {
    return this.#room.count;
  }

  /** Whether an event of the image may be written now. */
  isReady(image: Image): boolean {
    if (this.#queueOfPid.size > 0 && this.#queueOfPid.has(image.pid)) return false;
    const { pods } = this.#deps;
    if (!image.podSettled) return pods.settle(image);
    if (image.podRetryAfter !== undefined) pods.retry(image);
    return true;
  }

  /** For an event of an image that is not ready. */
  hold(event: Event): void {
    const { image } = event;
    const { metrics, nowMs, waitMs, pods, write } = this.#deps;
    const container = this.#queueOfPid.get(image.pid) ?? image.facts.container?.id ?? "";
    if (this.#room.add(container, event, nowMs() + waitMs)) {
      this.#queueOfPid.set(image.pid, container);
      return;
    }
    // no room: this container's events are written as they are, in order
    metrics.waitOverflows++;
    this.#release(container, true);
    if (!image.podSettled) pods.giveUp(image);
    write(event);
  }

  /** Ends waits that are over. */
  tick(): void {
    if (this.#room.count === 0) return;
    const { pods, nowMs, listWaitMs } = this.#deps;
    const more = pods.isListed ? 0 : listWaitMs;
    for (const container of this.#room.overdue(nowMs() - more)) this.#release(container, true);
  }

  /** Ends all waits. */
  releaseAll(): void {
    for (const container of this.#room.keys()) this.#release(container, true);
  }

  #releaseKnown(): void {
    for (const { key, first } of this.#room.heads()) {
      if (first.image.podSettled || this.#deps.pods.settle(first.image)) this.#release(key, false);
    }
  }

  /** Writes a container's events: complete, or as they are when the wait is over. */
  #release(container: string, isOver: boolean): void {
    const { pods, metrics, write } = this.#deps;
    const events = this.#room.take(container);
    for (const { image } of events) this.#queueOfPid.delete(image.pid);
    for (const event of events) {
      const { image } = event;
      if (isOver && !image.podSettled && !pods.settle(image)) pods.giveUp(image);
      if (isOver && image.pod === undefined) metrics.unresolvedPodEvents++;
      if (this.isReady(image)) write(event);
      else this.hold(event); // of another container, into which the process has moved
    }
  }
}
