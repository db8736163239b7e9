/**
 * Hooks about pods: which processes count, by their cgroups, evaluated in the kernel. The cgroups are made by the test,
 * in the layout of a kubelet with the driver cgroupfs.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/hook-scope.guest-test.ts
 *
 * @kernels 5.10, 6.1: the same programs decide about cgroups; the cluster tests run pods on 6.1 and 6.12
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { EngineOptions } from "../../agent/hooks/engine.ts";
import { makeSelector } from "../../agent/hooks/testing/hooks.ts";
import { type PodObject, parsePod } from "../../agent/pods/pod-object.ts";
import { PodStore } from "../../agent/pods/pod-store.ts";
import { WorkloadScopes } from "../../agent/pods/workload-scopes.ts";
import { RECORD_SCOPE_UNDECIDED } from "../../agent/records/layout.ts";
import type { HookDef, SelectorDef, WorkloadScope } from "../../crds/hook-spec.ts";
import { createLogger } from "../../lib/logger.ts";
import { exitOf } from "../../lib/testing/child-process.ts";
import type { TestRecord } from "./records.ts";
import { ACT, makeHookOn, NR, QUIET, type Ran, run, TestEngine } from "./test-engine.ts";

const ROOT = "/sys/fs/cgroup";
const KUBEPODS = join(ROOT, "kubepods");
const WEB: WorkloadScope = { pods: { matchLabels: { app: "web" } }, host: false };

/** Removed in the opposite order. */
const made: string[] = [];

function makeCgroup(...parts: string[]): string {
  const path = join(...parts);
  mkdirSync(path);
  made.push(path);
  return path;
}

/** Makes what is missing of a path below the root, and returns it. */
function makeCgroups(path: string): string {
  return path.split("/").reduce((parent, name) => {
    const child = join(parent, name);
    return existsSync(child) ? child : makeCgroup(child);
  }, ROOT);
}

let number = 0;

/** A pod with its cgroup; containers by name, with the cgroup of each. */
class TestPod {
  readonly uid = `00000000-0000-0000-0000-${String(++number).padStart(12, "0")}`;
  readonly cgroup = makeCgroup(KUBEPODS, "burstable", `pod${this.uid}`);
  readonly #object: PodObject;

  constructor(labels: Record<string, string>, containers: Record<string, string> = { main: "web:1" }) {
    this.#object = {
      metadata: { name: `pod-${number}`, namespace: "team", uid: this.uid, labels },
      spec: { containers: Object.entries(containers).map(([name, image]) => ({ name, image })) },
    };
  }

  /** As the API server has it; `ids` are those of the containers that the kubelet has reported. */
  object(labels = this.#object.metadata.labels ?? {}, ids: Record<string, string> = {}): PodObject {
    const containerStatuses = Object.entries(ids).map(([name, id]) => ({
      name,
      containerID: `containerd://${id}`,
    }));
    const metadata = { ...this.#object.metadata, labels };
    return parsePod({ ...this.#object, metadata, status: { containerStatuses } } as PodObject);
  }

  /** Makes the cgroup of one more container. */
  startContainer(): { id: string; cgroup: string } {
    const id = String(++number).padStart(64, "0");
    return { id, cgroup: makeCgroup(this.cgroup, id) };
  }
}

/** Runs `act` with its steps as a process of a cgroup. */
function actIn(cgroup: string, steps = QUIET): Ran {
  const enter = `echo $$ > ${cgroup}/cgroup.procs && exec ${ACT} ${steps}`;
  return run("sh", ["-c", enter]);
}

const pods = new PodStore();
let engine: TestEngine;
/** A pod that was there before the engine, and its container. */
let early: TestPod;
let earlyCgroup: string;

before(() => {
  makeCgroup(KUBEPODS);
  makeCgroup(KUBEPODS, "burstable");
  early = new TestPod({ app: "web" });
  earlyCgroup = early.startContainer().cgroup;
  pods.put(early.object());
  engine = startEngine(pods).engine;
});
after(() => {
  engine.close();
  for (const path of made.reverse()) rmdirSync(path);
});
beforeEach(() => engine.takeRecords());

function makeWorkloads(store: PodStore): WorkloadScopes {
  return new WorkloadScopes({
    pods: store,
    cgroups: ROOT,
    logger: createLogger({ component: "test", level: "error" }),
  });
}

/** An agent's engine with the pods that it knows. */
function startEngine(store: PodStore, options: Partial<EngineOptions> = {}) {
  const scopes = makeWorkloads(store);
  const started = new TestEngine({ ...options, workloads: scopes, onRecord: handlerOf(scopes) });
  scopes.start(started.engine.cgroupScopes);
  return { scopes, engine: started };
}

function handlerOf(scopes: WorkloadScopes) {
  return ({ kind, fields }: TestRecord): void => {
    if (kind !== "cgroup") return;
    scopes.handle({
      id: fields.cgroup_id as bigint,
      parentId: fields.parent_id as bigint,
      removed: fields.removed !== 0,
      name: fields.name as string,
    });
  };
}

const hookIn = (scope: WorkloadScope | undefined, parts: Partial<HookDef> = {}): HookDef =>
  makeHookOn("sys_setfsuid", { ...(scope && { scope }), ...parts });

/** pids of the hits of one hook. */
function pidsOf(def: HookDef, trigger: () => unknown): number[] {
  return engine.watch([def], trigger).map(({ pid }) => pid);
}

describe("a hook is about", () => {
  const scopes: Record<string, { scope: WorkloadScope | undefined; want: ("host" | "web" | "db")[] }> = {
    "every process without a scope": { scope: undefined, want: ["host", "web", "db"] },
    "pods by a label": { scope: WEB, want: ["web"] },
    "pods by the absence of a label": {
      scope: {
        pods: { matchExpressions: [{ key: "app", operator: "NotIn", values: ["web"] }] },
        host: false,
      },
      want: ["db"],
    },
    "all pods": { scope: { pods: {}, host: false }, want: ["web", "db"] },
    "all pods of a namespace": { scope: { namespace: "team", pods: {}, host: false }, want: ["web", "db"] },
    "pods of another namespace": { scope: { namespace: "other", pods: {}, host: false }, want: [] },
    "pods by the label of their namespace": {
      scope: { pods: { matchLabels: { "k8s:io.kubernetes.pod.namespace": "team" } }, host: false },
      want: ["web", "db"],
    },
    "the host": { scope: { host: true }, want: ["host"] },
    "the host and some pods": { scope: { ...WEB, host: true }, want: ["host", "web"] },
    "containers by their image": {
      scope: {
        pods: {},
        containers: { matchExpressions: [{ key: "repo", operator: "In", values: ["docker.io/library/db"] }] },
        host: false,
      },
      want: ["db"],
    },
  };
  for (const [name, { scope, want }] of Object.entries(scopes)) {
    test(name, () => {
      const db = new TestPod({ app: "db" }, { main: "db:1" });
      pods.put(db.object());
      const dbCgroup = db.startContainer().cgroup;
      engine.takeRecords();
      const ran: Record<string, number> = {};
      const pids = pidsOf(hookIn(scope), () => {
        ran.host = run(ACT, QUIET.split(" ")).pid;
        ran.web = actIn(earlyCgroup).pid;
        ran.db = actIn(dbCgroup).pid;
      });
      assert.deepEqual(
        pids,
        want.map((who) => ran[who]),
      );
    });
  }

  test("containers that start while it is attached, before user space has heard of their cgroup", () => {
    let pid = 0;
    const pids = pidsOf(hookIn(WEB), () => {
      pid = actIn(early.startContainer().cgroup).pid;
    });
    assert.deepEqual(pids, [pid]);
  });

  test("cgroups that a container makes for itself", () => {
    const nested = makeCgroup(earlyCgroup, "nested");
    let pid = 0;
    const pids = pidsOf(hookIn(WEB), () => {
      pid = actIn(nested).pid;
    });
    assert.deepEqual(pids, [pid]);
  });

  test("workloads of a selector of its own", () => {
    const host: SelectorDef = { ...makeSelector(), scope: { host: true } };
    const web: SelectorDef = { ...makeSelector(), scope: WEB };
    const hits = engine.watch([hookIn(undefined, { selectors: [host, web] })], () => {
      run(ACT, QUIET.split(" "));
      actIn(earlyCgroup);
    });
    assert.deepEqual(
      hits.map(({ selector }) => selector),
      [0, 1],
    );
  });
});

describe("before user space has heard of its cgroup, a container belongs to its pod in the layout of", () => {
  const burstable = (uid: string) =>
    `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid.replaceAll("-", "_")}.slice`;
  const layouts: Record<string, (uid: string, id: string) => string> = {
    "containerd, driver systemd": (uid, id) => `${burstable(uid)}/cri-containerd-${id}.scope`,
    "CRI-O, driver systemd": (uid, id) => `${burstable(uid)}/crio-${id}.scope`,
    "CRI-O, driver cgroupfs": (uid, id) => `kubepods/burstable/pod${uid}/crio-${id}`,
    "docker, driver systemd": (uid, id) => `${burstable(uid)}/docker-${id}.scope`,
    "docker, driver cgroupfs": (uid, id) => `kubepods/burstable/pod${uid}/${id}`,
    "kind, driver systemd": (uid, id) =>
      `kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${uid.replaceAll("-", "_")}.slice/cri-containerd-${id}.scope`,
  };
  const kill: SelectorDef = { filters: [], actions: [{ action: "Sigkill" }] };

  /** A pod whose cgroup user space knows, and the path of a container in it. */
  function startPod(app: string, layout: (uid: string, id: string) => string): string {
    const pod = new TestPod({ app });
    pods.put(pod.object());
    const path = layout(pod.uid, String(++number).padStart(64, "0"));
    makeCgroups(dirname(path));
    engine.takeRecords();
    return path;
  }

  for (const [name, layout] of Object.entries(layouts)) {
    test(name, () => {
      const [web, db] = ["web", "db"].map((app) => startPod(app, layout)) as [string, string];
      const hook = engine.attach(hookIn(WEB, { selectors: [kill] }));
      const signals = [web, db].map((path) => actIn(makeCgroups(path)).signal);
      hook.detach();
      assert.deepEqual(signals, ["SIGKILL", null]);
    });
  }

  test("CRI-O, also when it makes a cgroup in the name of its monitor", () => {
    const container = makeCgroups(startPod("web", (uid, id) => `${burstable(uid)}/crio-${id}.scope`));
    const hook = engine.attach(hookIn(WEB, { selectors: [kill] }));
    const below = `${container}/crio-conmon-mine`;
    const call = `mkdir ${below} && echo $$ > ${below}/cgroup.procs && exec ${ACT} ${QUIET}`;
    const enter = `echo $$ > ${container}/cgroup.procs && exec unshare --cgroup sh -c '${call}'`;
    const { signal } = run("sh", ["-c", enter]);
    engine.takeRecords(); // user space hears of the cgroup
    const later = actIn(below);
    rmdirSync(below);
    hook.detach();
    assert.deepEqual([signal, later.signal], ["SIGKILL", "SIGKILL"]);
  });

  test("CRI-O, and its monitor does not", () => {
    const monitor = (uid: string, id: string) => `${burstable(uid)}/crio-conmon-${id}.scope`;
    const path = startPod("web", monitor);
    const hook = engine.attach(hookIn(WEB, { selectors: [kill] }));
    const { signal } = actIn(makeCgroups(path));
    hook.detach();
    assert.equal(signal, null);
  });
});

/** agent/pods/decision-scopes.md has what 200 show. */
const CONTAINERS = Number(process.env.TRIGON_CONTAINERS ?? 40);

describe(`of ${CONTAINERS} containers that call with their first instruction`, () => {
  const kill: SelectorDef = { filters: [], actions: [{ action: "Sigkill" }] };

  test("none escapes if their pod is known", () => {
    const pod = new TestPod({ app: "web" });
    pods.put(pod.object());
    engine.takeRecords();
    const hook = engine.attach(hookIn(WEB, { selectors: [kill] }));
    const signals = new Map<NodeJS.Signals | null, number>();
    const hits = engine.hitsOf([hook], () => {
      for (let n = 0; n < CONTAINERS; n++) {
        const { signal } = actIn(pod.startContainer().cgroup);
        signals.set(signal, (signals.get(signal) ?? 0) + 1);
      }
    });
    hook.detach();
    assert.deepEqual([...signals], [["SIGKILL", CONTAINERS]]);
    assert.equal(hits.filter(({ flags }) => !(flags & RECORD_SCOPE_UNDECIDED)).length, CONTAINERS);
  });

  test("each is reported and none is touched if their pods are not known yet", () => {
    const hook = engine.attach(hookIn(WEB, { selectors: [kill] }));
    const hits = engine.hitsOf([hook], () => {
      for (let n = 0; n < CONTAINERS; n++) {
        const pod = new TestPod({ app: n % 2 ? "web" : "db" });
        assert.equal(actIn(pod.startContainer().cgroup).signal, null);
        pods.put(pod.object()); // too late
      }
    });
    hook.detach();
    assert.equal(hits.filter(({ flags }) => flags & RECORD_SCOPE_UNDECIDED).length, CONTAINERS);
  });
});

describe("a change of labels counts at once, while the hook stays attached,", () => {
  test("for a pod that gets them and for one that loses them", () => {
    const pod = new TestPod({ app: "other" });
    pods.put(pod.object());
    const { cgroup } = pod.startContainer();
    engine.takeRecords();
    const ran: number[] = [];
    const pids = pidsOf(hookIn(WEB), () => {
      actIn(cgroup);
      pods.put(pod.object({ app: "web" }));
      ran.push(actIn(cgroup).pid);
      pods.put(pod.object({ app: "other" }));
      actIn(cgroup);
      ran.push(actIn(earlyCgroup).pid);
    });
    assert.deepEqual(pids, ran);
  });
});

test("changes of labels and of policies make no gap for a pod that stays", async () => {
  const hook = engine.attach(hookIn(WEB));
  const enter = `echo $$ > ${earlyCgroup}/cgroup.procs && exec ${ACT} count-up ${NR.setfsuid}`;
  const caller = spawn("sh", ["-c", enter], { stdio: ["pipe", "pipe", "inherit"] });
  caller.stdin.write("start\n");
  const pod = new TestPod({ app: "other" });
  for (let n = 0; n < 20; n++) {
    await delay(20);
    pods.put(pod.object({ app: n % 2 ? "web" : "other" }));
    pods.put(early.object({ app: "web", n: String(n) }));
    const more: WorkloadScope = { pods: { matchLabels: { n: String(n) } }, host: false };
    engine.attach(hookIn(more)).detach();
  }
  caller.stdin.end("stop\n");
  const [output] = await once(caller.stdout, "data");
  await exitOf(caller);
  const { posted, lost } = hook.stats();
  hook.detach();
  pods.put(early.object());
  assert.ok(posted > 0);
  assert.equal(posted + lost, Number(String(output)));
});

describe("what cannot be decided yet is reported, and left alone:", () => {
  const kill: SelectorDef = { filters: [], actions: [{ action: "Sigkill" }] };

  test("a pod that user space does not know", () => {
    const pod = new TestPod({ app: "web" });
    const { cgroup } = pod.startContainer();
    const [hook] = [engine.attach(hookIn(WEB, { selectors: [kill] }))];
    const hits = engine.hitsOf([hook], () => assert.equal(actIn(cgroup).signal, null));
    assert.deepEqual(
      hits.map(({ action, flags }) => [action, flags & RECORD_SCOPE_UNDECIDED]),
      [[1, RECORD_SCOPE_UNDECIDED]],
    );
    pods.put(pod.object());
    const known = engine.hitsOf([hook], () => assert.equal(actIn(cgroup).signal, "SIGKILL"));
    hook.detach();
    assert.deepEqual(
      known.map(({ action, flags }) => [action, flags & RECORD_SCOPE_UNDECIDED]),
      [[3, 0]],
    );
  });

  test("one of several containers, until the kubelet has named it", () => {
    const pod = new TestPod({ app: "web" }, { main: "web:1", sidecar: "proxy:2" });
    pods.put(pod.object());
    const [main, sidecar] = [pod.startContainer(), pod.startContainer()];
    engine.takeRecords();
    const scope: WorkloadScope = { pods: {}, containers: { matchLabels: { name: "main" } }, host: false };
    const hook = engine.attach(hookIn(scope, { selectors: [makeSelector()] }));
    const flagsOf = () =>
      engine
        .hitsOf([hook], () => [main, sidecar].map(({ cgroup }) => actIn(cgroup)))
        .map(({ flags }) => flags & RECORD_SCOPE_UNDECIDED);
    assert.deepEqual(flagsOf(), [RECORD_SCOPE_UNDECIDED, RECORD_SCOPE_UNDECIDED]);
    pods.put(pod.object({ app: "web" }, { main: main.id, sidecar: sidecar.id }));
    assert.deepEqual(flagsOf(), [0]);
    hook.detach();
  });

  test("and what it would have done at return", () => {
    const pod = new TestPod({ app: "web" });
    const { cgroup } = pod.startContainer();
    const selector: SelectorDef = { filters: [], actions: [], returnActions: [{ action: "Sigkill" }] };
    const hook = engine.attach(hookIn(WEB, { selectors: [selector], returnArg: { type: "int" } }));
    assert.equal(actIn(cgroup).signal, null);
    engine.takeRecords();
    pods.put(pod.object());
    assert.equal(actIn(cgroup).signal, "SIGKILL");
    hook.detach();
  });
});

test("enforcement does not touch processes outside of the scope", () => {
  const pod = new TestPod({ app: "db" });
  pods.put(pod.object());
  const { cgroup } = pod.startContainer();
  engine.takeRecords();
  const kill: SelectorDef = { filters: [], actions: [{ action: "Sigkill" }] };
  const hook = engine.attach(hookIn(WEB, { selectors: [kill] }));
  assert.equal(actIn(cgroup).signal, null);
  assert.equal(run(ACT, QUIET.split(" ")).signal, null);
  assert.equal(actIn(earlyCgroup).signal, "SIGKILL");
  hook.detach();
});

test("an agent that was killed and starts again enforces on the pods of its scope, and on no others that started meanwhile", () => {
  const kill: SelectorDef = { filters: [], actions: [{ action: "Sigkill" }] };
  const store = new PodStore();
  const before = startEngine(store);
  before.engine.attach(hookIn(WEB, { selectors: [kill] }));
  before.engine.close(); // as the kernel does when the process is killed
  const [inside, outside] = [new TestPod({ app: "web" }), new TestPod({ app: "db" })];
  const cgroups = [inside, outside].map((pod) => pod.startContainer().cgroup);
  const signals = () => cgroups.map((cgroup) => actIn(cgroup).signal);
  const restarted = startEngine(store);
  restarted.engine.attach(hookIn(WEB, { selectors: [kill] }));
  assert.deepEqual(signals(), [null, null], "pods that the watch has not listed yet");
  store.put(inside.object());
  store.put(outside.object());
  assert.deepEqual(signals(), ["SIGKILL", null]);
  assert.equal(run(ACT, QUIET.split(" ")).signal, null);
  restarted.engine.close();
});

test("where no cgroup has room any more, processes without scopes are reported and not touched", () => {
  const kill: SelectorDef = { filters: [], actions: [{ action: "Sigkill" }] };
  const store = new PodStore();
  const pod = new TestPod({ app: "web" });
  store.put(pod.object());
  const { engine: small, scopes } = startEngine(store, { maxCgroups: made.length + 40 });
  const many = Array.from({ length: 80 }, () => pod.startContainer().cgroup);
  small.takeRecords();
  assert.ok(scopes.unwritten > 0);
  const hook = small.attach(hookIn({ host: true }, { selectors: [kill] }));
  const last = many.at(-1) ?? "";
  const hits = small.hitsOf([hook], () => assert.equal(actIn(last).signal, null));
  assert.deepEqual(
    hits.map(({ flags }) => flags & RECORD_SCOPE_UNDECIDED),
    [RECORD_SCOPE_UNDECIDED],
  );
  for (const cgroup of many) rmdirSync(made.splice(made.indexOf(cgroup), 1)[0] ?? "");
  small.takeRecords();
  assert.equal(scopes.unwritten, 0);
  assert.equal(run(ACT, QUIET.split(" ")).signal, "SIGKILL");
  small.close();
});

test("where cgroups are of v1, a hook about pods is refused with the mount", () => {
  const mount = mkdtempSync(join(tmpdir(), "cgroups-v1-"));
  assert.equal(run("mount", ["-t", "cgroup", "-o", "none,name=test", "cgroup", mount]).signal, null);
  const logger = createLogger({ component: "test", level: "error" });
  const workloads = new WorkloadScopes({ pods: new PodStore(), cgroups: mount, logger });
  const old = new TestEngine({ workloads });
  const { status } = old.engine.attach(hookIn(WEB));
  old.close();
  run("umount", [mount]);
  assert.deepEqual(
    [status.state, status.message],
    ["Failed", `policies for pods need cgroup v2, and ${mount} is not a mount of it`],
  );
});

test("without knowledge of pods, a hook about pods is refused and one about the host takes every process", () => {
  const alone = new TestEngine();
  const { status } = alone.engine.attach(hookIn(WEB));
  const hits = alone.watch([hookIn({ host: true })], () => actIn(earlyCgroup));
  alone.close();
  assert.deepEqual(
    [status.state, status.message],
    ["Failed", "this agent does not know the pods of its node: it needs --kubernetes"],
  );
  assert.equal(hits.length, 1);
});
