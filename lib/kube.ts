/** A thin typed client of the Kubernetes REST API. */
import { type ApiRequest, ApiTransport, type Transport, type TransportOptions } from "./api-transport.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { hasStatus, KubeError, parseAnswer, parseStatus, withRetryAfter } from "./kube-error.ts";
import { apiVersion, type KubeObject, type ObjectName, type Resource, resourcePath } from "./resources.ts";
import { type Selection, type WatchEvent, type WatchStreamOptions, watchStream } from "./watch-stream.ts";

/** One page of a list; `continue` is absent on the last one. */
export interface Page<T> {
  items: T[];
  resourceVersion: string;
  continue?: string;
  /** About how many objects come after this page; the API server counts them for lists without selectors only. */
  remaining?: number;
}

/** What a watch needs of a client. */
export interface ListAndWatch {
  listPage<T extends KubeObject>(
    resource: Resource,
    selection: Selection,
    limit: number,
    continueToken?: string,
  ): Promise<Page<T>>;
  /** The events of one watch request until its end. */
  watch(resource: Resource, options: WatchStreamOptions): AsyncIterable<WatchEvent>;
}

/** All objects, read in pages of one consistent snapshot. */
export async function listAll<T extends KubeObject>(
  client: Pick<ListAndWatch, "listPage">,
  resource: Resource,
  selection: Selection,
): Promise<T[]> {
  const items: T[] = [];
  let page: Page<T> | undefined;
  do {
    page = await client.listPage<T>(resource, selection, PAGE_SIZE, page?.continue);
    items.push(...page.items);
  } while (page.continue !== undefined);
  return items;
}

/** How an object is written. */
export interface WriteOptions {
  fieldManager: string;
  /** `status`, for example; absent for the object itself. */
  subresource?: string;
}

const PAGE_SIZE = 500;

/** Every method rejects with KubeError if the API server refuses, and with another Error if there is no response. */
export class KubeClient implements ListAndWatch {
  readonly transport: Transport;
  readonly #access: ClusterAccess;
  readonly #options: TransportOptions;

  constructor(access: ClusterAccess, options: TransportOptions, transport?: Transport) {
    this.#access = access;
    this.#options = options;
    this.transport = transport ?? new ApiTransport(access, options);
  }

  /** The same client, for which lists and watches return the metadata of objects alone. */
  onlyMetadata(): ListAndWatch {
    return new KubeClient(this.#access, this.#options, metadataTransport(this.transport));
  }

  /** Undefined when the object does not exist. */
  async find<T extends KubeObject>(resource: Resource, name: ObjectName): Promise<T | undefined> {
    try {
      return await this.get<T>(resource, name);
    } catch (error) {
      if (hasStatus(error, 404)) return undefined;
      throw error;
    }
  }

  get<T extends KubeObject>(resource: Resource, name: ObjectName): Promise<T> {
    return this.#request<T>({ method: "GET", path: resourcePath(resource, name) });
  }

  /** All objects, read in pages of one consistent snapshot. */
  list<T extends KubeObject>(resource: Resource, selection: Selection = {}): Promise<T[]> {
    return listAll<T>(this, resource, selection);
  }

  async listPage<T extends KubeObject>(
    resource: Resource,
    selection: Selection,
    limit: number,
    continueToken?: string,
  ): Promise<Page<T>> {
    const { namespace, labelSelector, fieldSelector } = selection;
    const path = resourcePath(resource, namespace === undefined ? {} : { namespace });
    const query = { limit, continue: continueToken, labelSelector, fieldSelector };
    const list = await this.#request<ListBody<T>>({ method: "GET", path, query }, isList);
    const { resourceVersion, continue: next, remainingItemCount } = list.metadata;
    const page = { items: list.items ?? [], resourceVersion };
    const remaining = remainingItemCount !== undefined && { remaining: remainingItemCount };
    return next ? { ...page, continue: next, ...remaining } : page;
  }

  watch(resource: Resource, options: WatchStreamOptions): AsyncGenerator<WatchEvent> {
    return watchStream(this.transport, resource, options);
  }

  create<T extends KubeObject>(resource: Resource, object: T, options: WriteOptions): Promise<T> {
    const { namespace } = object.metadata;
    const path = resourcePath(resource, namespace === undefined ? {} : { namespace });
    const query = { fieldManager: options.fieldManager };
    return this.#request<T>({ method: "POST", path, query, body: withKind(resource, object) });
  }

  /** Server-side apply. It takes over fields of other writers, because each of our objects has one writer. */
  apply<T extends KubeObject>(resource: Resource, object: T, options: WriteOptions): Promise<T> {
    const body = withKind(resource, object);
    return this.#patch<T>(resource, object.metadata, body, "application/apply-patch+yaml", options, true);
  }

  /** Server-side apply of the status subresource. */
  applyStatus<T extends KubeObject>(resource: Resource, object: T, options: WriteOptions): Promise<T> {
    return this.apply(resource, object, { ...options, subresource: "status" });
  }

  /** JSON merge patch. */
  mergePatch<T extends KubeObject>(
    resource: Resource,
    name: ObjectName,
    patch: unknown,
    options: WriteOptions,
  ): Promise<T> {
    return this.#patch<T>(resource, name, patch, "application/merge-patch+json", options);
  }

  /** Deletes an object; false if there was none. With `uid`, a different object of the same name is not deleted. */
  async delete(resource: Resource, name: ObjectName, uid?: string): Promise<boolean> {
    const body = uid === undefined ? undefined : { preconditions: { uid } };
    try {
      await this.#request<unknown>({ method: "DELETE", path: resourcePath(resource, name), body });
      return true;
    } catch (error) {
      if (hasStatus(error, 404) || (uid !== undefined && hasStatus(error, 409))) return false;
      throw error;
    }
  }

  #patch<T>(
    resource: Resource,
    name: ObjectName,
    body: unknown,
    contentType: string,
    options: WriteOptions,
    force?: boolean,
  ): Promise<T> {
    const { fieldManager, subresource } = options;
    const path = resourcePath(resource, { ...name, ...(subresource !== undefined && { subresource }) });
    return this.#request<T>({ method: "PATCH", path, query: { fieldManager, force }, body, contentType });
  }

  async #request<T>(request: ApiRequest, fits?: (body: Partial<T>) => boolean): Promise<T> {
    const { status, text, headers } = await this.transport.send(request);
    const step = `${request.method} ${request.path}`;
    if (status < 400) return parseAnswer<T>(step, text, fits);
    throw new KubeError(step, status, withRetryAfter(parseStatus(text), headers));
  }
}

function metadataTransport(transport: Transport): Transport {
  const asking = (request: ApiRequest, kind: string): ApiRequest => ({
    ...request,
    headers: { ...request.headers, accept: `application/json;as=${kind};g=meta.k8s.io;v=v1` },
  });
  return {
    send: (request) => transport.send(asking(request, "PartialObjectMetadataList")),
    open: (request, signal) => transport.open(asking(request, "PartialObjectMetadata"), signal),
    close: () => transport.close(),
  };
}

interface ListBody<T> {
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
  /** Null in an empty list of metadata. */
  items: T[] | null;
}

function isList({ metadata, items }: Partial<ListBody<unknown>>): boolean {
  return (items === null || Array.isArray(items)) && typeof metadata === "object";
}

function withKind<T extends KubeObject>(resource: Resource, object: T): T {
  return { apiVersion: apiVersion(resource), kind: resource.kind, ...object };
}
