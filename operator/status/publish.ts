/** Writes the status of policies: only when it has changed, and not faster than pacing allows. */
import { isDeepStrictEqual } from "node:util";
import { CONDITIONS } from "../../crds/conditions.ts";
import type { OperatorClient } from "../cluster/client.ts";
import type { PolicyObject } from "../resources.ts";
import { withTransitionTimes } from "./conditions.ts";
import { importanceOf, noteWrite, type WriteHistory, waitBeforeWrite } from "./pacing.ts";
import { type Condition, conditionOf, type NewPolicyStatus, type PolicyStatus } from "./policy-status.ts";

/** The Ready condition before and after a write that changed its status or reason. */
export interface Transition {
  before: Condition | undefined;
  after: Condition;
}

/** The result of an attempt to publish. */
export type PublishResult =
  | { kind: "unchanged" }
  | { kind: "wait"; ms: number }
  | { kind: "written"; transition: Transition | undefined }
  /** The policy has been deleted, or replaced by another one of its name. */
  | { kind: "gone" };

/** What the publisher works with. */
export interface PublisherDeps {
  client: Pick<OperatorClient, "replaceStatus">;
  now(): number;
}

interface Published {
  uid: string | undefined;
  generation: number;
  /** The status in the API server after the last write. */
  status: PolicyStatus | undefined;
  history: WriteHistory;
}

/** Remembers what it wrote, so that its own watch events and equal results cause no write. */
export class StatusPublisher {
  readonly #deps: PublisherDeps;
  readonly #published = new Map<string, Published>();

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  /** Makes `next` the status of the policy. After `wait`, the caller tries again. */
  async publish(key: string, policy: PolicyObject, next: NewPolicyStatus): Promise<PublishResult> {
    const known = this.#known(key, policy, next.observedGeneration);
    const status = complete(next, known.status, new Date(this.#deps.now()).toISOString());
    if (isDeepStrictEqual(status, known.status)) return { kind: "unchanged" };

    const ready = conditionOf(status.conditions, "Ready");
    const now = this.#deps.now();
    const { history: past, generation } = known;
    const importance = importanceOf(past, generation, isFlip(known.status, status), ready, now);
    const ms = waitBeforeWrite(past, generation, importance, now);
    if (ms > 0) return { kind: "wait", ms };
    if (!(await this.#write(policy, status))) return { kind: "gone" };

    const history = noteWrite(past, generation, ready, this.#deps.now());
    this.#published.set(key, { ...known, status, history });
    return { kind: "written", transition: transitionOf(known.status, status) };
  }

  /** The status that was written last, or that the policy had before. */
  lastStatus(key: string, policy: PolicyObject): PolicyStatus | undefined {
    const known = this.#published.get(key);
    return known !== undefined && known.uid === policy.metadata.uid ? known.status : policy.status;
  }

  /**
   * True if a watch event has another status than the one written last: of another writer, or from before the write.
   */
  differs(key: string, policy: PolicyObject): boolean {
    const known = this.#published.get(key);
    return known !== undefined && !isDeepStrictEqual(known.status, policy.status);
  }

  /** Takes the status in the API server for the one written last. */
  distrust(key: string, policy: PolicyObject): void {
    const known = this.#published.get(key);
    if (known !== undefined) this.#published.set(key, { ...known, status: policy.status });
  }

  /** The policy is gone. */
  forget(key: string): void {
    this.#published.delete(key);
  }

  #known(key: string, policy: PolicyObject, generation: number): Published {
    const { uid } = policy.metadata;
    const known = this.#published.get(key);
    if (known === undefined || known.uid !== uid)
      return { uid, generation, status: policy.status, history: [] };
    return { ...known, generation };
  }

  #write({ kind, metadata }: PolicyObject, status: PolicyStatus): Promise<boolean> {
    return this.#deps.client.replaceStatus(kind, metadata, status);
  }
}

function complete(next: NewPolicyStatus, previous: PolicyStatus | undefined, now: string): PolicyStatus {
  return { ...next, conditions: withTransitionTimes(next.conditions, previous?.conditions, now) };
}

function isFlip(before: PolicyStatus | undefined, after: PolicyStatus): boolean {
  return Object.values(CONDITIONS).some((type) => {
    const old = conditionOf(before?.conditions, type);
    const current = conditionOf(after.conditions, type);
    return old?.status !== current?.status || old?.reason !== current?.reason;
  });
}

function transitionOf(before: PolicyStatus | undefined, after: PolicyStatus): Transition | undefined {
  const old = conditionOf(before?.conditions, "Ready");
  const current = conditionOf(after.conditions, "Ready");
  if (current === undefined || (old?.status === current.status && old.reason === current.reason))
    return undefined;
  return { before: old, after: current };
}
