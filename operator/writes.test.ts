/** How often the operator writes, whatever state the cluster is in: the real operator on an API server in memory. */
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeHookSpec } from "../crds/hook-spec-codec.ts";
import { HOOK_SPEC_LIMITS } from "../crds/hook-spec-schema.ts";
import { hookSpecConfigMapName, LABELS, MANAGED_BY_OPERATOR } from "../crds/names.ts";
import type { MemoryApi, Stored, Write } from "../lib/testing/memory-api.ts";
import { compileAndEncode } from "./compiler/compiled.ts";
import { makeConfigMap, makeSpec, makeWanted } from "./testing/data.ts";
import { makePolicyObject, NAMESPACE, pass, startWorld, type World } from "./testing/world.ts";

const OLD = "trigon-spec-old";

let world: World;
let api: MemoryApi;

beforeEach(async () => {
  world = startWorld();
  api = world.api;
  api.put("tracingpolicies", makePolicyObject("sys_setuid"));
  await pass(3_000);
  expect(specs()).toHaveLength(1);
});
afterEach(() => world.end());

const specs = (): Stored[] => api.list("configmaps");
/** The ConfigMap that is wanted. */
function wanted(): Stored {
  const [object] = specs();
  if (!object) throw new Error("no ConfigMap");
  return object;
}
const edit = (change: (object: Stored) => void): void =>
  api.edit("configmaps", wanted().metadata.name, change);
/** Another object under the same name, as only a deletion and a creation by hand can make it. */
function replace(change: (object: Stored) => void): void {
  const object = structuredClone(wanted());
  change(object);
  api.put("configmaps", object);
}
const withData = (data: Stored["data"]) => () => replace((object) => (object.data = data ?? {}));
function withGzip(base64: string): () => void {
  return () =>
    replace((object) => {
      delete object.data;
      object.binaryData = { "hook-spec.json.gz": base64 };
    });
}
const json = (text: string) => withData({ "hook-spec.json": text });
const sameSpec = (change: object) => () =>
  json(JSON.stringify({ ...JSON.parse(wanted().data?.["hook-spec.json"] ?? ""), ...change }))();

/** States that one repair ends. */
const damages: Record<string, () => void> = {
  "is deleted": () => api.remove("configmaps", wanted().metadata.name),
  "holds no JSON": json("{"),
  "holds JSON of another kind": json("[]"),
  "holds another version": sameSpec({ version: 1 }),
  "holds a field that the schema does not have": sameSpec({ more: true }),
  "holds a spec that is too large": json(" ".repeat(HOOK_SPEC_LIMITS.textBytes + 1)),
  "holds the spec of another policy": json(encodeHookSpec(makeSpec("a"))),
  "holds nothing": () => replace((object) => delete object.data),
  "holds another key": withData({ "hook-spec.yaml": "" }),
  "holds what is not base64": withGzip("\u00e9%"),
  "holds what is not gzip": withGzip("AAAA"),
  "holds gzip of no spec": withGzip(gzipSync("{}").toString("base64")),
  "holds gzip that unpacks to too much": withGzip(
    gzipSync(" ".repeat(HOOK_SPEC_LIMITS.textBytes + 1)).toString("base64"),
  ),
  "is not immutable": () => replace((object) => delete object.immutable),
  "has no labels": () => edit(({ metadata }) => delete metadata.labels),
  "has the hash of another spec as a label": () => edit((object) => label(object, LABELS.specHash, "0")),
  "has the label of another policy": () => edit((object) => label(object, LABELS.policy, "0")),
  "is labelled as retired": () => edit((object) => label(object, LABELS.retired, "true")),
  "has no revision": () => edit(({ metadata }) => delete metadata.annotations?.[LABELS.revision]),
  "names another policy": () =>
    edit(({ metadata }) =>
      Object.assign(metadata.annotations ?? {}, { [LABELS.policyKey]: "TracingPolicy/q" }),
    ),
  "has a sibling of higher revision": () => api.put("configmaps", earlier(9)),
  "has a sibling that holds nothing": () => api.put("configmaps", { ...earlier(9), data: {} }),
  "has a sibling of a policy that does not exist": () =>
    api.put("configmaps", {
      ...earlier(9),
      metadata: { name: "trigon-spec-0", namespace: NAMESPACE, labels: ours() },
    }),
};

/** States that last, or come back as soon as the operator has written. */
const adversities: Record<string, () => void> = {
  "whatever is created cannot be read": () => {
    api.admit = (object, location) => {
      if (location.startsWith("configmaps")) object.data = { "hook-spec.json": "{}" };
    };
    edit(() => {});
  },
  "whatever is created is deleted at once": () => {
    api.react = ({ after }, location) => {
      if (after && location.startsWith("configmaps")) api.remove("configmaps", after.metadata.name);
    };
    api.remove("configmaps", wanted().metadata.name);
  },
  "whatever is created is retired at once": () => {
    api.react = ({ after }, location) => {
      if (after && location.startsWith("configmaps"))
        api.edit("configmaps", after.metadata.name, (object) => label(object, LABELS.retired, "true"));
    };
    edit((object) => label(object, LABELS.retired, "true"));
  },
  "another operator raises its own spec above": () => {
    let revision = 5;
    const raise = () => {
      const sibling = earlier(revision);
      revision += 2;
      if (api.list("configmaps").some(({ metadata }) => metadata.name === sibling.metadata.name))
        api.edit(
          "configmaps",
          sibling.metadata.name,
          (object) =>
            (object.metadata = { ...object.metadata, annotations: sibling.metadata.annotations ?? {} }),
        );
      else api.put("configmaps", sibling);
    };
    api.react = ({ after }, location) => {
      if (location.startsWith("configmaps") && after?.metadata.name !== earlier(0).metadata.name) raise();
    };
    raise();
  },
  "a mutating webhook drops the labels": () => {
    api.admit = (object, location) => {
      if (location.startsWith("configmaps")) delete object.metadata.labels;
    };
    edit(() => {});
  },
  "a mutating webhook counts in a label": () => {
    let count = 0;
    api.admit = (object, location) => {
      if (location.startsWith("configmaps")) label(object, LABELS.specHash, String(++count));
    };
    edit(() => {});
  },
  "a damaged ConfigMap comes back under its own name as often as it is removed": () => {
    const foreign = { metadata: { name: "trigon-spec-0", namespace: NAMESPACE, labels: ours() }, data: {} };
    api.react = ({ after }, location) => {
      if (!after && location.endsWith("trigon-spec-0")) api.put("configmaps", foreign);
    };
    api.put("configmaps", foreign);
  },
  "creation is refused, and what cannot be read comes back as often as it is deleted": () => {
    const name = wanted().metadata.name;
    api.refuse = ({ method, path }) => (method === "POST" && path.includes("configmaps") ? 409 : undefined);
    const damaged = { ...structuredClone(wanted()), data: {} };
    api.react = ({ after }, location) => {
      if (!after && location.endsWith(name)) api.put("configmaps", structuredClone(damaged));
    };
    api.remove("configmaps", name);
  },
  "creation is refused, the name is taken": () => refuseCreation(409),
  "creation is refused, it is forbidden": () => refuseCreation(403),
  "creation is refused, it is invalid": () => refuseCreation(422),
  "creation fails": () => refuseCreation(500),
  "labels cannot be changed": () => {
    api.refuse = ({ method, path }) => (method === "PATCH" && path.includes("configmaps") ? 403 : undefined);
    edit((object) => label(object, LABELS.retired, "true"));
  },
  "an earlier spec cannot be deleted": () => {
    api.refuse = ({ method }) => (method === "DELETE" ? 403 : undefined);
    api.put("configmaps", earlier(0));
    editPolicy("sys_setgid");
  },
  "an earlier spec is kept by a finalizer": () => {
    edit(({ metadata }) => (metadata.finalizers = ["example.com/hold"]));
    editPolicy("sys_setgid");
  },
  "a damaged one is kept by a finalizer": () => {
    replace((object) => {
      object.data = {};
      object.metadata.finalizers = ["example.com/hold"];
    });
  },
  "a foreign damaged one is kept by a finalizer": () => {
    const metadata = { name: OLD, namespace: NAMESPACE, labels: ours(), finalizers: ["example.com/hold"] };
    api.put("configmaps", { metadata, data: {} });
  },
  "the specs of a deleted policy are kept by a finalizer": () => {
    edit(({ metadata }) => (metadata.finalizers = ["example.com/hold"]));
    api.remove("tracingpolicies", "p");
  },
  "the specs of a deleted policy cannot be deleted": () => {
    api.refuse = ({ method }) => (method === "DELETE" ? 403 : undefined);
    api.remove("tracingpolicies", "p");
  },
  "the schema of the API server drops a field of the status": () => {
    api.admit = (object, location) => {
      if (location.startsWith("tracingpolicies"))
        delete (object.status as { conditions?: unknown } | undefined)?.conditions;
    };
    editPolicy("sys_setgid");
  },
  "the status cannot be written": () => {
    api.refuse = ({ path }) => (path.endsWith("/status") ? 500 : undefined);
    editPolicy("sys_setgid");
  },
};

function refuseCreation(code: number): void {
  api.refuse = ({ method, path }) => (method === "POST" && path.includes("configmaps") ? code : undefined);
  api.remove("configmaps", wanted().metadata.name);
}
function editPolicy(call: string): void {
  api.edit("tracingpolicies", "p", (policy) => (policy.spec = makePolicyObject(call).spec));
}
function label({ metadata }: Stored, name: string, value: string): void {
  metadata.labels = { ...metadata.labels, [name]: value };
}
const ours = () => ({ [LABELS.managedBy]: MANAGED_BY_OPERATOR, [LABELS.policy]: "x" });
/** A spec that the policy had before. */
const earlier = (revision: number) => makeConfigMap(makeWanted(1, "sys_setns"), revision) as Stored;

function writesIn(ms: number): Write[] {
  return api.writes.filter(({ at }) => at > Date.now() - ms);
}

describe("one repair ends it when the ConfigMap", () => {
  test.each(Object.entries(damages))("%s", async (_name, damage) => {
    const before = wanted();
    api.writes.length = 0;
    damage();
    await pass(60_000);
    expect(api.writes.length, JSON.stringify(api.writes)).toBeLessThanOrEqual(3);
    expect(writesIn(50_000)).toEqual([]);
    const [now, ...others] = specs();
    expect(others).toEqual([]);
    expect(now?.data).toEqual(before.data);
    expect(now?.metadata.labels).toEqual(before.metadata.labels);
    expect(now?.immutable).toBe(true);
  });
});

describe("the operator writes with backoff while", () => {
  test.each(Object.entries(adversities))("%s", async (_name, begin) => {
    api.writes.length = 0;
    begin();
    await pass(60_000);
    const writes = api.writes.length;
    expect(writes).toBeLessThanOrEqual(25);
    expect(writesIn(20_000).length).toBeLessThanOrEqual(4);
  });
});

test("a policy's spec is named by its content", () => {
  const compiled = compileAndEncode(makePolicyObject("sys_setuid"));
  expect(wanted().metadata.name).toBe(compiled.ok && hookSpecConfigMapName(compiled.hash));
});
