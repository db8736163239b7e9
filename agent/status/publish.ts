/** Keeps this node's TracingNode in the API server up to date. */
import { isDeepStrictEqual } from "node:util";
import type { BackoffOptions } from "../../lib/backoff.ts";
import { retryDelayMs } from "../../lib/kube-error.ts";
import type { Logger } from "../../lib/logger.ts";
import { errorText } from "../../lib/logger.ts";
import type { ClusterSize } from "./cluster-size.ts";
import { Contest } from "./contest.ts";
import { type Json, mergePatchOf } from "./merge-patch.ts";
import type { TracingNodeStatus } from "./tracing-node.ts";

/** The requests that the publisher makes. */
export interface TracingNodeApi {
  /** Reads the status from the API server; undefined when there is no object. */
  read(): Promise<TracingNodeStatus | undefined>;
  /** Applies a JSON merge patch to the status; false when there is no object. */
  patch(status: object): Promise<boolean>;
  /** Creates the object, or makes the current Node its owner. */
  create(): Promise<void>;
}

/** Delays of the publisher. */
export interface PublisherTiming {
  /** Changes within this time after a write become one write. */
  coalesceMs: number;
  /** Random time in addition: an edit changes the status of every node at the same moment. */
  jitterMs: number;
  /**
   * Random time before a write that changes nothing about policies: an upgrade restarts the agents of many nodes. It is
   * this long in a large cluster, and shorter in a smaller one: see ClusterSize.
   */
  factsMs: number;
  /** The same before any other change in the first minute of an agent that replaces another. */
  restartMs: number;
  retry: BackoffOptions;
  /** How often to read the object when no change was reported. */
  checkMs: number;
}

const DEFAULT_TIMING: PublisherTiming = {
  coalesceMs: 500,
  jitterMs: 1_000,
  factsMs: 60_000,
  restartMs: 15_000,
  retry: { initialMs: 500, maxMs: 60_000 },
  checkMs: 3_600_000,
};

/** How long an agent counts as restarting: its hooks are attached by then, or shown as Pending. */
const RESTART_MS = 60_000;

interface PublisherDeps {
  api: TracingNodeApi;
  logger: Logger;
  cluster: Pick<ClusterSize, "share">;
  /** Random number from 0 to 1: agents that lost the API server at the same time must not all retry at once. */
  random(): number;
  timing?: Partial<PublisherTiming>;
}

/**
 * Writes what has changed in the newest status, one write at a time. Retries with backoff while writes fail. The first
 * write is compared with what an earlier agent has left: after a restart there is often nothing to write.
 */
export class StatusPublisher {
  readonly #api: TracingNodeApi;
  readonly #logger: Logger;
  readonly #cluster: PublisherDeps["cluster"];
  readonly #random: () => number;
  readonly #timing: PublisherTiming;
  readonly #contest = new Contest();
  #wanted: TracingNodeStatus | undefined;
  /** The status in the API server; undefined when it is not known. */
  #written: TracingNodeStatus | undefined;
  #isOwned = true;
  readonly #startedAt = performance.now();
  /** Whether an earlier agent has left a report; undefined until the object has been read. */
  #isRestart: boolean | undefined;
  /** When a change that was put off is written, by what put it off. */
  #putOffTo: Partial<Record<"factsMs" | "restartMs", number>> = {};
  #failures = 0;
  #failure: unknown;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #busy = false;
  #closed = false;

  constructor(deps: PublisherDeps) {
    this.#api = deps.api;
    this.#logger = deps.logger;
    this.#cluster = deps.cluster;
    this.#random = deps.random;
    this.#timing = { ...DEFAULT_TIMING, ...deps.timing };
  }

  /** Sets the status to write; it is written soon, unless it equals the one written last. */
  publish(status: TracingNodeStatus): void {
    this.#wanted = status;
    if (this.#failures === 0 && !isDeepStrictEqual(status, this.#written)) this.#scheduleSoon();
  }

  /** Called when the Node was replaced: the garbage collector deletes the TracingNode that the old Node owned. */
  nodeReplaced(): void {
    this.#isOwned = false;
    this.#failures = 0; // earlier writes failed because the Node was missing
    this.#scheduleSoon();
  }

  /** Called with the status in the API server, or undefined if the object is gone; corrects a difference soon. */
  objectChanged(status: TracingNodeStatus | undefined): void {
    if (this.#failures > 0) return;
    if (isDeepStrictEqual(status, this.#wanted) || isDeepStrictEqual(status, this.#written)) return;
    this.#written = undefined;
    const before = this.problem;
    this.#schedule(this.#soonMs() + this.#contest.noteChange(performance.now()));
    if (before === undefined && this.problem !== undefined) this.#logger.warn(this.problem);
  }

  /** That others change the object again and again, for /readyz. */
  get problem(): string | undefined {
    return this.#contest.problem(performance.now());
  }

  /** Stops the publisher; it starts no further write. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #scheduleSoon(): void {
    this.#schedule(this.#soonMs());
  }

  #soonMs(): number {
    return this.#timing.coalesceMs + this.#random() * this.#timing.jitterMs;
  }

  #schedule(delayMs: number): void {
    const dueAt = performance.now() + delayMs;
    if (this.#closed || dueAt >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => void this.#run(), delayMs);
  }

  async #run(): Promise<void> {
    this.#dueAt = Number.POSITIVE_INFINITY;
    if (this.#busy || !this.#wanted) return;
    this.#busy = true;
    let putOffMs: number | undefined;
    try {
      putOffMs = await this.#write(this.#wanted);
      this.#failures = 0;
    } catch (error) {
      this.#written = undefined;
      this.#failures++;
      this.#failure = error;
      this.#logger.warn(`write TracingNode: ${errorText(error)}`, { attempt: this.#failures });
    }
    this.#busy = false;
    this.#schedule(this.#nextDelay(putOffMs));
  }

  /** Resolves with the time to come back if the write is put off. */
  async #write(status: TracingNodeStatus): Promise<number | undefined> {
    if (!this.#isOwned) {
      await this.#api.create();
      this.#isOwned = true;
      this.#written = undefined;
    }
    // What was written last is read again when the same is due: another client may have changed it.
    const known = isDeepStrictEqual(status, this.#written) ? undefined : this.#written;
    const before = known ?? (await this.#api.read()) ?? {};
    this.#isRestart ??= "agentVersion" in before;
    const patch = mergePatchOf(before as Json, status as unknown as Json);
    const putOffMs = patch && (await this.#putOff(before, patch));
    if (putOffMs !== undefined) {
      this.#written = before as TracingNodeStatus;
      return putOffMs;
    }
    if (patch !== undefined) await this.#patch(patch, status);
    this.#putOffTo = {};
    this.#written = status;
    return undefined;
  }

  async #patch(patch: object, status: TracingNodeStatus): Promise<void> {
    if (await this.#api.patch(patch)) return;
    await this.#api.create();
    if (!(await this.#api.patch(status)))
      throw new Error("the object is gone again right after its creation");
  }

  /** How long a change of what an agent has written has to wait, so that not all agents write at the same time. */
  async #putOff(before: object, patch: object): Promise<number | undefined> {
    if (!("agentVersion" in before)) return undefined;
    const isAboutPolicies = Object.keys(patch).some((name) => !FACTS.has(name));
    const isRestarting = this.#isRestart && performance.now() < this.#startedAt + RESTART_MS;
    if (isAboutPolicies && !isRestarting) return undefined;
    const why = isAboutPolicies ? "restartMs" : "factsMs";
    const longestMs = this.#timing[why] * (await this.#cluster.share());
    this.#putOffTo[why] ??= performance.now() + this.#random() * longestMs;
    const waitMs = Math.min(...Object.values(this.#putOffTo)) - performance.now();
    return waitMs > 0 ? waitMs : undefined;
  }

  #nextDelay(putOffMs: number | undefined): number {
    const { retry, checkMs } = this.#timing;
    if (this.#failures > 0) return retryDelayMs(this.#failure, retry, this.#failures - 1, this.#random);
    if (putOffMs !== undefined) return putOffMs;
    if (!this.#isOwned || !isDeepStrictEqual(this.#wanted, this.#written)) return this.#soonMs();
    return checkMs * (0.5 + this.#random() / 2);
  }
}

/** Fields that are not about policies. */
const FACTS = new Set(["agentVersion", "bootTime", "kernel", "lost"]);
