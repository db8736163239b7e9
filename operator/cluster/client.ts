/** What the operator reads and writes: hook specs, Events and statuses, each by its typed API. */
import type { CoreV1Event, V1ConfigMap } from "@kubernetes/client-node";
import { FIELD_MANAGERS, type PolicyKind } from "../../crds/names.ts";
import { type ListAndWatch, listAll, type Page } from "../../lib/kube.ts";
import { hasStatus, isFailedTest } from "../../lib/kube-error.ts";
import {
  CONFIG_MAPS,
  type KubeObject,
  type ObjectMeta,
  objectKey,
  type Resource,
} from "../../lib/resources.ts";
import type { Selection, WatchEvent, WatchStreamOptions } from "../../lib/watch-stream.ts";
import type { ConfigMap } from "../distribute/config-map.ts";
import { POLICY_RESOURCES } from "../resources.ts";
import { type Apis, asWire, ignoring, JSON_PATCH, MERGE_PATCH, request } from "./api.ts";
import { watchEvents } from "./watch-events.ts";

const fieldManager = FIELD_MANAGERS.operator;

/** Every method rejects with KubeError if the API server refuses, and with another Error if there is no response. */
export class OperatorClient implements ListAndWatch {
  readonly #apis: Apis;

  constructor(apis: Apis) {
    this.#apis = apis;
  }

  async listPage<T extends KubeObject>(
    resource: Resource,
    selection: Selection,
    limit: number,
    continueToken?: string,
  ): Promise<Page<T>> {
    const { labelSelector, fieldSelector } = selection;
    const query = {
      limit,
      ...(continueToken !== undefined && { _continue: continueToken }),
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    };
    const list = await request(`list ${resource.plural}`, this.#list(resource, selection.namespace, query));
    const { resourceVersion = "", _continue: next } = list.metadata ?? {};
    return { items: list.items as T[], resourceVersion, ...(next && { continue: next }) };
  }

  watch(resource: Resource, options: WatchStreamOptions): AsyncIterable<WatchEvent> {
    return watchEvents(this.#apis.watch, resource, options);
  }

  /** Hook specs with these labels. */
  listConfigMaps(namespace: string, labelSelector: string): Promise<ConfigMap[]> {
    return listAll<ConfigMap>(this, CONFIG_MAPS, { namespace, labelSelector });
  }

  /** Undefined when it does not exist. */
  async findConfigMap(namespace: string, name: string): Promise<ConfigMap | undefined> {
    const sent = request(
      `read configmap ${name}`,
      this.#apis.core.readNamespacedConfigMap({ namespace, name }),
    );
    const found = await ignoring(404, sent);
    return found && asWire<ConfigMap>(found);
  }

  /** False if one of this name exists. */
  async createConfigMap(namespace: string, body: ConfigMap): Promise<boolean> {
    const { core } = this.#apis;
    const typed = body as unknown as V1ConfigMap;
    const sent = request(
      `create configmap ${body.metadata.name}`,
      core.createNamespacedConfigMap({ namespace, body: typed, fieldManager }),
    );
    return (await ignoring(409, sent)) !== undefined;
  }

  async patchConfigMap(namespace: string, name: string, body: object): Promise<void> {
    const { core } = this.#apis;
    const sent = core.patchNamespacedConfigMap({ namespace, name, body, fieldManager }, MERGE_PATCH);
    await request(`patch configmap ${name}`, sent);
  }

  /** Deletes the ConfigMap with this uid, and does nothing if there is none. */
  async deleteConfigMap(namespace: string, name: string, uid: string): Promise<void> {
    const body = { preconditions: { uid } };
    const sent = this.#apis.core.deleteNamespacedConfigMap({ namespace, name, body });
    await ignoring(404, ignoring(409, request(`delete configmap ${name}`, sent)));
  }

  async createEvent(namespace: string, body: CoreV1Event): Promise<void> {
    const { core } = this.#apis;
    await request("create event", core.createNamespacedEvent({ namespace, body, fieldManager }));
  }

  /** False if it has expired. */
  async patchEvent(namespace: string, name: string, body: object): Promise<boolean> {
    const { core } = this.#apis;
    const sent = core.patchNamespacedEvent({ namespace, name, body, fieldManager }, MERGE_PATCH);
    return (await ignoring(404, request(`patch event ${name}`, sent))) !== undefined;
  }

  /**
   * Replaces the whole status of the policy with this uid, including fields of other writers, which server-side apply
   * would leave. Returns false if there is no such policy, or if it has another uid.
   */
  async replaceStatus(kind: PolicyKind, metadata: ObjectMeta, status: object): Promise<boolean> {
    const { name, namespace, uid } = metadata;
    const { custom } = this.#apis;
    const { group, version, plural } = POLICY_RESOURCES[kind];
    const body = [
      { op: "test", path: "/metadata/uid", value: uid },
      { op: "add", path: "/status", value: status },
    ];
    const at = { group, version, plural, name, body, fieldManager };
    const sent =
      namespace === undefined
        ? custom.patchClusterCustomObjectStatus(at, JSON_PATCH)
        : custom.patchNamespacedCustomObjectStatus({ ...at, namespace }, JSON_PATCH);
    try {
      await request(
        `write the status of ${plural} ${objectKey({ name, ...(namespace && { namespace }) })}`,
        sent,
      );
      return true;
    } catch (error) {
      if (isFailedTest(error)) return false;
      if (!hasStatus(error, 404)) throw error;
      if ((await this.#findPolicyUid(kind, metadata)) !== uid) return false;
      throw new Error(foreignDefinition(`${plural}.${group}`), { cause: error });
    }
  }

  /** The API server says "not found" both of a policy that is gone and of a status that the definition does not have. */
  async #findPolicyUid(
    kind: PolicyKind,
    { name, namespace }: Pick<ObjectMeta, "name" | "namespace">,
  ): Promise<string | undefined> {
    const place = namespace === undefined ? "" : `,metadata.namespace=${namespace}`;
    const fieldSelector = `metadata.name=${name}${place}`;
    const { items } = await this.listPage(POLICY_RESOURCES[kind], { fieldSelector }, 1);
    return items[0]?.metadata.uid;
  }

  #list(resource: Resource, namespace: string | undefined, query: ListQuery): Promise<TypedList> {
    const { core, custom } = this.#apis;
    const { group, version, plural } = resource;
    if (group !== "")
      return custom.listClusterCustomObject({ group, version, plural, ...query }).then(wireList);
    if (namespace === undefined) throw new Error(`${plural} are listed in one namespace only`);
    if (plural === "pods") return core.listNamespacedPod({ namespace, ...query }).then(typedList);
    if (plural === "configmaps") return core.listNamespacedConfigMap({ namespace, ...query }).then(typedList);
    throw new Error(`the operator does not read ${plural}`);
  }
}

function foreignDefinition(name: string): string {
  return (
    `the definition ${name} has no status: another project's has taken the place of Trigon's, or it is gone; ` +
    "apply Trigon's again (docs/coming-from-tetragon.md)"
  );
}

interface ListQuery {
  limit: number;
  _continue?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

interface TypedList {
  metadata?: { resourceVersion?: string; _continue?: string };
  items: KubeObject[];
}

function typedList(list: { metadata?: TypedList["metadata"]; items: object[] }): TypedList {
  return {
    ...(list.metadata && { metadata: list.metadata }),
    items: list.items.map((item) => asWire<KubeObject>(item)),
  };
}

/** Custom resources come as they were on the wire. */
function wireList(list: {
  metadata: { resourceVersion: string; continue?: string };
  items: KubeObject[];
}): TypedList {
  const { resourceVersion, continue: next } = list.metadata;
  return { metadata: { resourceVersion, ...(next && { _continue: next }) }, items: list.items };
}
