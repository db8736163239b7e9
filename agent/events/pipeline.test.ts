import { describe, expect, test } from "vitest";
import { createLogger } from "../../lib/logger.ts";
import type { PodObject } from "../pods/pod-object.ts";
import { PodStore } from "../pods/pod-store.ts";
import { WorkloadScopes } from "../pods/workload-scopes.ts";
import { RECORD_SCOPE_UNDECIDED } from "../records/layout.ts";
import {
  credSlot,
  type ExecFields,
  makeBatch,
  makeExec,
  makeExit,
  makeFork,
  makeHook,
} from "../records/testing/records.ts";
import { HandOver } from "./hand-over.ts";
import type { EventPipeline } from "./pipeline.ts";
import { makeHookDef, makePipeline, parseLines } from "./testing/pipeline.ts";

const MS = 1_000_000n;
const policy = { kind: "TracingPolicy", name: "creds" } as const;
const uid = "12345678-1234-1234-1234-123456789abc";
const idA = "a".repeat(64);
const idB = "b".repeat(64);

function setup(options: Parameters<typeof makePipeline>[0] = {}) {
  const parts = makePipeline(options);
  parts.pipeline.registerHook(1, { policy, def: makeHookDef(), functionName: "commit_creds" });
  const take = () => parseLines(parts.sink.takeLines());
  const feed = (...records: Uint8Array[]) => {
    parts.pipeline.handleBatch(makeBatch(...records));
    return take();
  };
  return { ...parts, feed, take };
}

function exec(pid: number, seq: number, ms: number, filename: string, changes: Partial<ExecFields> = {}) {
  return makeExec({ pid, seq, ktimeNs: BigInt(ms) * MS, filename, parentPid: 0, ...changes });
}

function hook(pid: number, seq: number, ms: number, hookId = 1) {
  return makeHook({ pid, seq, ktimeNs: BigInt(ms) * MS, hookId, slots: [credSlot({})] });
}

function cgroup(id: string): string {
  return `kubepods-pod${uid.replaceAll("-", "_")}.slice/cri-containerd-${id}.scope`;
}

function pod(containers: Record<string, string> = {}): PodObject {
  return {
    metadata: { name: "web-7d4b9c-x", namespace: "shop", uid, labels: { app: "web" } },
    spec: { containers: Object.keys(containers).map((name) => ({ name })) },
    status: {
      containerStatuses: Object.entries(containers).map(([name, id]) => ({
        name,
        image: "docker.io/library/web:1",
        imageID: "docker.io/library/web@sha256:1",
        containerID: `containerd://${id}`,
        state: { running: { startedAt: "2026-11-20T09:00:00Z" } },
      })),
    },
  };
}

/** Kind, pid and the container's name of each event. */
// biome-ignore lint/suspicious/noExplicitAny: events of every shape
function brief(events: any[]): unknown[] {
  return events.map((event) => {
    const [kind, body] = Object.entries(event)[0] as [
      string,
      { process: { pid: number; pod?: { container: { name?: string } } } },
    ];
    return [
      kind.replace("process_", ""),
      body.process.pid,
      body.process.pod?.container.name ?? body.process.pod,
    ];
  });
}

/** Hook 2 takes the place of hook 1 at 200 ms. */
function replaceHook(pipeline: EventPipeline, handOver?: HandOver): void {
  pipeline.registerHook(2, {
    policy,
    def: makeHookDef({ message: "new" }),
    functionName: "commit_creds",
    fromKtimeNs: 200n * MS,
    takesOver: handOver,
  });
  pipeline.retireHook(1, 200n * MS, handOver);
}

describe("hooks", () => {
  test("a record of an unknown hook is counted and nothing else", () => {
    const { feed, metrics } = setup();
    expect(feed(exec(10, 1, 100, "/a"), hook(10, 1, 110, 99))).toHaveLength(1);
    expect(metrics.unknownHookRecords).toBe(1);
  });

  test("a replaced hook and its successor give each hit once", () => {
    const { pipeline, feed, metrics } = setup();
    feed(exec(10, 1, 100, "/a"));
    replaceHook(pipeline);
    const events = feed(...[199, 200, 201].flatMap((ms) => [hook(10, 1, ms, 1), hook(10, 1, ms, 2)]));
    expect(events.map((event) => [event.time.slice(20, 23), event.process_kprobe.message])).toEqual([
      ["199", undefined],
      ["200", "new"],
      ["201", "new"],
    ]);
    expect(metrics.outOfWindowRecords).toBe(3);
  });

  test("a hit that is in flight when a hook is replaced is told once", () => {
    const { pipeline, feed } = setup();
    feed(exec(10, 1, 100, "/a"), exec(20, 1, 100, "/b"));
    replaceHook(pipeline, new HandOver());
    const events = feed(
      ...[hook(10, 1, 198, 2), hook(10, 1, 199, 1)], // by both before
      ...[hook(10, 1, 199, 2), hook(20, 1, 200, 2), hook(10, 1, 201, 1), hook(20, 1, 201, 1)], // 10 is in flight
      ...[hook(10, 1, 202, 2), hook(10, 1, 203, 1)], // by both afterwards
    );
    expect(
      events.map((event) => [
        event.process_kprobe.process.pid,
        event.time.slice(20, 23),
        event.process_kprobe.message,
      ]),
    ).toEqual([
      [10, "199", undefined],
      [20, "200", "new"],
      [10, "201", undefined],
      [10, "202", "new"],
    ]);
  });

  test("also where the old hook posts first, as kretprobes do", () => {
    const { pipeline, feed } = setup();
    feed(exec(10, 1, 100, "/a"), exec(20, 1, 100, "/b"));
    replaceHook(pipeline, new HandOver("old"));
    const events = feed(
      ...[hook(10, 1, 199, 1), hook(10, 1, 198, 2)], // by both before
      ...[hook(20, 1, 201, 1), hook(10, 1, 201, 1), hook(20, 1, 200, 2), hook(10, 1, 199, 2)], // 10 is in flight
      ...[hook(10, 1, 203, 1), hook(10, 1, 202, 2)], // by both afterwards
    );
    expect(events.map((event) => [event.process_kprobe.process.pid, event.time.slice(20, 23)])).toEqual([
      [10, "199"],
      [20, "200"],
      [10, "199"],
      [10, "202"],
    ]);
  });

  test("a retired hook is forgotten after a while", () => {
    const { pipeline, feed, clock, metrics } = setup();
    feed(exec(10, 1, 100, "/a"));
    pipeline.retireHook(1);
    expect(feed(hook(10, 1, 900))).toHaveLength(1);
    clock.nowMs += 60_000;
    feed(exec(20, 1, clock.nowMs, "/b"));
    pipeline.tick();
    feed(hook(10, 1, 900));
    expect(metrics.unknownHookRecords).toBe(1);
  });

  test("a retired hook is known as long as its records wait to be read", () => {
    const { pipeline, feed, clock, metrics } = setup();
    feed(exec(10, 1, 100, "/a"));
    pipeline.retireHook(1);
    clock.nowMs += 600_000;
    pipeline.tick();
    expect(feed(hook(10, 1, 900))).toHaveLength(1);
    expect(metrics.unknownHookRecords).toBe(0);
  });
});

describe("what hooks in the mode count have counted", () => {
  function count(pid: number, seq: number, count: number) {
    return { hookId: 1, pid, seq, count };
  }

  function setupCounts() {
    const parts = setup();
    const counted = () =>
      [...parts.metrics.eventCounts()].map(({ binary, count }) => [binary, count] as const);
    parts.feed(exec(10, 1, 100, "/bin/sh"), makeFork({ pid: 11, seq: 1, ktimeNs: 110n * MS, parentPid: 10 }));
    return { ...parts, counted };
  }

  test("is of the file that the process executed", () => {
    const { pipeline, feed, counted } = setupCounts();
    feed(exec(11, 2, 120, "/bin/setpriv"));
    pipeline.addCounts([count(11, 2, 3)]);
    expect(counted()).toEqual([["/bin/setpriv", 3]]);
  });

  test("waits for the record of the exec, which is read later", () => {
    const { pipeline, clock, feed, counted } = setupCounts();
    pipeline.addCounts([count(11, 2, 3), count(10, 1, 1)]);
    expect(counted()).toEqual([["/bin/sh", 1]]);
    pipeline.tick();
    feed(exec(11, 2, 120, "/bin/setpriv"));
    clock.nowMs += 1_000;
    pipeline.tick();
    expect(counted()).toEqual([
      ["/bin/sh", 1],
      ["/bin/setpriv", 3],
    ]);
  });

  test("is of what is known of the process when no record comes", async () => {
    const { pipeline, counted } = setupCounts();
    pipeline.addCounts([count(11, 2, 3)]);
    await pipeline.flush();
    expect(counted()).toEqual([["/bin/sh", 3]]);
  });
});

describe("bad batches", () => {
  test("a record with an impossible size ends the batch, which is counted", () => {
    const { feed, metrics } = setup();
    const broken = exec(11, 1, 100, "/broken");
    new DataView(broken.buffer).setUint32(4, 7, true);
    expect(feed(exec(10, 1, 100, "/a"), broken, exec(12, 1, 100, "/c"))).toHaveLength(1);
    expect(metrics.malformedRecords).toBe(1);
  });

  test("a record of an unknown kind is passed over", () => {
    const { feed, metrics } = setup();
    const future = exec(11, 1, 100, "/future");
    new DataView(future.buffer).setUint16(0, 77, true);
    expect(feed(exec(10, 1, 100, "/a"), future, exec(12, 1, 100, "/c"))).toHaveLength(2);
    expect(metrics.malformedRecords).toBe(1);
  });

  test("random bytes never throw", () => {
    const { pipeline } = setup();
    let seed = 1;
    const random = () => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return seed >>> 16;
    };
    for (let round = 0; round < 2000; round++) {
      const records = makeBatch(
        exec(10, 1, 100, "/a", { argv: ["a", "b"] }),
        hook(10, 1, 110),
        makeExit({ pid: 10, ktimeNs: 5n }),
      );
      const bytes = new Uint8Array(records);
      for (let i = 0; i < 8; i++) bytes[random() % bytes.length] = random() & 0xff;
      pipeline.handleBatch(records);
    }
  });
});

describe("pods", () => {
  test("events wait for their container, and come complete and in order", () => {
    const store = new PodStore();
    const { feed, take, metrics } = setup({ store });
    expect(
      feed(
        exec(10, 1, 100, "/a", { cgroup: cgroup(idA) }),
        hook(10, 1, 110),
        exec(11, 1, 115, "/host"),
        exec(10, 2, 120, "/b", { cgroup: cgroup(idA) }),
        makeExit({ pid: 10, seq: 2, ktimeNs: 130n * MS }),
      ).map((event) => event.process_exec.process.pid),
    ).toEqual([11]);
    expect(metrics.waitingEvents()).toBe(4);
    store.put(pod({ main: idA }));
    expect(brief(take())).toEqual([
      ["exec", 10, "main"],
      ["kprobe", 10, "main"],
      ["exec", 10, "main"],
      ["exit", 10, "main"],
    ]);
    expect(metrics.waitingEvents()).toBe(0);
  });

  test("events of a known container do not wait", () => {
    const store = new PodStore();
    store.put(pod({ main: idA }));
    const { feed } = setup({ store });
    const [event] = feed(exec(10, 1, 100, "/a", { cgroup: cgroup(idA), nspid: 7 }));
    expect(event.process_exec.process.docker).toBe("a".repeat(31));
    expect(JSON.stringify(event.process_exec.process.pod)).toBe(
      JSON.stringify({
        namespace: "shop",
        name: "web-7d4b9c-x",
        uid,
        container: {
          id: `containerd://${idA}`,
          name: "main",
          image: { id: "docker.io/library/web@sha256:1", name: "docker.io/library/web:1" },
          start_time: "2026-11-20T09:00:00Z",
          pid: 7,
        },
        pod_labels: { app: "web" },
        workload: "web-7d4b9c-x",
        workload_kind: "Pod",
      }),
    );
  });

  test("annotations of a pod are shown in their order where they were kept", () => {
    const store = new PodStore();
    store.put({ ...pod({ main: idA }), shownAnnotations: { "b/owner": "y", a: "x" } });
    const { feed } = setup({ store });
    const [event] = feed(exec(10, 1, 100, "/a", { cgroup: cgroup(idA) }));
    expect(JSON.stringify(event.process_exec.process.pod.pod_annotations)).toBe('{"a":"x","b/owner":"y"}');
  });

  test("when the wait is over they go with the pod that the cgroup names", () => {
    const store = new PodStore();
    store.put(pod());
    const { feed, take, clock, pipeline } = setup({ store });
    expect(feed(exec(10, 1, 100, "/pause", { cgroup: cgroup(idA) }), hook(10, 1, 110))).toEqual([]);
    clock.nowMs += 4_900;
    pipeline.tick();
    expect(take()).toEqual([]);
    clock.nowMs += 200;
    pipeline.tick();
    const events = take();
    expect(events).toHaveLength(2);
    expect(events[0].process_exec.process.pod).toMatchObject({
      name: "web-7d4b9c-x",
      container: { id: `containerd://${idA}` },
    });
    expect(events[0].process_exec.process.pod.container).not.toHaveProperty("name");
  });

  test("until the pods that are there at the start are listed, they wait a minute longer", () => {
    const store = new PodStore({ isListed: false });
    const { feed, take, clock, pipeline, metrics } = setup({ store });
    const takeAfter = (ms: number) => {
      clock.nowMs += ms;
      pipeline.tick();
      return brief(take());
    };
    feed(exec(10, 1, 100, "/a", { cgroup: cgroup(idA) }), exec(11, 1, 100, "/b", { cgroup: cgroup(idB) }));
    expect(takeAfter(50_000)).toEqual([]);
    store.put(pod({ main: idA }));
    expect(takeAfter(0)).toEqual([["exec", 10, "main"]]);
    expect(takeAfter(14_000)).toEqual([]);
    expect(takeAfter(2_000)).toEqual([["exec", 11, expect.objectContaining({ name: "web-7d4b9c-x" })]]);
    expect(metrics.unresolvedPodEvents).toBe(0);
  });

  test("once the pods are listed, one that is not among them is not waited for", () => {
    const store = new PodStore({ isListed: false });
    const { feed, take, clock, pipeline } = setup({ store });
    feed(exec(10, 1, 100, "/a", { cgroup: cgroup(idA) }));
    clock.nowMs += 20_000;
    store.markListed();
    pipeline.tick();
    expect(brief(take())).toEqual([["exec", 10, undefined]]);
  });

  test("a pod that nobody knows is counted, and its container does not wait again", () => {
    const store = new PodStore();
    const { feed, take, clock, pipeline, metrics } = setup({ store });
    feed(exec(10, 1, 100, "/a", { cgroup: cgroup(idA) }));
    clock.nowMs += 6_000;
    pipeline.tick();
    expect(take()[0].process_exec.process).not.toHaveProperty("pod");
    expect(metrics.unresolvedPodEvents).toBe(1);
    expect(feed(exec(11, 1, 100, "/b", { cgroup: cgroup(idA) }))).toHaveLength(1);
  });

  test("what became known after the wait is shown by later events", () => {
    const store = new PodStore();
    const { feed, take, clock, pipeline } = setup({ store });
    feed(exec(10, 1, 100, "/a", { cgroup: cgroup(idA) }));
    clock.nowMs += 6_000;
    pipeline.tick();
    take();
    store.put(pod({ main: idA }));
    expect(brief(feed(hook(10, 1, 200)))).toEqual([["kprobe", 10, "main"]]);
  });

  test("a process that moves to a known container does not overtake its own waiting events", () => {
    const store = new PodStore();
    store.put(pod({ main: idB }));
    const { feed, take, clock, pipeline } = setup({ store });
    expect(
      feed(exec(10, 1, 100, "/a", { cgroup: idA }), exec(10, 2, 110, "/b", { cgroup: cgroup(idB) })),
    ).toEqual([]);
    clock.nowMs += 6_000;
    pipeline.tick();
    expect(brief(take())).toEqual([
      ["exec", 10, undefined],
      ["exec", 10, "main"],
    ]);
  });

  test("a deleted pod is remembered for late events", () => {
    const store = new PodStore();
    store.put(pod({ main: idA }));
    store.delete(pod());
    const { feed } = setup({ store });
    expect(brief(feed(exec(10, 1, 100, "/a", { cgroup: cgroup(idA) })))).toEqual([["exec", 10, "main"]]);
  });

  test("a child that has not executed is in its parent's container", () => {
    const store = new PodStore();
    store.put(pod({ main: idA }));
    const { feed } = setup({ store });
    const child = { pid: 11, seq: 1, ktimeNs: 110n * MS };
    const events = feed(
      exec(10, 1, 100, "/a", { cgroup: cgroup(idA) }),
      makeFork({ ...child, parentPid: 10 }),
      hook(11, 1, 120),
    );
    expect(brief(events)).toEqual([
      ["exec", 10, "main"],
      ["kprobe", 11, "main"],
    ]);
  });

  test("without Kubernetes nothing waits and the container id is shown", () => {
    const { feed } = setup();
    const [event] = feed(exec(10, 1, 100, "/a", { cgroup: cgroup(idA) }));
    expect(event.process_exec.process.docker).toBe("a".repeat(31));
    expect(event.process_exec.process).not.toHaveProperty("pod");
  });

  test("flush writes out what waits", async () => {
    const { feed, take, pipeline } = setup({ store: new PodStore() });
    feed(exec(10, 1, 100, "/a", { cgroup: cgroup(idA) }), hook(10, 2, 110));
    await pipeline.flush();
    expect(take()).toHaveLength(2);
  });
});

describe("a record of a hook for pods that the kernel could not decide", () => {
  const outcomes: Record<string, { app: string; events: number; dropped: number }> = {
    "is dropped and counted if its pod is outside of the scope": { app: "db", events: 0, dropped: 1 },
    "is an event if its pod is inside": { app: "web", events: 1, dropped: 0 },
  };
  test.each(Object.entries(outcomes))("%s", (_name, { app, events, dropped }) => {
    const store = new PodStore();
    const logger = createLogger({ component: "test", level: "error" });
    const workloads = new WorkloadScopes({ pods: store, cgroups: "/nonexistent", logger });
    const { feed, take, pipeline, metrics } = setup({ store, workloads });
    const scope = { pods: { matchLabels: { app: "web" } }, host: false };
    pipeline.registerHook(2, { policy, def: { ...makeHookDef(), scope }, functionName: "commit_creds" });
    const undecided = makeHook({
      pid: 10,
      seq: 1,
      ktimeNs: 110n * MS,
      hookId: 2,
      flags: RECORD_SCOPE_UNDECIDED,
      slots: [credSlot({})],
    });
    feed(exec(10, 1, 100, "/a", { cgroup: cgroup(idA) }), undecided);
    const known = pod({ main: idA });
    store.put({ ...known, metadata: { ...known.metadata, labels: { app } } });
    expect(take().filter((event) => event.process_kprobe)).toHaveLength(events);
    expect(metrics).toMatchObject({ undecidedRecords: 1, outOfScopeRecords: dropped });
  });
});

test("a probe's command is marked", () => {
  const store = new PodStore();
  const probed = pod({ main: idA });
  const spec = { name: "main", livenessProbe: { exec: { command: ["cat", "/tmp/healthy"] } } };
  store.put({ ...probed, spec: { containers: [spec] } });
  const { feed } = setup({ store });
  const run = (argv: string[]) => exec(10, 1, 100, "/bin/cat", { argv, cgroup: cgroup(idA) });
  const shown = [
    ["cat", "/tmp/healthy"],
    ["cat", "/etc/shadow"],
  ].map((argv) => feed(run(argv))[0].process_exec.process.pod.container.maybe_exec_probe);
  expect(shown).toEqual([true, undefined]);
});

test("a large batch goes out in chunks of about 64 KiB", () => {
  const { pipeline, sink } = makePipeline();
  pipeline.registerHook(1, { policy, def: makeHookDef(), functionName: "commit_creds" });
  const records = Array.from({ length: 500 }, () => hook(10, 1, 110));
  pipeline.handleBatch(makeBatch(exec(10, 1, 100, "/a"), ...records));
  expect(sink.chunks.length).toBeGreaterThan(2);
  expect(Math.max(...sink.chunks.map((chunk) => chunk.length))).toBeLessThan(70_000);
  expect(sink.stats.events).toBe(501);
  expect(sink.takeLines()).toHaveLength(501);
});
