/** Takes and holds the lease of the operator: of all replicas, only its holder works. */
import type { CoordinationV1Api, V1Lease } from "@kubernetes/client-node";
import { FIELD_MANAGERS } from "../../crds/names.ts";
import { errorText, type Logger } from "../../lib/logger.ts";
import { pause } from "../../lib/pause.ts";
import { ignoring, request } from "./api.ts";
import { LEASE_TIMING, type LeaseTiming, nextLease, planLease, type Sighting, sight } from "./lease.ts";

/** What the elector works with. */
export interface ElectorDeps {
  coordination: Pick<
    CoordinationV1Api,
    "readNamespacedLease" | "createNamespacedLease" | "replaceNamespacedLease"
  >;
  namespace: string;
  name: string;
  /** Differs between replicas, and between two lives of one. */
  identity: string;
  logger: Logger;
  /** A clock that goes on while the process is frozen, and is never set. */
  monotonicMs(): number;
  timing?: LeaseTiming;
}

const fieldManager = FIELD_MANAGERS.operator;

/** Never throws while it waits or holds: an API server that does not answer is tried again. */
export class Elector {
  readonly #deps: ElectorDeps;
  readonly #timing: LeaseTiming;
  #sighting: Sighting | undefined;
  /** When the last renewal that succeeded was sent. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #holder: string | undefined;

  constructor(deps: ElectorDeps) {
    this.#deps = deps;
    this.#timing = deps.timing ?? LEASE_TIMING;
  }

  /** How long this replica may write; 0 when it does not lead. */
  get leadsForMs(): number {
    return Math.max(0, this.#renewedAt + this.#timing.deadlineMs - this.#deps.monotonicMs());
  }

  /** Resolves when this replica leads, or when the signal is aborted. */
  async acquire(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(await this.#tryOnce())) await pause(this.#timing.retryMs, signal);
  }

  /**
   * Renews the lease; resolves when another replica has taken it, or when the signal is aborted. A leader that could not
   * renew for a while does not write, and goes on if nobody has led meanwhile: then the lease still has its name.
   */
  async hold(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(this.#timing.retryMs, signal);
      if (signal.aborted || !(await this.#renew())) return;
    }
  }

  /** Gives the lease back, so that another replica need not wait for its end. */
  async release(): Promise<void> {
    if (this.leadsForMs <= 0) return;
    this.#renewedAt = Number.NEGATIVE_INFINITY;
    try {
      const lease = await this.#read();
      if (lease?.spec?.holderIdentity === this.#deps.identity) await this.#write(lease, "");
    } catch (error) {
      this.#deps.logger.warn(`the lease was not given back: ${errorText(error)}`);
    }
  }

  /** False if another replica has, or had, the lease. */
  async #renew(): Promise<boolean> {
    const { identity, monotonicMs, logger } = this.#deps;
    try {
      const sentAt = monotonicMs();
      const lease = await this.#read();
      if (lease?.spec?.holderIdentity !== identity) return false;
      if (await this.#write(lease, identity)) this.#renewedAt = sentAt;
    } catch (error) {
      logger.warn(`the lease cannot be renewed now: ${errorText(error)}`);
    }
    return true;
  }

  async #tryOnce(): Promise<boolean> {
    try {
      return await this.#takeIfFree();
    } catch (error) {
      this.#deps.logger.warn(`the lease cannot be taken now: ${errorText(error)}`);
      return false;
    }
  }

  async #takeIfFree(): Promise<boolean> {
    const { identity, monotonicMs } = this.#deps;
    const sentAt = monotonicMs();
    const lease = await this.#read();
    this.#sighting = sight(lease, this.#sighting, monotonicMs());
    const plan = planLease(lease, identity, this.#sighting, monotonicMs());
    if (plan.step === "wait") {
      this.#noteHolder(plan.holder);
      this.#renewedAt = Number.NEGATIVE_INFINITY;
      return false;
    }
    if (!(await this.#write(lease, identity))) return false;
    this.#renewedAt = sentAt;
    this.#noteHolder(identity);
    return true;
  }

  #noteHolder(holder: string): void {
    if (this.#holder !== holder) this.#deps.logger.info(`the leader is ${holder}`);
    this.#holder = holder;
  }

  #read(): Promise<V1Lease | undefined> {
    const { coordination, namespace, name } = this.#deps;
    return ignoring(404, request("read the lease", coordination.readNamespacedLease({ namespace, name })));
  }

  /** False if another replica was faster. */
  async #write(lease: V1Lease | undefined, holder: string): Promise<boolean> {
    const { coordination, namespace, name } = this.#deps;
    const body = nextLease(lease, { namespace, name }, holder, this.#timing, new Date());
    const sent =
      lease === undefined
        ? coordination.createNamespacedLease({ namespace, body, fieldManager })
        : coordination.replaceNamespacedLease({ namespace, name, body, fieldManager });
    return (await ignoring(409, request("write the lease", sent))) !== undefined;
  }
}
