import { afterEach, expect, test } from "vitest";
import { CONFIG_MAPS, type KubeObject } from "./resources.ts";
import {
  events,
  makeLogger,
  makeObject,
  page,
  refuse,
  type Script,
  type ScriptedServer,
  startScriptedServer,
} from "./testing/api-server.ts";
import { until } from "./testing/waiting.ts";
import { ResourceWatch, type ResourceWatchOptions } from "./watch.ts";
import type { Patience } from "./watch-stream.ts";

let server: ScriptedServer;
let watch: ResourceWatch<KubeObject>;
let seen: string[];
let problems: string[];

afterEach(async () => {
  await watch.stop();
  await server.close();
});

async function start(
  scripts: { lists: Script[]; watches: Script[] },
  options: Partial<ResourceWatchOptions<KubeObject>> = {},
  onAdd?: () => void,
) {
  server = await startScriptedServer(scripts);
  seen = [];
  problems = [];
  const say = (what: string) => (object: KubeObject) =>
    seen.push(`${what} ${object.metadata.name}@${object.metadata.resourceVersion}`);
  watch = new ResourceWatch<KubeObject>(
    {
      client: server.client,
      resource: CONFIG_MAPS,
      logger: makeLogger(),
      backoff: { initialMs: 2, maxMs: 10 },
      ...options,
    },
    {
      onAdd: onAdd ?? say("add"),
      onUpdate: say("update"),
      onDelete: say("delete"),
      onSync: () => seen.push("sync"),
      onProblem: (problem) => problems.push(problem === undefined ? "none" : String(problem)),
    },
  );
  watch.start();
}

const bookmark = (resourceVersion: string): [string, unknown] => [
  "BOOKMARK",
  { metadata: { resourceVersion } },
];
const expired: [string, unknown] = [
  "ERROR",
  { kind: "Status", code: 410, reason: "Expired", message: "too old" },
];

const cases: Record<string, { lists: Script[]; watches: Script[]; want: string[]; watchFrom?: string[] }> = {
  "a list in pages becomes adds and one sync": {
    lists: [page([makeObject("a", "1")], "7", "token"), page([makeObject("b", "2")], "7")],
    watches: [],
    want: ["add a@1", "add b@2", "sync"],
    watchFrom: ["7"],
  },
  "watch events update the store": {
    lists: [page([makeObject("a", "1")], "7")],
    watches: [
      events(
        [
          ["ADDED", makeObject("b", "8")],
          ["MODIFIED", makeObject("a", "9")],
          ["DELETED", makeObject("b", "10")],
        ],
        "silence",
      ),
    ],
    want: ["add a@1", "sync", "add b@8", "update a@9", "delete b@10"],
  },
  "a watch that ends is resumed after the last event": {
    lists: [page([], "7")],
    watches: [
      events([["ADDED", makeObject("a", "8")]], "end"),
      events([["ADDED", makeObject("b", "9")]], "silence"),
    ],
    want: ["sync", "add a@8", "add b@9"],
    watchFrom: ["7", "8"],
  },
  "a bookmark moves the point of resumption": {
    lists: [page([], "7")],
    watches: [events([bookmark("5000")], "end"), events([["ADDED", makeObject("a", "5001")]], "silence")],
    want: ["sync", "add a@5001"],
    watchFrom: ["7", "5000"],
  },
  "list errors are survived": {
    lists: [refuse(500, "InternalError"), refuse(403, "Forbidden"), page([makeObject("a", "1")], "7")],
    watches: [],
    want: ["add a@1", "sync"],
  },
  "a refused watch is tried again without a new list": {
    lists: [page([], "7")],
    watches: [refuse(500, "InternalError"), events([["ADDED", makeObject("a", "8")]], "silence")],
    want: ["sync", "add a@8"],
    watchFrom: ["7", "7"],
  },
  "after an expired event the new list is compared with the store, deletions included": {
    lists: [
      page([makeObject("a", "1"), makeObject("b", "2"), makeObject("c", "3")], "7"),
      page([makeObject("a", "1"), makeObject("b", "9")], "20"),
    ],
    watches: [events([expired], "end")],
    want: ["add a@1", "add b@2", "add c@3", "sync", "update b@9", "delete c@3"],
    watchFrom: ["7", "20"],
  },
  "an expired answer to the watch request lists again, too": {
    lists: [page([], "7"), page([makeObject("a", "9")], "20")],
    watches: [refuse(410, "Expired")],
    want: ["sync", "add a@9"],
    watchFrom: ["7", "20"],
  },
  "a continue token that expired starts the list anew": {
    lists: [
      page([makeObject("a", "1")], "7", "token"),
      refuse(410, "Expired"),
      page([makeObject("a", "1"), makeObject("b", "2")], "9"),
    ],
    watches: [],
    want: ["add a@1", "add b@2", "sync"],
    watchFrom: ["9"],
  },
  "an object that was replaced while away is a delete and an add": {
    lists: [page([makeObject("a", "1", "old")], "7"), page([makeObject("a", "15", "new")], "20")],
    watches: [refuse(410, "Gone")],
    want: ["add a@1", "sync", "delete a@1", "add a@15"],
  },
  "a line cut in two by the network is one event": {
    lists: [page([], "7")],
    watches: [
      (_request, response) => {
        const line = JSON.stringify({ type: "ADDED", object: makeObject("ä", "8") });
        const bytes = Buffer.from(`${line}\n`);
        const cut = bytes.indexOf(Buffer.from("ä")) + 1;
        response.write(bytes.subarray(0, cut));
        setTimeout(() => response.write(bytes.subarray(cut)), 20);
      },
    ],
    want: ["sync", "add ä@8"],
  },
};
test.each(Object.entries(cases))("%s", async (_name, { lists, watches, want, watchFrom }) => {
  await start({ lists, watches });
  await until(() => expect(seen).toEqual(want));
  if (watchFrom) {
    await until(() =>
      expect(server.watches.map((url) => url.searchParams.get("resourceVersion"))).toEqual(watchFrom),
    );
  }
});

test("asks for bookmarks, a time limit and the selection", async () => {
  await start(
    { lists: [page([], "7")], watches: [] },
    { namespace: "n", labelSelector: "l=1", fieldSelector: "f=2" },
  );
  await until(() => expect(server.watches).toHaveLength(1));
  const [url] = server.watches;
  expect(url?.pathname).toBe("/api/v1/namespaces/n/configmaps");
  expect(Object.fromEntries(url?.searchParams ?? [])).toMatchObject({
    allowWatchBookmarks: "true",
    labelSelector: "l=1",
    fieldSelector: "f=2",
  });
  expect(Number(url?.searchParams.get("timeoutSeconds"))).toBeGreaterThanOrEqual(300);
});

const silences: Record<string, { first: Script; patience: Partial<Patience>; watchSeconds?: number }> = {
  "a server that accepts and never answers": { first: () => undefined, patience: { answerMs: 100 } },
  "a watch that was quiet beyond its promised end": {
    first: events([], "silence"),
    patience: { graceMs: 100 },
    watchSeconds: 0,
  },
  "a watch that had bookmarks and has none any more": {
    first: events([bookmark("7")], "silence"),
    patience: { bookmarkMs: 100 },
  },
};
test.each(Object.entries(silences))(
  "%s is given up and replaced by exactly one other",
  async (_name, one) => {
    const patience = { answerMs: 60_000, bookmarkMs: 60_000, graceMs: 60_000, ...one.patience };
    const seconds = one.watchSeconds ?? 60;
    await start(
      { lists: [page([], "7")], watches: [one.first, events([["ADDED", makeObject("a", "8")]], "silence")] },
      { patience, watchSeconds: { min: seconds, max: seconds } },
    );
    await until(() => expect(seen).toEqual(["sync", "add a@8"]));
    await until(() => expect(server.open()).toBe(1));
  },
);

test("a quiet watch without bookmarks is left alone: some servers send none before the first change", async () => {
  const patience = { answerMs: 50, bookmarkMs: 50, graceMs: 60_000 };
  await start({ lists: [page([], "7")], watches: [events([], "silence")] }, { patience });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(server.watches).toHaveLength(1);
});

test("stop closes the connection, and no handler is called any more", async () => {
  await start({ lists: [page([], "7")], watches: [events([], "silence")] });
  await until(() => expect(server.open()).toBe(1));
  await watch.stop();
  await until(() => expect(server.open()).toBe(0));
  expect(server.watches).toHaveLength(1);
});

test("a watch that the server ends at once is not repeated without a pause", async () => {
  const endless = Array.from({ length: 100 }, () => events([], "end"));
  await start(
    { lists: [page([], "7")], watches: endless },
    { backoff: { initialMs: 100, maxMs: 1_000 }, random: () => 1 },
  );
  await new Promise((resolve) => setTimeout(resolve, 450));
  expect(server.watches.length).toBeGreaterThan(1);
  expect(server.watches.length).toBeLessThanOrEqual(4);
});

test("watches that are all ended at once are a problem until one lasts", async () => {
  const logger = makeLogger();
  const warned: unknown[] = [];
  logger.warn = ((...args: unknown[]) => warned.push(args)) as unknown as typeof logger.warn;
  const ended = Array.from({ length: 12 }, () => events([], "end"));
  const lasting = events([["ADDED", makeObject("a", "8")]], "silence");
  await start({ lists: [page([], "7")], watches: [...ended, lasting] }, { logger });
  await until(() => expect(watch.problem).toMatch(/^the watch on configmaps ends at once, 5 times in a row/));
  await until(() => expect(seen).toEqual(["sync", "add a@8"]));
  expect(watch.problem).toBeUndefined();
  expect(warned).toHaveLength(1);
});

const HTML: Script = (_request, response) => {
  response.writeHead(200, { "content-type": "text/html" });
  response.end("<html>Sign in to the guest network</html>\n");
};

test.each<{ name: string; lists: Script[]; watches: Script[] }>([
  { name: "a list", lists: [HTML], watches: [] },
  { name: "a watch", lists: [page([], "7")], watches: [HTML] },
])("an answer to $name that is no API server's is named as such", async ({ lists, watches }) => {
  await start({ lists, watches }, { backoff: { initialMs: 60_000, maxMs: 60_000 } });
  await until(() =>
    expect(watch.problem).toMatch(
      /not a Kubernetes API server's: "<html>Sign in to the guest network<\/html>"/,
    ),
  );
});

test("a server that comes back and has no history is listed at once, however long it was away", async () => {
  const away = Array.from({ length: 4 }, () => refuse(500, "InternalError"));
  // The backoff takes no time until the last watch has been requested; from then on it takes an hour.
  const random = () => (server.watches.length <= away.length ? -1 : 1);
  await start(
    {
      lists: [page([], "7"), page([makeObject("a", "9")], "20")],
      watches: [...away, refuse(410, "Expired")],
    },
    { backoff: { initialMs: 3_600_000, maxMs: 3_600_000 }, random },
  );
  await until(() => expect(seen).toEqual(["sync", "add a@9"]));
});

test("has a problem until it works", async () => {
  await start(
    { lists: [refuse(403, "Forbidden"), page([], "7")], watches: [events([], "silence")] },
    { backoff: { initialMs: 100, maxMs: 100 } },
  );
  await watch.waitForFirstTry();
  await until(() => expect(watch.problem).toMatch(/403 Forbidden/));
  expect(watch.synced).toBe(false);
  await until(() => expect(watch.problem).toBeUndefined());
});

test("a handler that throws does not keep others from their events", async () => {
  await start({ lists: [page([makeObject("a", "1"), makeObject("b", "2")], "7")], watches: [] }, {}, () => {
    throw new Error("bug");
  });
  await until(() => expect([...watch.store.keys()]).toEqual(["default/a", "default/b"]));
  expect(watch.synced).toBe(true);
});

test("keeps of each object only what parse keeps", async () => {
  const parse = ({ metadata }: KubeObject): KubeObject => ({
    metadata: { ...metadata, labels: { kept: "1" } },
  });
  await start({ lists: [page([makeObject("a", "1")], "7")], watches: [] }, { parse });
  await until(() => expect(watch.store.get("default/a")?.metadata.labels).toEqual({ kept: "1" }));
  expect(watch.store.get("default/a")?.kind).toBeUndefined();
});

test("5,000 objects are listed in pages and compared after an expired watch", async () => {
  const objects = Array.from({ length: 5_000 }, (_, i) => makeObject(`node-${i}`, String(i + 1)));
  const pages = (all: KubeObject[], resourceVersion: string) =>
    Array.from({ length: Math.ceil(all.length / 500) }, (_, i) =>
      page(
        all.slice(i * 500, (i + 1) * 500),
        resourceVersion,
        (i + 1) * 500 < all.length ? `page-${i + 1}` : undefined,
      ),
    );
  const changed = [...objects.slice(1), makeObject("new", "9001")].map((object) =>
    object.metadata.name === "node-7" ? makeObject("node-7", "9000") : object,
  );
  await start({
    lists: [...pages(objects, "8000"), ...pages(changed, "9100")],
    watches: [events([expired], "end")],
  });
  await until(() =>
    expect(seen.slice(5_000)).toEqual(["sync", "update node-7@9000", "add new@9001", "delete node-0@1"]),
  );
  expect(watch.store.size).toBe(5_000);
  expect(server.lists).toHaveLength(20);
});

test("a problem is reported when it begins and when it ends, not at every try", async () => {
  const lists = [refuse(404, "NotFound"), refuse(404, "NotFound"), page([makeObject("a", "1")], "1")];
  await start({ lists, watches: [events([], "silence")] });
  await until(() => expect(problems).toHaveLength(2));
  expect(problems[0]).toMatch(/404/);
  expect(problems[1]).toBe("none");
});
