/** Brings the ConfigMaps of one policy to what is planned. */
import { hookSpecHash } from "../../crds/hook-spec.ts";
import {
  FIELD_MANAGERS,
  hookSpecConfigMapName,
  LABELS,
  type PolicyRef,
  policyKey,
  policyLabelValue,
} from "../../crds/names.ts";
import { encodeSpec } from "../../crds/spec-config-map.ts";
import type { KubeClient } from "../../lib/kube.ts";
import { hasStatus } from "../../lib/kube-error.ts";
import type { Logger } from "../../lib/logger.ts";
import { CONFIG_MAPS } from "../../lib/resources.ts";
import {
  type ConfigMap,
  parseSpecObject,
  type SpecObject,
  specGeneration,
  specMetadata,
} from "./config-map.ts";
import { lastGoodOf, planRemoval, planSpecs, type SpecStep, type WantedSpec } from "./plan.ts";

const WRITER = { fieldManager: FIELD_MANAGERS.operator };

/** What the store works with. */
export interface SpecStoreDeps {
  client: KubeClient;
  namespace: string;
  logger: Logger;
  /** ConfigMaps as the watch knows them: finds those whose labels were changed by hand. */
  known(): Iterable<SpecObject>;
}

/** Writes the hook-spec ConfigMaps; reads them from the API each time, because two edits may be faster than a watch. */
export class SpecStore {
  readonly #deps: SpecStoreDeps;
  /** What each policy's nodes should run, by policy key: puts back what was deleted while the policy is invalid. */
  readonly #wanted = new Map<string, WantedSpec>();

  constructor(deps: SpecStoreDeps) {
    this.#deps = deps;
  }

  /** Makes the wanted spec the one that agents run; `isInUse` tells which previous ones must stay. */
  async apply(wanted: WantedSpec, isInUse: (name: string) => boolean): Promise<void> {
    const existing = await this.#read(wanted.spec.policy, hookSpecConfigMapName(wanted.hash));
    await this.#run(planSpecs(wanted, existing, isInUse));
    this.#wanted.set(policyKey(wanted.spec.policy), wanted);
  }

  /** Ends the policy on every node. */
  async remove(ref: PolicyRef): Promise<void> {
    this.#wanted.delete(policyKey(ref));
    await this.#run(planRemoval(await this.#read(ref)));
  }

  /** The spec that was distributed last; undefined when the policy never compiled. */
  async lastGood(ref: PolicyRef): Promise<WantedSpec | undefined> {
    const distributed = this.distributed(policyKey(ref));
    if (distributed !== undefined) return distributed;
    const object = lastGoodOf(await this.#read(ref));
    if (object?.spec === undefined) return undefined;
    return { spec: object.spec, hash: hookSpecHash(object.spec), generation: specGeneration(object) };
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

  /** Deletes a ConfigMap that claims to be ours and carries nothing. */
  async discard(object: SpecObject): Promise<void> {
    await this.#run([{ step: "delete", name: object.metadata.name, uid: object.metadata.uid ?? "" }]);
  }

  /** By label; what the label does not find any more is read by its name. */
  async #read(ref: PolicyRef, wantedName?: string): Promise<SpecObject[]> {
    const { client, namespace } = this.#deps;
    const labelSelector = `${LABELS.policy}=${policyLabelValue(ref)}`;
    const listed = await client.list<ConfigMap>(CONFIG_MAPS, { namespace, labelSelector });
    const found = new Map(listed.map((object) => [object.metadata.name, parseSpecObject(object)]));

    const missing = [...this.#knownNames(ref), ...(wantedName === undefined ? [] : [wantedName])];
    for (const name of missing.filter((candidate) => !found.has(candidate))) {
      const object = await client.find<ConfigMap>(CONFIG_MAPS, { namespace, name });
      if (object !== undefined) found.set(name, parseSpecObject(object));
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

  async #run(steps: SpecStep[]): Promise<void> {
    for (const step of steps) {
      await this.#runStep(step);
      this.#deps.logger.info(`${step.step} hook spec ConfigMap`, { name: step.name });
    }
  }

  async #runStep(step: SpecStep): Promise<void> {
    const { client, namespace } = this.#deps;
    const name = { namespace, name: step.name };
    switch (step.step) {
      case "create":
        await client.create<ConfigMap>(CONFIG_MAPS, makeConfigMap(namespace, step), WRITER);
        return;
      case "relabel":
        await client.mergePatch(CONFIG_MAPS, name, relabelPatch(step), WRITER);
        return;
      case "retire":
        await ignoreNotFound(client.mergePatch(CONFIG_MAPS, name, RETIRE_PATCH, WRITER));
        return;
      case "delete":
        await client.delete(CONFIG_MAPS, name, step.uid);
        return;
    }
  }
}

const RETIRE_PATCH = { metadata: { labels: { [LABELS.retired]: "true" } } };

function makeConfigMap(
  namespace: string,
  { name, revision, wanted }: Extract<SpecStep, { step: "create" }>,
): ConfigMap {
  const encoded = encodeSpec(wanted.spec);
  if (!encoded.ok) throw new Error(encoded.message); // reconcile refuses it before
  const metadata = {
    name,
    namespace,
    ...specMetadata(wanted.spec, wanted.hash, revision, wanted.generation),
  };
  return { metadata, immutable: true, ...encoded.data };
}

function relabelPatch({ revision, wanted }: Extract<SpecStep, { step: "relabel" }>) {
  const { labels, annotations } = specMetadata(wanted.spec, wanted.hash, revision, wanted.generation);
  return { immutable: true, metadata: { labels: { ...labels, [LABELS.retired]: null }, annotations } };
}

async function ignoreNotFound(request: Promise<unknown>): Promise<void> {
  await request.catch((error: unknown) => {
    if (!hasStatus(error, 404)) throw error;
  });
}
