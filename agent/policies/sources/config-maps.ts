/** Hook specs from the operator's ConfigMaps. */
import { LABELS } from "../../../crds/names.ts";
import type { Logger } from "../../../lib/logger.ts";
import { byRevision, type Candidate, type ConfigMap, chooseCandidate, parseCandidate } from "./candidates.ts";
import type { DesiredPolicy, SpecSource } from "./source.ts";

/**
 * The operator restores a deleted ConfigMap within seconds. When a policy is deleted, its ConfigMap is retired first.
 */
const GRACE_MS = 60_000;
/** Lower than every revision. */
const NOTHING_RAN = -1;

interface Winner {
  candidate: Candidate;
  policy: DesiredPolicy;
  /** Revision of the last winner without a problem: what the node runs, or does not need to run. */
  revision: number;
}

/**
 * A source that a watch on the labelled ConfigMaps feeds. A ConfigMap that disappears without having been retired was
 * deleted by accident, so its spec stays wanted for a grace period.
 */
export class ConfigMapSource implements SpecSource {
  readonly name = "ConfigMaps";
  readonly #logger: Logger;
  readonly #graceMs: number;
  /** By name of the ConfigMap. */
  readonly #candidates = new Map<string, Candidate>();
  /** The winner of each policy. */
  readonly #wanted = new Map<string, Winner>();
  readonly #missing = new Map<string, NodeJS.Timeout>();
  #synced = false;
  #listener: () => void = () => {};

  constructor(deps: { logger: Logger; graceMs?: number }) {
    this.#logger = deps.logger;
    this.#graceMs = deps.graceMs ?? GRACE_MS;
  }

  desired(): ReadonlyMap<string, DesiredPolicy> | undefined {
    if (!this.#synced) return undefined;
    return new Map([...this.#wanted].map(([key, { policy }]) => [key, policy]));
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  /** Called once the first complete list has been put in. */
  markSynced(): void {
    this.#synced = true;
    this.#listener();
  }

  /** Takes in a ConfigMap that is new or has changed. */
  put(configMap: ConfigMap): void {
    const { name } = configMap.metadata;
    const before = this.#candidates.get(name);
    const candidate = parseCandidate(configMap);
    if (candidate) this.#candidates.set(name, candidate);
    else this.#candidates.delete(name);
    this.#report(name, candidate);
    for (const key of new Set([before?.key, candidate?.key])) if (key !== undefined) this.#choose(key, false);
    this.#changed();
  }

  /** Takes out a ConfigMap that was deleted, given in its last state. */
  remove(configMap: ConfigMap): void {
    const { name } = configMap.metadata;
    const candidate = this.#candidates.get(name);
    if (!candidate) return;
    this.#candidates.delete(name);
    const retired = candidate.isAnnounced || configMap.metadata.labels?.[LABELS.retired] === "true";
    const wasWanted = this.#wanted.get(candidate.key)?.candidate.configMap === name;
    if (wasWanted && retired) this.#wanted.delete(candidate.key);
    this.#choose(candidate.key, false);
    this.#changed();
  }

  close(): void {
    for (const timer of this.#missing.values()) clearTimeout(timer);
    this.#missing.clear();
  }

  #choose(key: string, graceOver: boolean): void {
    const mine = [...this.#candidates.values()]
      .filter((one) => one.key === key && !one.retired)
      .sort(byRevision);
    const [best] = mine;
    const before = this.#wanted.get(key);
    const running = before?.revision ?? NOTHING_RAN;
    const older = (best?.revision ?? NOTHING_RAN) < running;
    if (before && older && !graceOver && this.#vanished(before.candidate)) {
      this.#wait(key, before.candidate);
      return;
    }
    clearTimeout(this.#missing.get(key));
    this.#missing.delete(key);
    const policy = chooseCandidate(mine);
    if (best && policy) {
      const revision = "problem" in best.content ? running : best.revision;
      this.#wanted.set(key, { candidate: best, policy, revision });
    } else this.#wanted.delete(key);
  }

  #vanished(candidate: Candidate): boolean {
    return !this.#candidates.has(candidate.configMap);
  }

  #wait(key: string, { origin }: Candidate): void {
    if (this.#missing.has(key)) return;
    this.#logger.warn(
      `${key}: ${origin} was deleted and not retired; what runs stays for ${this.#graceMs / 1000} s`,
    );
    const timer = setTimeout(() => {
      this.#choose(key, true);
      this.#changed();
    }, this.#graceMs);
    this.#missing.set(key, timer);
  }

  #report(name: string, candidate: Candidate | undefined): void {
    if (!candidate) this.#logger.error(`ConfigMap ${name} holds no hook spec and names no policy: ignored`);
    else if ("problem" in candidate.content)
      this.#logger.error(`${candidate.key}: ${candidate.content.problem}`);
  }

  #changed(): void {
    if (this.#synced) this.#listener();
  }
}
