/**
 * An API server in memory. It answers lists, watches, merge patches and deletions as the real one does, each after a
 * few milliseconds of the test's clock. It serves tests of behaviour over minutes; e2e/api-server has the real one.
 */
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import type { ApiRequest, ApiResponse, Transport } from "../api-transport.ts";
import { KubeClient } from "../kube.ts";
import type { KubeObject, ObjectMeta } from "../resources.ts";

/** An object as the server stores it. */
export type Stored = KubeObject & {
  metadata: ObjectMeta & { finalizers?: string[] };
  immutable?: boolean;
  spec?: unknown;
  status?: unknown;
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
};

/** A write that the server received, and the time. */
export interface Write {
  method: string;
  path: string;
  at: number;
}

/** Identifies an object. */
interface Location {
  plural: string;
  namespace?: string | undefined;
  name?: string | undefined;
  subresource?: string | undefined;
}

type Selects = (object: Stored) => boolean;
type Change = { before: Stored | undefined; after: Stored | undefined };

const LATENCY_MS = 5;
const PATH =
  /^(?:\/api\/[^/]+|\/apis\/[^/]+\/[^/]+)(?:\/namespaces\/([^/]+))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/;

/** The server. It does not count a test's own put(), edit() and remove() as writes. */
export class MemoryApi implements Transport {
  readonly client: KubeClient;
  readonly writes: Write[] = [];
  /** Returns a status with which the server refuses a request, or undefined to let it through. */
  refuse: (request: ApiRequest) => number | undefined = () => undefined;
  /** A mutating webhook: changes an object before it is stored. */
  admit: (object: Stored, location: string) => void = () => {};
  /** A controller: called after each stored change. */
  react: (change: Change, location: string) => void = () => {};
  readonly #objects = new Map<string, Stored>();
  readonly #watches = new Set<(change: Change, plural: string) => void>();
  readonly #ends = new Set<() => void>();
  #version = 0;

  constructor() {
    const access = { server: new URL("http://memory"), tls: {}, authorize: async () => ({}) };
    this.client = new KubeClient(access, { userAgent: "test" }, this);
  }

  /** Objects of a resource, in the order of their creation. */
  list(plural: string): Stored[] {
    return [...this.#objects].filter(([key]) => key.startsWith(`${plural} `)).map(([, object]) => object);
  }

  /** Stores an object as another client would; it replaces one of the same name, which is deleted first. */
  put(plural: string, object: Stored): void {
    this.remove(plural, object.metadata.name);
    this.#create({ plural, namespace: object.metadata.namespace }, object);
  }

  /** Changes an object as another client would. */
  edit(plural: string, name: string, change: (object: Stored) => void): void {
    const key = this.#keyOf(plural, name);
    const before = key && this.#objects.get(key);
    if (!key || !before) return;
    const after = structuredClone(before);
    change(after);
    this.#store(key, before, after);
  }

  /** Deletes an object as another client would, whatever its finalizers. */
  remove(plural: string, name: string): void {
    const key = this.#keyOf(plural, name);
    if (key) this.#erase(key);
  }

  async send(request: ApiRequest): Promise<ApiResponse> {
    if (request.method !== "GET")
      this.writes.push({ method: request.method, path: request.path, at: Date.now() });
    await new Promise((resolve) => setTimeout(resolve, LATENCY_MS));
    const refused = this.refuse(request);
    if (refused !== undefined) return failure(refused, "refused by the test");
    return this.#answer(request, parsePath(request.path));
  }

  async open(request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const { plural, namespace } = parsePath(request.path);
    const selects = both(inNamespace(namespace), hasLabels(request.query?.labelSelector));
    if (this.refuse(request) !== undefined) throw new Error("refused by the test");
    const body = Object.assign(new PassThrough(), { statusCode: 200 });
    const push = (change: Change, changed: string) => {
      const event = changed === plural ? eventOf(change, selects) : undefined;
      if (event) setTimeout(() => body.write(`${JSON.stringify(event)}\n`), LATENCY_MS);
    };
    this.#watches.add(push);
    const end = () => {
      this.#ends.delete(end);
      this.#watches.delete(push);
      body.destroy();
    };
    this.#ends.add(end);
    signal.addEventListener("abort", end, { once: true });
    return body as unknown as IncomingMessage;
  }

  close(): void {}

  /** Ends every open watch, as a restart of the API server does. */
  breakWatches(): void {
    for (const end of [...this.#ends]) end();
  }

  #answer(request: ApiRequest, at: Location): ApiResponse {
    const key = keyOf(at);
    const found = this.#objects.get(key);
    if (request.method === "POST") return this.#post(at, request.body as Stored);
    if (request.method === "GET" && at.name === undefined) return this.#listing(at, request);
    if (!found) return failure(404, "not found");
    if (request.method === "DELETE") return this.#delete(key, found, request.body);
    if (request.method === "PATCH") return this.#patch(key, found, request);
    return success(found);
  }

  #listing({ plural, namespace }: Location, { query }: ApiRequest): ApiResponse {
    const selects = both(inNamespace(namespace), hasLabels(query?.labelSelector));
    return success({
      metadata: { resourceVersion: String(this.#version) },
      items: this.list(plural).filter(selects),
    });
  }

  #post(at: Location, object: Stored): ApiResponse {
    if (this.#objects.has(keyOf({ ...at, name: object.metadata.name }))) return failure(409, "AlreadyExists");
    return success(this.#create(at, object));
  }

  #create(at: Location, object: Stored): Stored {
    const key = keyOf({ ...at, name: object.metadata.name });
    const created = structuredClone(object);
    created.metadata.uid = `uid-${++this.#version}`;
    created.metadata.generation = 1;
    return this.#store(key, undefined, created);
  }

  #delete(key: string, found: Stored, body: unknown): ApiResponse {
    const uid = (body as { preconditions?: { uid?: string } } | undefined)?.preconditions?.uid;
    if (uid !== undefined && uid !== found.metadata.uid) return failure(409, "Conflict");
    if (!found.metadata.finalizers?.length) this.#erase(key);
    else if (found.metadata.deletionTimestamp === undefined) {
      const after = structuredClone(found);
      after.metadata.deletionTimestamp = new Date().toISOString();
      this.#store(key, found, after);
    }
    return success(found);
  }

  #patch(key: string, found: Stored, { body, contentType }: ApiRequest): ApiResponse {
    const after = structuredClone(found);
    if (contentType === "application/json-patch+json") {
      const [test, add] = body as { value: unknown }[];
      if (test?.value !== found.metadata.uid) return failure(422, "the test is not met");
      after.status = add?.value;
    } else mergePatch(after, body as object);
    if (found.immutable && (!after.immutable || !isDeepStrictEqual(after.data, found.data)))
      return failure(422, "field is immutable when `immutable` is set");
    return success(this.#store(key, found, after));
  }

  #store(key: string, before: Stored | undefined, after: Stored): Stored {
    this.admit(after, key);
    if (before && isDeepStrictEqual(before, after)) return before;
    if (before && !isDeepStrictEqual(before.spec, after.spec))
      after.metadata.generation = (before.metadata.generation ?? 0) + 1;
    after.metadata.resourceVersion = String(++this.#version);
    this.#objects.set(key, after);
    this.#announce({ before, after }, key);
    return after;
  }

  #erase(key: string): void {
    const before = this.#objects.get(key);
    this.#objects.delete(key);
    this.#version++;
    if (before) this.#announce({ before, after: undefined }, key);
  }

  #announce(change: Change, key: string): void {
    for (const push of this.#watches) push(change, key.split(" ", 1)[0] ?? "");
    this.react(change, key);
  }

  #keyOf(plural: string, name: string): string | undefined {
    return [...this.#objects.keys()].find((key) => key.startsWith(`${plural} `) && key.endsWith(` ${name}`));
  }
}

function parsePath(path: string): Location {
  const [, namespace, plural = "", name, subresource] = PATH.exec(path) ?? [];
  return { plural, namespace, name: name && decodeURIComponent(name), subresource };
}

function keyOf({ plural, namespace = "", name = "" }: Location): string {
  return `${plural} ${namespace} ${name}`;
}

function success(body: unknown): ApiResponse {
  return { status: 200, headers: {}, text: JSON.stringify(body) };
}

function failure(code: number, message: string): ApiResponse {
  return { status: code, headers: {}, text: JSON.stringify({ kind: "Status", code, message }) };
}

function both(first: Selects, second: Selects): Selects {
  return (object) => first(object) && second(object);
}

function inNamespace(namespace: string | undefined): Selects {
  return (object) => namespace === undefined || object.metadata.namespace === namespace;
}

/** Supports `KEY` and `KEY=VALUE`. */
function hasLabels(selector: unknown): Selects {
  const terms = typeof selector === "string" ? selector.split(",").map((term) => term.split("=")) : [];
  return ({ metadata: { labels = {} } }) =>
    terms.every(([key = "", value]) => (value === undefined ? key in labels : labels[key] === value));
}

/** A change as a watch with a selector sees it. */
function eventOf({ before, after }: Change, selects: Selects): { type: string; object: Stored } | undefined {
  const [was, is] = [before !== undefined && selects(before), after !== undefined && selects(after)];
  if (is && after) return { type: was ? "MODIFIED" : "ADDED", object: after };
  return was && before ? { type: "DELETED", object: after ?? before } : undefined;
}

function mergePatch(target: object, patch: object): void {
  const members = target as Record<string, unknown>;
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete members[name];
    else if (typeof value === "object" && !Array.isArray(value)) {
      members[name] ??= {};
      mergePatch(members[name] as object, value as object);
    } else members[name] = value;
  }
}
