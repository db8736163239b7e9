import { describe, expect, test } from "vitest";
import { makeHookDef, makePipeline, parseLines } from "../events/testing/pipeline.ts";
import {
  credSlot,
  defaultStartNs,
  type ExecFields,
  makeBatch,
  makeExec,
  makeExit,
  makeFork,
  makeHook,
} from "../records/testing/records.ts";
import { execId } from "./exec-id.ts";
import { FLAG_PROCFS } from "./flags.ts";
import type { ScannedProcess } from "./scan.ts";

const MS = 1_000_000n;
const policy = { kind: "TracingPolicy", name: "creds" } as const;

function setup(options: Parameters<typeof makePipeline>[0] = {}) {
  const parts = makePipeline(options);
  parts.pipeline.registerHook(1, { policy, def: makeHookDef(), functionName: "commit_creds" });
  return {
    ...parts,
    /** Feeds records in one batch and returns the events. */
    feed(...records: Uint8Array[]) {
      parts.pipeline.handleBatch(makeBatch(...records));
      return parseLines(parts.sink.takeLines());
    },
  };
}

function exec(pid: number, seq: number, ms: number, filename: string, changes: Partial<ExecFields> = {}) {
  return makeExec({ pid, seq, ktimeNs: BigInt(ms) * MS, filename, parentPid: 0, ...changes });
}

function fork(pid: number, parentPid: number, seq: number, ms: number, nspid = pid) {
  return makeFork({ pid, parentPid, seq, ktimeNs: BigInt(ms) * MS, nspid });
}

function hook(pid: number, seq: number, ms: number) {
  return makeHook({ pid, seq, ktimeNs: BigInt(ms) * MS, hookId: 1, slots: [credSlot({})] });
}

function exit(pid: number, seq: number, ms: number, code = 0) {
  return makeExit({ pid, seq, ktimeNs: BigInt(ms) * MS, code });
}

function scanned(
  pid: number,
  binary: string,
  parentPid = 0,
  changes: Partial<ScannedProcess> = {},
): ScannedProcess {
  const facts = {
    uid: 0,
    auid: 4294967295,
    cwd: "/srv",
    binary,
    argv0: binary,
    arguments: "",
    flags: FLAG_PROCFS,
    nspid: pid,
    inInitTree: false,
  };
  const startNs = defaultStartNs(pid) - (defaultStartNs(pid) % 10_000_000n);
  return { pid, parentPid, startNs, exe: binary, facts, ...changes };
}

const id = (ms: number, pid: number) => execId("node-1", BigInt(ms) * MS, pid);

test("what was counted of a process before its last exec is of the earlier image", () => {
  const { feed, processes } = setup();
  feed(exec(10, 1, 100, "/bin/sh"), fork(11, 10, 1, 110));
  feed(exec(11, 2, 120, "/bin/setpriv", { parentPid: 10 }), exec(11, 3, 130, "/bin/true", { parentPid: 10 }));
  const binaryAt = (seq: number) => processes.atExec(11, seq)?.facts.binary;
  expect([binaryAt(1), binaryAt(2), binaryAt(3)]).toEqual(["/bin/true", "/bin/setpriv", "/bin/true"]);
  expect(processes.atExec(12, 1)).toBeUndefined();
  expect([2, 3, 4].map((seq) => processes.hasSeen(11, seq))).toEqual([true, true, false]);
  expect(processes.hasSeen(12, 1)).toBe(false);
});

describe("identity and parents", () => {
  test("exec after a fork: flags say clone, the parent is the real parent", () => {
    const { feed } = setup();
    const events = feed(
      exec(10, 1, 100, "/bin/sh"),
      fork(11, 10, 1, 110),
      exec(11, 2, 120, "/bin/id", { parentPid: 10 }),
    );
    expect(events[1].process_exec.process).toMatchObject({
      exec_id: id(120, 11),
      parent_exec_id: id(100, 10),
      flags: "execve rootcwd clone",
    });
    expect(events[1].process_exec.parent).toMatchObject({ exec_id: id(100, 10), binary: "/bin/sh" });
  });

  test("exec over exec: the parent is the earlier image of the pid, which gets no exit", () => {
    const { feed } = setup();
    const events = feed(
      exec(10, 1, 100, "/bin/sh"),
      fork(11, 10, 1, 110),
      exec(11, 2, 120, "/usr/bin/setpriv", { parentPid: 10, cwd: "/tmp" }),
      exec(11, 3, 130, "/usr/bin/id", { parentPid: 10, cwd: "/tmp" }),
      exit(11, 3, 140),
    );
    expect(events.map((event) => Object.keys(event)[0])).toEqual([
      "process_exec",
      "process_exec",
      "process_exec",
      "process_exit",
    ]);
    expect(events[2].process_exec.process).toMatchObject({ flags: "execve", parent_exec_id: id(120, 11) });
    expect(events[2].process_exec.parent).toMatchObject({
      pid: 11,
      binary: "/usr/bin/setpriv",
      flags: "execve clone",
    });
    expect(events[3].process_exit.parent).toMatchObject({ pid: 11, binary: "/usr/bin/setpriv" });
  });

  test("a child of an image that executed over another has the newest image as its parent", () => {
    const { feed } = setup();
    const events = feed(
      exec(10, 1, 100, "/a"),
      exec(10, 2, 110, "/b"),
      fork(11, 10, 2, 120),
      hook(11, 2, 130),
    );
    expect(events.at(-1).process_kprobe.process).toMatchObject({
      exec_id: id(120, 11),
      binary: "/b",
      parent_exec_id: id(110, 10),
    });
  });

  test("the first process of a pid namespace and all below it are in its init tree", () => {
    const { feed } = setup();
    const events = feed(
      exec(10, 1, 100, "/bin/unshare"),
      fork(11, 10, 1, 110, 1),
      hook(11, 1, 111),
      exec(11, 2, 120, "/entry", { parentPid: 10, nspid: 1 }),
      fork(12, 11, 2, 130, 2),
      exec(12, 3, 140, "/child", { parentPid: 11, nspid: 2 }),
      exec(12, 4, 150, "/again", { parentPid: 11, nspid: 2 }),
      exec(13, 2, 160, "/kubectl-exec", { parentPid: 10, nspid: 3 }),
    );
    const shown = events.map(
      (event) => Object.values(event)[0] as { process: { flags: string; in_init_tree: boolean } },
    );
    expect(shown.map(({ process }) => [process.flags, process.in_init_tree])).toEqual([
      ["execve rootcwd clone", false],
      ["execve inInitTree", true],
      ["execve rootcwd clone inInitTree", true],
      ["execve rootcwd clone inInitTree", true],
      ["execve rootcwd inInitTree", true],
      ["execve rootcwd clone", false],
    ]);
  });

  test("pid 1 of the host is in no container's init tree", () => {
    const { feed } = setup();
    const [event] = feed(exec(1, 1, 5, "/sbin/init", { nspid: 1 }));
    expect(event.process_exec.process.in_init_tree).toBe(false);
  });

  test("a relative file name is made absolute", () => {
    const { feed } = setup();
    const [event] = feed(exec(10, 1, 100, "./run", { cwd: "/opt/app" }));
    expect(event.process_exec.process.binary).toBe("/opt/app/run");
  });

  test("a pid that is used again is another process", () => {
    const { feed } = setup();
    const again = { pid: 11, startNs: 777n * MS, seq: 1, ktimeNs: 777n * MS };
    const events = feed(
      exec(10, 1, 100, "/bin/sh"),
      exec(11, 9, 110, "/bin/old", { parentPid: 10 }),
      exit(11, 9, 120),
      makeFork({ ...again, parentPid: 10 }),
      makeHook({ ...again, hookId: 1, ktimeNs: 780n * MS, slots: [credSlot({})] }),
    );
    expect(events.at(-1).process_kprobe.process).toMatchObject({ exec_id: id(777, 11), binary: "/bin/sh" });
  });

  test("a child cloned as a sibling runs what its creator runs, where /proc says", () => {
    const container = { id: "c".repeat(64) };
    const clone = scanned(12, "/", 10, { startNs: 10n * MS });
    const proc = new Map([[12, { ...clone, facts: { ...clone.facts, container } }]]);
    const { feed } = setup({ proc });
    const events = feed(
      exec(10, 5, 100, "/bin/shim"),
      exec(11, 8, 110, "/proc/self/exe", { parentPid: 10, argv: ["runc", "init"] }),
      makeFork({ pid: 12, seq: 8, ktimeNs: 120n * MS, parentPid: 10, creatorPid: 11 }),
      hook(12, 8, 130),
    );
    expect(events.at(-1).process_kprobe.process).toMatchObject({
      binary: "/proc/self/exe",
      arguments: "init",
      docker: "c".repeat(31),
      parent_exec_id: id(100, 10),
    });
  });

  test("a child cloned as a sibling of an unknown creator runs what /proc tells", () => {
    const proc = new Map([[12, scanned(12, "/usr/sbin/runc", 10, { startNs: 10n * MS })]]);
    const { feed } = setup({ proc });
    const clone = makeFork({ pid: 12, seq: 8, ktimeNs: 120n * MS, parentPid: 10, creatorPid: 99 });
    const events = feed(exec(10, 5, 100, "/bin/shim"), clone, hook(12, 8, 130));
    expect(events.at(-1).process_kprobe.process).toMatchObject({
      binary: "/usr/sbin/runc",
      parent_exec_id: id(100, 10),
    });
  });
});

describe("within an exec", () => {
  test("commit_creds of an exec belongs to the image before it", () => {
    const { feed } = setup();
    const events = feed(
      exec(10, 1, 100, "/bin/sh"),
      hook(10, 2, 109),
      exec(10, 2, 110, "/usr/bin/su"),
      hook(10, 2, 120),
    );
    const shown = events.map(
      (event) => (Object.values(event)[0] as { process: { binary: string } }).process.binary,
    );
    expect(shown).toEqual(["/bin/sh", "/bin/sh", "/usr/bin/su", "/usr/bin/su"]);
    expect(Object.keys(events[1])[0]).toBe("process_kprobe");
  });

  test("its exec record may come in the next batch", () => {
    const { feed } = setup();
    expect(feed(exec(10, 1, 100, "/bin/sh"), hook(10, 2, 109))).toHaveLength(1);
    const events = feed(exec(10, 2, 110, "/usr/bin/su"));
    expect(events[0].process_kprobe.process.binary).toBe("/bin/sh");
    expect(events[1].process_exec.process.binary).toBe("/usr/bin/su");
  });

  test("an exec that fails beyond return and is killed leaves its records with the image before it", () => {
    const { feed } = setup();
    const events = feed(exec(10, 1, 100, "/bin/sh"), hook(10, 2, 109), exit(10, 2, 110, 11));
    expect(events[1].process_kprobe.process.exec_id).toBe(id(100, 10));
    expect(events[2].process_exit).toMatchObject({ signal: "SIGSEGV", process: { exec_id: id(100, 10) } });
  });
});

describe("lost records", () => {
  const su = { pid: 10, startNs: 10n * MS };

  test("a lost exec record: the image comes from /proc, not from the earlier one", () => {
    const proc = new Map([[10, scanned(10, "/usr/bin/su", 0, su)]]);
    const { pipeline, sink, clock, processes, feed } = setup({ proc });
    expect(feed(exec(10, 1, 100, "/bin/sh"), hook(10, 2, 120))).toHaveLength(1);
    clock.nowMs += 600;
    pipeline.tick();
    const [event] = parseLines(sink.takeLines());
    expect(event.process_kprobe.process).toMatchObject({
      exec_id: id(120, 10),
      binary: "/usr/bin/su",
      flags: "procFS",
      parent_exec_id: id(100, 10),
    });
    expect(processes.stats.execMisses).toBe(1);
    expect(feed(hook(10, 2, 130))[0].process_kprobe.process.exec_id).toBe(id(120, 10));
  });

  test("a lost exec record of a process that is gone: unknown", () => {
    const { feed, processes } = setup();
    const events = feed(exec(10, 1, 100, "/bin/sh"), hook(10, 3, 120), exit(10, 3, 130));
    expect(events[1].process_kprobe.process).toMatchObject({ exec_id: id(120, 10), flags: "unknown" });
    expect(events[1].process_kprobe.process).not.toHaveProperty("binary");
    expect(events[2].process_exit.process.exec_id).toBe(id(120, 10));
    expect(processes.stats).toMatchObject({ execMisses: 1, unknown: 1 });
  });

  test("/proc of another process with the same pid is not believed", () => {
    const proc = new Map([[10, scanned(10, "/usr/bin/other", 0, { startNs: 5000n * MS })]]);
    const { feed } = setup({ proc });
    expect(feed(hook(10, 3, 120))[0].process_kprobe.process.flags).toBe("unknown");
  });

  test("a fork while an exec seems under way: the exec record is lost, parent and child are not the earlier image", () => {
    const proc = new Map([[10, scanned(10, "/usr/bin/su", 0, su)]]);
    const { feed } = setup({ proc });
    const events = feed(
      exec(10, 1, 100, "/bin/sh"),
      hook(10, 2, 120),
      fork(11, 10, 2, 130),
      hook(11, 2, 140),
    );
    const kprobes = events.slice(1).map((event) => event.process_kprobe.process.binary);
    expect(kprobes).toEqual(["/usr/bin/su", "/usr/bin/su"]);
  });

  test("a child whose creator's exec record is lost is not of the creator's earlier image", () => {
    const proc = new Map([[10, scanned(10, "/usr/bin/su", 0, su)]]);
    const { feed, processes } = setup({ proc });
    const events = feed(
      exec(10, 1, 100, "/bin/sh"),
      fork(11, 10, 2, 130),
      hook(11, 2, 140),
      hook(10, 2, 150),
    );
    const kprobes = events.slice(1).map((event) => event.process_kprobe.process.binary);
    expect(kprobes).toEqual(["/usr/bin/su", "/usr/bin/su"]);
    expect(events[1].process_kprobe.parent.exec_id).toBe(events[2].process_kprobe.process.exec_id);
    expect(processes.stats.execMisses).toBe(1);
  });

  test("a lost fork record: exec still finds its parent", () => {
    const { feed } = setup();
    const events = feed(exec(10, 1, 100, "/bin/sh"), exec(11, 2, 120, "/bin/id", { parentPid: 10 }));
    expect(events[1].process_exec).toMatchObject({
      process: { flags: "execve rootcwd clone" },
      parent: { binary: "/bin/sh" },
    });
  });

  test("what /proc could not show at first is read in the next second, and later events have it", () => {
    const { feed, pipeline, proc, clock } = setup();
    expect(feed(hook(10, 3, 120))[0].process_kprobe.process).toMatchObject({ flags: "unknown" });
    proc.set(10, scanned(10, "/usr/bin/su", 0, su));
    clock.nowMs += 1000;
    pipeline.tick();
    expect(feed(hook(10, 3, 130))[0].process_kprobe.process).toMatchObject({
      exec_id: id(10, 10),
      binary: "/usr/bin/su",
      flags: "procFS",
    });
  });

  test("a process that has executed since, or whose pid another one has, is not named by /proc", () => {
    const { feed, pipeline, proc, clock } = setup();
    feed(hook(10, 3, 120), hook(11, 3, 120), exec(10, 4, 125, "/bin/new"));
    proc.set(10, scanned(10, "/usr/bin/su", 0, su));
    proc.set(11, scanned(11, "/usr/bin/other", 0, { startNs: 5000n * MS }));
    clock.nowMs += 1000;
    pipeline.tick();
    const [known, unknown] = feed(hook(10, 4, 130), hook(11, 3, 130));
    expect(known.process_kprobe.process.binary).toBe("/bin/new");
    expect(unknown.process_kprobe.process.flags).toBe("unknown");
  });

  test("a storm of misses leaves no process unknown that still runs", () => {
    const processes = Array.from({ length: 1000 }, (_, i) => scanned(1000 + i, `/bin/p${i}`));
    const proc = new Map(processes.map((process) => [process.pid, process]));
    const { feed, pipeline, clock } = setup({ proc });
    const hooks = (ms: number) => feed(...processes.map(({ pid }) => hook(pid, 1, ms)));
    const named = (events: ReturnType<typeof hooks>) =>
      events.filter((event) => event.process_kprobe.process.binary !== undefined).length;
    expect(named(hooks(5000))).toBe(200);
    for (let second = 0; second < 4; second++) {
      clock.nowMs += 1000;
      pipeline.tick();
    }
    expect(named(hooks(6000))).toBe(1000);
  });

  test("a storm of misses does not look up more than its share in /proc", () => {
    let reads = 0;
    const proc = { read: () => void reads++, isAlive: () => true } as never;
    const { feed } = setup({ cache: { proc } });
    feed(...Array.from({ length: 1000 }, (_, i) => hook(1000 + i, 1, 5000)));
    expect(reads).toBe(200);
  });
});

describe("processes from /proc", () => {
  test("become process_exec events with flag procFS and exec ids from their start", () => {
    const { pipeline, sink } = setup();
    pipeline.addScanned(scanned(50, "/usr/sbin/sshd"));
    pipeline.tick();
    const [event] = parseLines(sink.takeLines());
    expect(event.process_exec.process).toMatchObject({ exec_id: id(50, 50), flags: "procFS", cwd: "/srv" });
    expect(event.process_exec.parent.binary).toBe("<kernel>");
  });

  test("are found by records, whose start is exact and whose exec_seq was not known", () => {
    const { pipeline, feed } = setup();
    pipeline.addScanned(scanned(57, "/usr/sbin/sshd"));
    const events = feed(hook(57, 3, 900), hook(57, 3, 901), fork(58, 57, 3, 902), hook(58, 3, 903));
    expect(events[1].process_kprobe.process.exec_id).toBe(id(50, 57));
    expect(events[2].process_kprobe.process.exec_id).toBe(id(50, 57));
    expect(events[3].process_kprobe.process).toMatchObject({ flags: "execve", parent_exec_id: id(50, 57) });
  });

  test("do not replace what records have told", () => {
    const { pipeline, sink, feed } = setup();
    feed(exec(57, 3, 900, "/bin/new"));
    pipeline.addScanned(scanned(57, "/bin/new"));
    pipeline.tick();
    expect(sink.takeLines()).toEqual([]);
  });

  test("are replaced by an exec record from before the scan, which is no exec over exec", () => {
    const { pipeline, feed, sink } = setup();
    pipeline.addScanned(scanned(57, "/bin/new"));
    pipeline.tick();
    sink.takeLines();
    const [event] = feed(exec(57, 3, 900, "/bin/new"));
    expect(event.process_exec.process.flags).toBe("execve rootcwd clone");
    expect(event.process_exec.parent.binary).toBe("<kernel>");
  });
});

describe("memory", () => {
  test("ended images go after the grace time, and are there for late records until then", () => {
    const { feed, pipeline, clock, processes } = setup();
    feed(exec(10, 1, 100, "/bin/sh"), exit(10, 1, 110));
    expect(feed(hook(10, 1, 109))[0].process_kprobe.process.binary).toBe("/bin/sh");
    clock.nowMs += 1_000;
    pipeline.tick();
    expect(processes.size).toBe(1);
    clock.nowMs += 20_000;
    pipeline.tick();
    expect(processes.size).toBe(0);
  });

  test("a process that executes in a loop does not keep all its images", () => {
    const { feed, pipeline, clock, processes } = setup();
    for (let i = 1; i <= 100; i++) {
      feed(exec(10, i, 100 + i, "/bin/loop"));
      clock.nowMs += 20_000;
      pipeline.tick();
    }
    let depth = 0;
    const start = Number(10n * MS);
    for (let image = processes.find(10, start, 0, 100); image !== undefined; image = image.parent) depth++;
    expect(depth).toBeLessThanOrEqual(2);
  });

  test("the cap holds, ended images go first, evictions are counted", () => {
    const { feed, processes } = setup({ cache: { capacity: 3 } });
    feed(
      exec(10, 1, 1, "/a"),
      exec(11, 1, 2, "/b"),
      exec(12, 1, 3, "/c"),
      exit(11, 1, 4),
      exec(13, 1, 5, "/d"),
    );
    expect(processes.size).toBe(3);
    expect(feed(hook(10, 1, 6))[0].process_kprobe.process.binary).toBe("/a");
    feed(exec(14, 1, 7, "/e"));
    expect([processes.size, processes.stats.evictions]).toEqual([3, 2]);
  });

  test("images are held against /proc where records are lost, and else let alone", () => {
    const alive = new Set([10]);
    const proc = { read: () => undefined, isAlive: (pid: number) => alive.has(pid) };
    const { feed, processes } = setup({ cache: { proc } });
    feed(exec(10, 1, 100, "/a"));
    while (processes.sweep());
    feed(exec(11, 1, 100, "/b"));
    expect(processes.sweep()).toBe(false);
    expect(processes.stats.exitMisses).toBe(0);
    expect(processes.sweep(true)).toBe(true);
    for (let i = 0; i < 5; i++) processes.sweep();
    expect(processes.stats.exitMisses).toBe(1);
  });

  test("images whose process is gone without an exit record are found", () => {
    const alive = new Set([10, 11]);
    const proc = { read: () => undefined, isAlive: (pid: number) => alive.has(pid) };
    const { feed, pipeline, clock, processes } = setup({ cache: { proc } });
    const lost: number[] = [];
    processes.onLostExit = (pid) => lost.push(pid);
    feed(exec(10, 1, 100, "/a"), exec(11, 1, 100, "/b"));
    alive.delete(11);
    for (let i = 0; i < 40; i++) {
      clock.nowMs += 1_000;
      pipeline.tick();
    }
    expect(processes.size).toBe(1);
    expect(processes.stats.exitMisses).toBe(1);
    expect(lost).toEqual([11]);
  });
});
