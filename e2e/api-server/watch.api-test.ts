/**
 * lib/watch against a real API server and etcd: restarts, compaction, refused lists, connections that die silently.
 *
 *   node --test e2e/api-server/watch.api-test.ts
 */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import type { Registry } from "prom-client";
import type { KubeClient } from "../../lib/kube.ts";
import { createLogger } from "../../lib/logger.ts";
import { createRegistry, createWatchMetrics } from "../../lib/metrics.ts";
import type { KubeObject, Resource } from "../../lib/resources.ts";
import { ResourceWatch, type ResourceWatchOptions } from "../../lib/watch.ts";
import { type Patience, watchStream } from "../../lib/watch-stream.ts";
import { type ControlPlane, startControlPlane } from "../control-plane/control-plane.ts";
import { clientWith, eventually, kubectl, pause, serviceAccountToken } from "./api-clients.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

const NAMESPACE = "watched";
/** A resource that nothing else in a control plane watches, so that the server's count is ours. */
const POD_TEMPLATES: Resource = {
  group: "",
  version: "v1",
  plural: "podtemplates",
  kind: "PodTemplate",
  namespaced: true,
};
const PATIENCE: Patience = { answerMs: 30_000, bookmarkMs: 90_000, graceMs: 30_000 };
const TEMPLATE = { spec: { containers: [{ name: "c", image: "none" }] } };
const WRITER = { fieldManager: "test" };

let plane: ControlPlane;
let admin: KubeClient;
let registry: Registry;
let watch: ResourceWatch<KubeObject>;
/** A copy made from the calls of the handlers: it must equal the store and the API. */
let copy: Map<string, string>;

before(async () => {
  plane = await startControlPlane();
  admin = await clientWith(plane, plane.adminToken, "trigon-test");
  await kubectl(plane, "create", "namespace", NAMESPACE);
});
after(() => plane?.stop());

beforeEach(() => {
  copy = new Map();
  registry = createRegistry({ component: "test", version: "test", defaultMetrics: false });
});
afterEach(async () => {
  await watch.stop();
  await kubectl(plane, "delete", "podtemplates", "--all", "--namespace", NAMESPACE);
});

function startWatch(client: KubeClient, options: Partial<ResourceWatchOptions<KubeObject>> = {}): void {
  const logger = createLogger({ component: "test", level: "error" });
  const set = ({ metadata }: KubeObject) => copy.set(metadata.name, metadata.resourceVersion ?? "");
  watch = new ResourceWatch<KubeObject>(
    {
      client,
      resource: POD_TEMPLATES,
      namespace: NAMESPACE,
      logger,
      metrics: createWatchMetrics(registry),
      backoff: { initialMs: 50, maxMs: 500 },
      ...options,
    },
    {
      onAdd(object) {
        assert.ok(!copy.has(object.metadata.name), `${object.metadata.name} was added twice`);
        set(object);
      },
      onUpdate(object) {
        assert.ok(copy.has(object.metadata.name), `${object.metadata.name} was updated before it was added`);
        set(object);
      },
      onDelete(object) {
        assert.ok(
          copy.delete(object.metadata.name),
          `${object.metadata.name} was deleted before it was added`,
        );
      },
    },
  );
  watch.start();
}

const put = (name: string, value: string) =>
  admin.apply(
    POD_TEMPLATES,
    { metadata: { namespace: NAMESPACE, name, annotations: { value } }, template: TEMPLATE } as KubeObject,
    WRITER,
  );
const remove = (name: string) => admin.delete(POD_TEMPLATES, { namespace: NAMESPACE, name });

function clientThrough(proxy: TcpProxy): Promise<KubeClient> {
  return clientWith({ url: proxy.url, caFile: plane.caFile }, plane.adminToken, "trigon-test");
}

/** Waits until that copy equals the objects in the API. */
function caughtUp(): Promise<void> {
  return eventually(async () => {
    const objects = await admin.list(POD_TEMPLATES, { namespace: NAMESPACE });
    const truth = objects.map(({ metadata }) => [metadata.name, metadata.resourceVersion ?? ""]).sort();
    assert.deepEqual([...copy].sort(), truth);
    assert.deepEqual(
      [...watch.store.values()].map(({ metadata }) => [metadata.name, metadata.resourceVersion]).sort(),
      truth,
    );
  });
}

/** Watches that the API server has open, from all clients. */
async function openAtServer(): Promise<number> {
  const { text } = await admin.transport.send({ method: "GET", path: "/metrics" });
  const line =
    /^apiserver_longrunning_requests\{[^}]*resource="podtemplates"[^}]*scope="namespace"[^}]*verb="WATCH"[^}]*\} (\d+)$/m.exec(
      text,
    );
  return Number(line?.[1] ?? 0);
}

async function counted(name: string, labels: Record<string, string> = {}): Promise<number> {
  const values = (await registry.getSingleMetric(name)?.get())?.values ?? [];
  const matching = values.filter((one) =>
    Object.entries(labels).every(([key, value]) => one.labels[key] === value),
  );
  return matching.reduce((sum, { value }) => sum + value, 0);
}

async function oneIsOpen(): Promise<void> {
  await eventually(async () => {
    assert.equal(await counted("trigon_watch_open"), 1);
    assert.equal(await openAtServer(), 1);
  });
}

test("follows additions, changes and deletions", async () => {
  await put("before", "1");
  startWatch(admin);
  await watch.waitForSync();
  await put("a", "1");
  await put("a", "2");
  await put("b", "1");
  await remove("before");
  await caughtUp();
  await oneIsOpen();
});

test("reads a list of many pages completely", async () => {
  await Promise.all(Array.from({ length: 60 }, (_, i) => put(`many-${i}`, "1")));
  startWatch(admin, { pageSize: 7 });
  await watch.waitForSync();
  assert.equal(watch.store.size, 60);
  await caughtUp();
});

describe("restarts of the API server", () => {
  test("during continuous changes: nothing is missed, and one watch is open", async () => {
    startWatch(admin);
    await watch.waitForSync();
    let isDone = false;
    let changes = 0;
    const churn = (async () => {
      for (let i = 0; !isDone; i++) {
        const change = i % 3 === 2 ? remove(`churn-${(i - 2) % 7}`) : put(`churn-${i % 7}`, String(i));
        await change.then(() => changes++).catch(() => pause(20));
      }
    })();
    for (let i = 0; i < 3; i++) {
      await plane.restartApiServer();
      await eventually(() => assert.equal(watch.problem, undefined));
      const before = changes;
      await eventually(() => assert.ok(changes > before + 20));
    }
    isDone = true;
    await churn;
    await caughtUp();
    await oneIsOpen();
    assert.ok((await counted("trigon_watch_restarts_total")) >= 3);
  });

  test("objects deleted during an outage are reported as deleted", async () => {
    await put("stays", "1");
    await put("goes", "1");
    startWatch(admin);
    await watch.waitForSync();
    await plane.stopApiServer();
    await eventually(() => assert.match(watch.problem ?? "", /ECONNREFUSED|ECONNRESET|socket hang up/));
    await plane.startApiServer();
    await remove("goes");
    await caughtUp();
    assert.deepEqual([...copy.keys()], ["stays"]);
  });
});

test("a compacted history is answered by a new list, deletions included", async (t) => {
  await put("stays", "1");
  await put("goes", "1");
  const proxy = await startTcpProxy(new URL(plane.url));
  t.after(() => proxy.close());
  startWatch(await clientThrough(proxy));
  await watch.waitForSync();
  await eventually(async () => assert.equal(await counted("trigon_watch_open"), 1));

  proxy.refuse();
  await remove("goes");
  await put("comes", "1");
  await compact();
  await plane.restartApiServer(); // its watch cache forgets the history, too
  proxy.accept();
  await caughtUp();
  assert.equal(await counted("trigon_watch_restarts_total", { reason: "expired" }), 1);
  assert.equal(await counted("trigon_watch_lists_total"), 2);
  await oneIsOpen();
});

test("lists that are refused are tried again until they are allowed", async () => {
  await kubectl(plane, "create", "serviceaccount", "reader", "--namespace", NAMESPACE);
  const token = await serviceAccountToken(plane, NAMESPACE, "reader");
  startWatch(await clientWith(plane, token, "trigon-test"));
  await eventually(() => assert.match(watch.problem ?? "", /403 Forbidden/));
  await kubectl(
    plane,
    "create",
    "role",
    "reader",
    "--namespace",
    NAMESPACE,
    "--verb=list,watch",
    "--resource=podtemplates",
  );
  await kubectl(
    plane,
    "create",
    "rolebinding",
    "reader",
    "--namespace",
    NAMESPACE,
    "--role=reader",
    `--serviceaccount=${NAMESPACE}:reader`,
  );
  await eventually(() => assert.equal(watch.problem, undefined));
  await put("a", "1");
  await caughtUp();
});

test("a connection that dies without notice is replaced by exactly one other, and nothing is missed", async (t) => {
  const proxy = await startTcpProxy(new URL(plane.url));
  t.after(() => proxy.close());
  startWatch(await clientThrough(proxy), {
    watchSeconds: { min: 1, max: 1 },
    patience: { ...PATIENCE, graceMs: 500 },
  });
  await watch.waitForSync();
  await eventually(async () => assert.equal(await counted("trigon_watch_open"), 1));
  proxy.freeze();
  await put("a", "1");
  await pause(300);
  assert.equal(copy.has("a"), false, "the frozen connection delivers nothing");
  proxy.accept();
  await caughtUp();
  assert.ok((await counted("trigon_watch_restarts_total", { reason: "idle" })) >= 1);
});

test("once there was a change, a quiet watch gets a bookmark before it counts as dead", {
  timeout: 100_000,
}, async (t) => {
  startWatch(admin);
  await watch.waitForSync();
  const { resourceVersion } = await admin.listPage(POD_TEMPLATES, { namespace: NAMESPACE }, 1);
  const controller = new AbortController();
  const stream = watchStream(admin.transport, POD_TEMPLATES, {
    namespace: NAMESPACE,
    labelSelector: "never=matches",
    resourceVersion,
    timeoutSeconds: 300,
    patience: PATIENCE,
    signal: controller.signal,
    onOpen: () => setTimeout(() => void put("a", "1"), 500),
  });
  t.after(() => controller.abort());
  const first = await stream.next();
  assert.equal(first.value?.type, "BOOKMARK");
  assert.ok(Number(first.value?.object.metadata.resourceVersion) > Number(resourceVersion));
});

test("stop leaves no watch behind", async () => {
  startWatch(admin);
  await watch.waitForSync();
  await oneIsOpen();
  await watch.stop();
  await eventually(async () => assert.equal(await openAtServer(), 0));
});

async function compact(): Promise<void> {
  const { resourceVersion } = await admin.listPage(POD_TEMPLATES, { namespace: NAMESPACE }, 1);
  const response = await fetch(`${plane.etcdUrl}/v3/kv/compaction`, {
    method: "POST",
    body: JSON.stringify({ revision: resourceVersion, physical: true }),
  });
  assert.equal(response.status, 200, await response.text());
}
