/** Brings the ConfigMaps of one policy to what is planned. */
import {
  hookSpecConfigMapName,
  LABELS,
  type PolicyRef,
  policyKey,
  policyLabelValue,
} from "../../crds/names.ts";
import { hasStatus } from "../../lib/kube-error.ts";
import type { Logger } from "../../lib/logger.ts";
import type { OperatorClient } from "../cluster/client.ts";
import {
  type ConfigMap,
  hashOfName,
  parseSpecObject,
  type SpecObject,
  specGeneration,
  specMetadata,
} from "./config-map.ts";
import { lastGoodOf, planDeletion, planRemoval, planSpecs, type SpecStep, type WantedSpec } from "./plan.ts";
import { type Again, RepairPace } from "./repair-pace.ts";
import type { SpecReader } from "./spec-reader.ts";

/** What people read in the status and in the log. */
const UNDONE =
  "the hook spec's ConfigMap does not stay as the operator writes it: another client changes or deletes it, and repairs are repeated with growing delays";

/** What the store works with. */
export interface SpecStoreDeps {
  client: OperatorClient;
  namespace: string;
  reader: SpecReader;
  logger: Logger;
  now(): number;
  /** ConfigMaps as the watch knows them: finds those whose labels were changed by hand. */
  known(): Iterable<SpecObject>;
}

/**
 * Writes the hook-spec ConfigMaps; reads them from the API each time, because two edits may be faster than a watch.
 * What is undone again and again is written with growing delays: then the methods resolve with the time to come back.
 */
export class SpecStore {
  readonly #deps: SpecStoreDeps;
  readonly #pace: RepairPace;
  /** What each policy's nodes should run, by policy key: puts back what was deleted while the policy is invalid. */
  readonly #wanted = new Map<string, WantedSpec>();

  constructor(deps: SpecStoreDeps) {
    this.#deps = deps;
    this.#pace = new RepairPace(deps.now);
  }

  /** Makes the wanted spec the one that agents run; previous ones stay as long as they are in use. */
  async apply(wanted: WantedSpec, isInUse: (name: string) => boolean): Promise<Again> {
    const { spec, hash, generation } = wanted;
    this.#deps.reader.add(hash, spec);
    const key = policyKey(spec.policy);
    const existing = await this.#read(spec.policy, hookSpecConfigMapName(hash));
    const again = await this.#run(key, `${hash} ${generation}`, planSpecs(wanted, existing, isInUse));
    this.#wanted.set(key, wanted);
    return again;
  }

  /** Ends the policy on every node. */
  async remove(ref: PolicyRef): Promise<Again> {
    this.#wanted.delete(policyKey(ref));
    return this.#run(policyKey(ref), "removal", planRemoval(await this.#read(ref)));
  }

  /** The spec that was distributed last; undefined when the policy never compiled. */
  async lastGood(ref: PolicyRef): Promise<WantedSpec | undefined> {
    const distributed = this.distributed(policyKey(ref));
    if (distributed !== undefined) return distributed;
    const object = lastGoodOf(await this.#read(ref));
    if (object?.spec === undefined) return undefined;
    const hash = hashOfName(object.metadata.name);
    return { spec: object.spec, hash, generation: specGeneration(object) };
  }

  /** Key of the policy that wants the ConfigMap of this name. */
  wantedBy(name: string): string | undefined {
    for (const [key, { hash }] of this.#wanted) if (hookSpecConfigMapName(hash) === name) return key;
    return undefined;
  }

  /** What was written last, without asking the API. */
  distributed(key: string): WantedSpec | undefined {
    return this.#wanted.get(key);
  }

  /** Deletes a ConfigMap that has the operator's labels and no hook spec. */
  async discard(object: SpecObject): Promise<Again> {
    return this.#run(object.metadata.name, "discard", planDeletion(object), object.problem);
  }

  /** By label; what the label does not find any more is read by its name. */
  async #read(ref: PolicyRef, wantedName?: string): Promise<SpecObject[]> {
    const { client, namespace, reader } = this.#deps;
    const labelSelector = `${LABELS.policy}=${policyLabelValue(ref)}`;
    const listed = await client.listConfigMaps(namespace, labelSelector);
    const found = new Map(listed.map((object) => [object.metadata.name, parseSpecObject(object, reader)]));

    const missing = [...this.#knownNames(ref), ...(wantedName === undefined ? [] : [wantedName])];
    for (const name of missing.filter((candidate) => !found.has(candidate))) {
      const object = await client.findConfigMap(namespace, name);
      if (object !== undefined) found.set(name, parseSpecObject(object, reader));
    }
    return [...found.values()];
  }

  #knownNames(ref: PolicyRef): string[] {
    const key = policyKey(ref);
    const ours = [...this.#deps.known()].filter(
      ({ spec }) => spec !== undefined && policyKey(spec.policy) === key,
    );
    return ours.map((object) => object.metadata.name);
  }

  /**
   * All steps now, or none: half of them would leave a policy without a spec for as long as the delay. After a round
   * that had to wait, the problem is reported until what was written has held for the next delay.
   */
  async #run(key: string, purpose: string, steps: SpecStep[], why?: string): Promise<Again> {
    if (steps.length === 0) return undefined;
    const problem = steps.some(({ step }) => step !== "delete") ? { problem: UNDONE } : {};
    const waitMs = this.#pace.waitMs(key, purpose);
    if (waitMs > 0) return { againAfterMs: waitMs, ...problem };
    let nextMs = 0;
    for (const [index, step] of steps.entries()) {
      await this.#runStep(step);
      // A round counts from its first success: rounds that fail as a whole are repeated by the queue, with backoff.
      if (index === 0) nextMs = this.#noteRound(key, purpose);
      const details = { name: step.name, ...(why !== undefined && { why }) };
      this.#deps.logger.info(`${step.step} hook spec ConfigMap`, details);
    }
    return nextMs > 0 ? { againAfterMs: nextMs, ...problem } : undefined;
  }

  #noteRound(key: string, purpose: string): number {
    const nextMs = this.#pace.note(key, purpose);
    if (nextMs > 0) this.#deps.logger.warn(`${key}: ${UNDONE}; the next one waits ${nextMs / 1000} s`);
    return nextMs;
  }

  async #runStep(step: SpecStep): Promise<void> {
    const { client, namespace } = this.#deps;
    switch (step.step) {
      case "create":
        return this.#create(step);
      case "relabel":
        return client.patchConfigMap(namespace, step.name, relabelPatch(step));
      case "retire":
        return ignoreNotFound(client.patchConfigMap(namespace, step.name, RETIRE_PATCH));
      case "delete":
        return client.deleteConfigMap(namespace, step.name, step.uid);
    }
  }

  /** The name is the hash of the content: what another replica has created meanwhile is what is wanted. */
  async #create(step: Extract<SpecStep, { step: "create" }>): Promise<void> {
    const { client, namespace, reader } = this.#deps;
    if (await client.createConfigMap(namespace, makeConfigMap(namespace, step))) return;
    const existing = await client.findConfigMap(namespace, step.name);
    if (existing === undefined || parseSpecObject(existing, reader).spec === undefined)
      throw new Error(`create ConfigMap ${step.name}: one of this name exists with other content`);
    await client.patchConfigMap(namespace, step.name, relabelPatch(step));
  }
}

const RETIRE_PATCH = { metadata: { labels: { [LABELS.retired]: "true" } } };

function makeConfigMap(
  namespace: string,
  { name, revision, wanted }: Extract<SpecStep, { step: "create" }>,
): ConfigMap {
  const metadata = {
    name,
    namespace,
    ...specMetadata(wanted.spec, wanted.hash, revision, wanted.generation),
  };
  return { metadata, immutable: true, ...wanted.spec.data };
}

function relabelPatch({ revision, wanted }: Extract<SpecStep, { step: "create" | "relabel" }>) {
  const { labels, annotations } = specMetadata(wanted.spec, wanted.hash, revision, wanted.generation);
  return {
    immutable: true,
    metadata: {
      labels: { [LABELS.selectsNodes]: null, ...labels, [LABELS.retired]: null },
      annotations: { [LABELS.nodeSelector]: null, ...annotations },
    },
  };
}

async function ignoreNotFound(request: Promise<unknown>): Promise<void> {
  await request.catch((error: unknown) => {
    if (!hasStatus(error, 404)) throw error;
  });
}
