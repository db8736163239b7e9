/**
 * Kubernetes Events on policies, as `kubectl describe` shows them: on transitions only, with repetitions counted in one
 * object.
 */
import type { CoreV1Event } from "@kubernetes/client-node";
import { FIELD_MANAGERS, POLICY_API, policyKey, sha256Hex } from "../../crds/names.ts";
import type { Logger } from "../../lib/logger.ts";
import type { OperatorClient } from "../cluster/client.ts";
import { type PolicyObject, policyRefOf } from "../resources.ts";
import { shorten } from "./tally.ts";

/** What happened. */
export interface Happening {
  type: "Normal" | "Warning";
  /** UpperCamelCase. */
  reason: string;
  message: string;
}

/** What the recorder works with. */
export interface EventRecorderDeps {
  client: Pick<OperatorClient, "createEvent" | "patchEvent">;
  logger: Logger;
  now(): number;
  /** Pod name of the operator, as the source of the Event. */
  instance: string;
}

interface Recorded {
  name: string;
  count: number;
}

/** The API server refuses longer ones. */
const MAX_MESSAGE = 1024;

/** Never throws: nothing depends on an Event. */
export class EventRecorder {
  readonly #deps: EventRecorderDeps;
  readonly #recorded = new Map<string, Recorded>();

  constructor(deps: EventRecorderDeps) {
    this.#deps = deps;
  }

  async record(policy: PolicyObject, happening: Happening): Promise<void> {
    try {
      await this.#write(policy, happening);
    } catch (error) {
      this.#deps.logger.warn("Event was not written", { reason: happening.reason, error });
    }
  }

  /** Drops the counts of a policy that is gone. */
  forget(key: string): void {
    for (const id of this.#recorded.keys()) if (id.startsWith(`${key} `)) this.#recorded.delete(id);
  }

  async #write(policy: PolicyObject, happening: Happening): Promise<void> {
    const id = `${policyKey(policyRefOf(policy))} ${policy.metadata.uid} ${happening.type} ${happening.reason}`;
    const before = this.#recorded.get(id);
    if (before !== undefined && (await this.#repeat(policy, happening, before))) {
      before.count++;
      return;
    }
    const event = makeEvent(policy, happening, this.#deps.instance, new Date(this.#deps.now()));
    await this.#deps.client.createEvent(eventNamespace(policy), event);
    this.#recorded.set(id, { name: event.metadata.name ?? "", count: 1 });
  }

  /** False when the Event has expired: the API server keeps them for an hour. */
  #repeat(policy: PolicyObject, happening: Happening, { name, count }: Recorded): Promise<boolean> {
    const lastTimestamp = new Date(this.#deps.now()).toISOString();
    const patch = { count: count + 1, lastTimestamp, message: shorten(happening.message, MAX_MESSAGE) };
    return this.#deps.client.patchEvent(eventNamespace(policy), name, patch);
  }
}

function makeEvent(policy: PolicyObject, happening: Happening, instance: string, now: Date): CoreV1Event {
  const { name, namespace, uid = "" } = policy.metadata;
  return {
    metadata: {
      name: eventName(name, `${uid} ${happening.reason} ${now.toISOString()}`),
      namespace: eventNamespace(policy),
    },
    involvedObject: {
      apiVersion: POLICY_API.apiVersion,
      kind: policy.kind,
      name,
      ...(namespace !== undefined && { namespace }),
      uid,
    },
    ...happening,
    message: shorten(happening.message, MAX_MESSAGE),
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
    source: { component: FIELD_MANAGERS.operator },
    reportingComponent: FIELD_MANAGERS.operator,
    reportingInstance: instance,
  };
}

/** A name of the usual form, POLICY.HEX, within the length limit. */
function eventName(policyName: string, distinct: string): string {
  return `${policyName.slice(0, 200).replace(/[^a-z0-9]+$/, "")}.${sha256Hex(distinct).slice(0, 16)}`;
}

/** The Events of cluster-scoped objects live in `default`. */
function eventNamespace(policy: PolicyObject): string {
  return policy.metadata.namespace ?? "default";
}
