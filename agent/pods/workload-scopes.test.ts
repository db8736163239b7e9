import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { WorkloadScope } from "../../crds/hook-spec.ts";
import { createLogger } from "../../lib/logger.ts";
import type { PodObject } from "./pod-object.ts";
import { PodStore } from "./pod-store.ts";
import { WorkloadScopes } from "./workload-scopes.ts";

const UID = "12345678-1234-1234-1234-123456789abc";
const ID = "0123456789abcdef".repeat(4);
const WEB: WorkloadScope = { pods: { matchLabels: { app: "web" } }, host: false };
const HOST: WorkloadScope = { host: true };

const makePod = (app: string): PodObject => ({
  metadata: { name: "a", namespace: "team", uid: UID, labels: { app } },
  spec: { containers: [{ name: "main" }] },
});

/** The map as the kernel side has it. */
class FakeMap {
  readonly values = new Map<bigint, { inside: bigint; undecided: bigint }>();
  writes = 0;
  capacity = Number.POSITIVE_INFINITY;
  isFull = false;

  set(id: bigint, scopes: { inside: bigint; undecided: bigint }): boolean {
    if (!this.values.has(id) && this.values.size >= this.capacity) return false;
    this.writes++;
    this.values.set(id, scopes);
    return true;
  }

  delete(id: bigint): void {
    this.values.delete(id);
  }

  setFull(isFull: boolean): void {
    this.isFull = isFull;
  }
}

let root: string;
let pods: PodStore;
let map: FakeMap;
let scopes: WorkloadScopes;
const idOf = (path: string) => statSync(join(root, path), { bigint: true }).ino;
const at = (path: string) => map.values.get(idOf(path));
const POD = `kubepods/pod${UID}`;
const CONTAINER = `${POD}/${ID}`;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "workloads-"));
  writeFileSync(join(root, "cgroup.controllers"), "");
  mkdirSync(join(root, CONTAINER), { recursive: true });
  mkdirSync(join(root, "system.slice"));
  pods = new PodStore();
  map = new FakeMap();
  scopes = new WorkloadScopes({
    pods,
    cgroups: root,
    logger: createLogger({ component: "test", level: "error" }),
  });
  scopes.start(map);
  scopes.decide(
    new Map([
      [0, WEB],
      [70, HOST],
    ]),
  );
});
afterEach(() => rmSync(root, { recursive: true }));

describe("what is written", () => {
  test("of pods that are not known: undecided for scopes of pods, as is what is made where pods are made", () => {
    const undecided = { inside: 0n, undecided: 1n };
    expect([at("kubepods"), at(POD), at(CONTAINER)]).toEqual([undecided, undecided, undecided]);
  });

  test("nothing of the host", () => {
    expect(at("system.slice")).toBeUndefined();
  });

  test("of a pod as soon as it is known, for all its cgroups", () => {
    pods.put(makePod("web"));
    expect([at(POD), at(CONTAINER)]).toEqual(Array(2).fill({ inside: 1n, undecided: 0n }));
  });

  test("again when its labels change", () => {
    pods.put(makePod("web"));
    pods.put(makePod("db"));
    expect(at(CONTAINER)).toEqual({ inside: 0n, undecided: 0n });
  });

  test("once, where nothing changes", () => {
    pods.put(makePod("web"));
    const { writes } = map;
    pods.put(makePod("web"));
    expect(map.writes).toBe(writes);
  });

  test("again for a scope that takes the bit of one that is gone", () => {
    pods.put(makePod("web"));
    scopes.decide(new Map([[0, HOST]]));
    expect(at(CONTAINER)).toEqual({ inside: 0n, undecided: 0n });
  });
});

describe("a cgroup that is made later", () => {
  test("is decided by what is known of its pod", () => {
    pods.put(makePod("web"));
    scopes.made({ id: 900n, parentId: idOf(POD), name: "f".repeat(64) });
    expect(map.values.get(900n)).toEqual({ inside: 1n, undecided: 0n });
  });

  test("is written though the kernel side gave it the same before", () => {
    pods.put(makePod("web"));
    scopes.made({ id: 900n, parentId: idOf(POD), name: "a" });
    map.values.set(900n, { inside: 0n, undecided: 1n }); // what the parent had a moment ago
    scopes.made({ id: 900n, parentId: idOf(POD), name: "a" });
    expect(map.values.get(900n)).toEqual({ inside: 1n, undecided: 0n });
  });

  test("is the host's if it is of a runtime's monitor", () => {
    map.values.set(900n, { inside: 1n, undecided: 0n });
    scopes.made({ id: 900n, parentId: idOf(POD), name: `crio-conmon-${ID}.scope` });
    expect(map.values.has(900n)).toBe(false);
  });

  test("is not written any more once it is removed", () => {
    scopes.removed(idOf(CONTAINER));
    const { writes } = map;
    pods.put(makePod("web"));
    expect(map.writes).toBe(writes + 1); // that of the pod
  });
});

describe("where there is no room for a cgroup", () => {
  beforeEach(() => {
    map.capacity = map.values.size;
    scopes.made({ id: 900n, parentId: idOf(POD), name: "f".repeat(64) });
  });

  test("the kernel side learns that cgroups without scopes may be a pod's", () => {
    expect([map.isFull, scopes.unwritten]).toEqual([true, 1]);
  });

  test("it is written as soon as another one goes", () => {
    map.values.delete(idOf(CONTAINER));
    scopes.removed(idOf(CONTAINER));
    expect(map.values.get(900n)).toEqual({ inside: 0n, undecided: 1n });
    expect([map.isFull, scopes.unwritten]).toEqual([false, 0]);
  });

  test("nothing waits for it once it is gone itself", () => {
    scopes.removed(900n);
    expect([map.isFull, scopes.unwritten]).toEqual([false, 0]);
  });
});

test("cgroups whose records are lost are found by reading the file system again", () => {
  const later = `${POD}/${"e".repeat(64)}`;
  mkdirSync(join(root, later));
  rmSync(join(root, CONTAINER), { recursive: true });
  scopes.reread();
  pods.put(makePod("web"));
  expect(at(later)).toEqual({ inside: 1n, undecided: 0n });
});

describe("what was not decided by the kernel side", () => {
  const hook = { scope: WEB, selectors: [] };
  const container = { id: ID, podUid: UID };

  test("is excluded if its pod turns out to be outside", () => {
    pods.put(makePod("db"));
    expect(scopes.excludes(hook as never, 0, container)).toBe(true);
  });

  test.each([
    ["its pod is inside", () => pods.put(makePod("web")), container],
    ["its pod is still not known", () => {}, container],
    ["nothing says which container it is", () => {}, undefined],
  ])("is not excluded if %s", (_name, prepare, ref) => {
    prepare();
    expect(scopes.excludes(hook as never, 0, ref)).toBe(false);
  });
});

test("pods of a scope are counted, those that are gone and scopes of the host are not", () => {
  pods.put(makePod("web"));
  expect([scopes.podsIn(WEB), scopes.podsIn(HOST)]).toEqual([1, undefined]);
  pods.put(makePod("db"));
  expect(scopes.podsIn(WEB)).toBe(0);
  pods.put(makePod("web"));
  pods.delete(makePod("web"));
  expect(scopes.podsIn(WEB)).toBe(0);
});

test("a mount of cgroup v1 is a problem that names it", () => {
  rmSync(join(root, "cgroup.controllers"));
  const logger = createLogger({ component: "test", level: "error" });
  expect(new WorkloadScopes({ pods, cgroups: root, logger }).problem).toBe(
    `policies for pods need cgroup v2, and ${root} is not a mount of it`,
  );
});
