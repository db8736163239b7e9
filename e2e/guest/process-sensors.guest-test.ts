/**
 * Every process is reported once and completely: exec, fork and exit records of real processes.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/process-sensors.guest-test.ts
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readlinkSync, rmdirSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { CredFields, TestRecord } from "./records.ts";
import { ACT, act, run, TestEngine, withoutTypes } from "./test-engine.ts";

const FLAGS = { argsTruncated: 1 << 0, cwdRoot: 1 << 7, secure: 1 << 8 };
const FAILURES = 0b1001011110 & ~FLAGS.argsTruncated;
const NO_AUID = 4_294_967_295;

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

/** The records of a kind since the last look, of one process where a pid is given. */
function take(kind: TestRecord["kind"], pid?: number): TestRecord[] {
  return engine
    .takeRecords()
    .filter((record) => record.kind === kind && (pid === undefined || record.pid === pid));
}

function only(records: TestRecord[]): TestRecord {
  assert.equal(records.length, 1);
  return records[0] as TestRecord;
}

/** Starts afresh, runs, and gives the process' one exec record. */
function execOf(runIt: () => { pid: number }): TestRecord {
  engine.takeRecords();
  const { pid } = runIt();
  return only(take("exec", pid));
}

function inum(link: string): number {
  return Number(/\[(\d+)\]/.exec(readlinkSync(link))?.[1]);
}

describe("an exec", () => {
  test("has file, arguments, directory and ids", () => {
    const directory = mkdtempSync(join(tmpdir(), "exec-"));
    const record = execOf(() => run(ACT, ["call", "39", "exit", "0"], { cwd: directory }));
    const { filename, args, cwd, exe, nspid, parent_pid, exe_inode, exe_links } = record.fields;
    const file = statSync(ACT);
    assert.deepEqual(
      { filename, args, cwd, exe, nspid, parent_pid, exe_inode, exe_links },
      {
        filename: ACT,
        args: `${ACT}\0call\x0039\0exit\x000\0`,
        cwd: directory,
        exe: ACT,
        nspid: record.pid,
        parent_pid: process.pid,
        exe_inode: BigInt(file.ino),
        exe_links: file.nlink,
      },
    );
    assert.equal(record.tid, record.pid);
    assert.equal(record.flags & FAILURES, 0);
  });

  test("has the same namespaces as /proc", () => {
    const { ns } = execOf(() => act("exit 0")).fields;
    const names = [
      "uts",
      "ipc",
      "mnt",
      "pid",
      "pid_for_children",
      "net",
      "time",
      "time_for_children",
      "cgroup",
      "user",
    ];
    assert.deepEqual(ns, Object.fromEntries(names.map((name) => [name, inum(`/proc/self/ns/${name}`)])));
  });

  test("has the credentials, including those from the file", () => {
    const { cred, auid } = execOf(() => run(ACT, ["exit", "0"], { uid: 1000, gid: 1001 })).fields;
    const { uid, euid, gid, cap_permitted, user_ns_level, user_ns_inum } = cred as CredFields;
    assert.deepEqual(
      { uid, euid, gid, cap_permitted, user_ns_level, user_ns_inum, auid },
      {
        uid: 1000,
        euid: 1000,
        gid: 1001,
        cap_permitted: 0n,
        user_ns_level: 0,
        user_ns_inum: inum("/proc/self/ns/user"),
        auid: NO_AUID,
      },
    );
  });

  test("of a set-user-id file is marked as secure", () => {
    const copy = join(mkdtempSync(join(tmpdir(), "suid-")), "act");
    run("sh", ["-c", `chmod 755 $(dirname ${copy}) && cp ${ACT} ${copy} && chmod 4755 ${copy}`]);
    const record = execOf(() => run(copy, ["exit", "0"], { uid: 1000, gid: 1000 }));
    const { uid, euid } = record.fields.cred as CredFields;
    assert.deepEqual(
      { uid, euid, secure: record.flags & FLAGS.secure },
      { uid: 1000, euid: 0, secure: FLAGS.secure },
    );
    assert.equal(record.uid, 0);
    assert.equal(execOf(() => act("exit 0")).flags & FLAGS.secure, 0);
  });

  test("through a link names the link as given and the file as it is", () => {
    const directory = mkdtempSync(join(tmpdir(), "links-"));
    symlinkSync(ACT, join(directory, "soft"));
    const { filename, exe } = execOf(() => run(join(directory, "soft"), ["exit", "0"])).fields;
    assert.deepEqual({ filename, exe }, { filename: join(directory, "soft"), exe: ACT });
  });

  test("of a file in memory names it, and has no links", () => {
    engine.takeRecords();
    const { pid } = act("memfd exit 0");
    const { exe, exe_links, args } = take("exec", pid)[1]?.fields ?? {};
    assert.deepEqual(
      { exe, exe_links, args },
      { exe: "/memfd:copy-of-act", exe_links: 0, args: "act\0exit\x000\0" },
    );
  });

  test("of a relative path keeps it relative", () => {
    const { filename, cwd, exe } = execOf(() => run("./act", ["exit", "0"], { cwd: join(ACT, "..") })).fields;
    assert.deepEqual({ filename, cwd, exe }, { filename: "./act", cwd: join(ACT, ".."), exe: ACT });
  });

  test("in the root directory is marked so", () => {
    const record = execOf(() => act("exit 0", { cwd: "/" }));
    assert.equal(record.fields.cwd, "/");
    assert.equal(record.flags & FLAGS.cwdRoot, FLAGS.cwdRoot);
  });

  test("in a deep directory across mounts has the whole path", () => {
    const deep = join("/sys/kernel", ...["debug", "tracing"]);
    mkdirSync("/dev/shm/a/b", { recursive: true });
    const path = `/dev/shm/${"directory-with-a-long-name/".repeat(20)}end`;
    mkdirSync(path, { recursive: true });
    assert.equal(execOf(() => act("exit 0", { cwd: path })).fields.cwd, path);
    assert.equal(
      execOf(() => act("exit 0", { cwd: deep })).fields.cwd,
      run("pwd", ["-P"], { cwd: deep }).stdout.trim(),
    );
  });

  test("inside another root sees paths from there", () => {
    const root = mkdtempSync("/dev/shm/root-");
    run("cp", ["/bin/busybox", `${root}/busybox`]);
    engine.takeRecords();
    run("chroot", [root, "/busybox", "true"]);
    const record = take("exec").find(({ fields }) => fields.filename === "/busybox");
    assert.deepEqual([record?.fields.exe, record?.fields.cwd], ["/busybox", "/"]);
  });

  test("with more than 16 KiB of arguments is cut and marked so", () => {
    const record = execOf(() => run(ACT, ["exit", "0", "x".repeat(20_000)]));
    const { args } = record.fields as { args: string };
    assert.equal(args.length, 16_384);
    assert.ok(args.startsWith(`${ACT}\0exit\x000\0xxx`));
    assert.equal(record.flags & FLAGS.argsTruncated, FLAGS.argsTruncated);
  });

  test("with empty arguments keeps them", () => {
    assert.equal(
      execOf(() => run(ACT, ["exit", "0", "", "a b", ""])).fields.args,
      `${ACT}\0exit\x000\0\0a b\0\0`,
    );
  });

  test("has the loginuid once it is set", () => {
    engine.takeRecords();
    run("sh", ["-c", `echo 1234 > /proc/self/loginuid && exec ${ACT} exit 0`]);
    const record = take("exec").find(({ fields }) => fields.filename === ACT);
    assert.equal(record?.fields.auid, 1234);
  });

  test("has the cgroup and its parent", () => {
    const group = "/sys/fs/cgroup/trigon-test/leaf-1.scope";
    mkdirSync(group, { recursive: true });
    engine.takeRecords();
    run("sh", ["-c", `echo $$ > ${group}/cgroup.procs && exec ${ACT} exit 0`]);
    const record = take("exec").find(({ fields }) => fields.filename === ACT);
    assert.equal(record?.fields.cgroup, "trigon-test/leaf-1.scope");
    assert.equal(record?.fields.cgroup_id, BigInt(statSync(group).ino));
    rmdirSync(group);
    rmdirSync("/sys/fs/cgroup/trigon-test");
  });

  test("of the same process again has the next number and the same start", () => {
    engine.takeRecords();
    const { pid } = run("sh", ["-c", `exec ${ACT} exit 0`]);
    const [first, second] = take("exec", pid);
    assert.ok(first && second);
    assert.equal(second.execSeq, first.execSeq + 1);
    assert.equal(second.leaderStartNs, first.leaderStartNs);
    assert.equal(first.leaderStartNs > 0n && first.ktimeNs > first.leaderStartNs, true);
  });

  test("in a pid namespace has the pid there", () => {
    engine.takeRecords();
    run("unshare", ["-pf", ACT, "exit", "0"]);
    const record = take("exec").find(({ fields }) => fields.filename === ACT);
    assert.ok(record);
    assert.equal(record.fields.nspid, 1);
    assert.notEqual((record.fields.ns as Record<string, number>).pid, inum("/proc/self/ns/pid"));
  });
});

describe("a fork", () => {
  test("has the new process and its parent", () => {
    engine.takeRecords();
    const { pid } = act("fork exit 0");
    const records = engine.takeRecords();
    const parent = only(records.filter((record) => record.kind === "exec" && record.pid === pid));
    const fork = only(records.filter((record) => record.kind === "fork" && record.fields.parent_pid === pid));
    assert.equal(fork.fields.parent_start_ns, parent.leaderStartNs);
    assert.equal(fork.execSeq, parent.execSeq);
    assert.equal(fork.fields.nspid, fork.pid);
    assert.equal(fork.fields.cgroup_id, parent.fields.cgroup_id);
    assert.ok(fork.leaderStartNs >= parent.leaderStartNs);
  });

  test("is reported in the same way where the kernel refuses tracing programs", () => {
    const untyped = new TestEngine({ bpf: withoutTypes("tracepointProto") });
    engine.takeRecords();
    untyped.takeRecords();
    const { pid } = act("fork thread 39 exit 0");
    const [forks, others] = [engine, untyped].map((one) =>
      one
        .takeRecords()
        .filter(({ kind, fields }) => kind === "fork" && fields.parent_pid === pid)
        .map((record) => ({ ...record, ktimeNs: 0n })),
    );
    const programs = run("bpftool", ["prog", "list"]).stdout;
    untyped.close();
    assert.equal(forks?.length, 1);
    assert.deepEqual(others, forks);
    const preempts = untyped.entryKind() === "kprobe"; // no tracing program is tried there
    assert.match(
      programs,
      preempts ? /kprobe\s+name process_fork_kp/ : /raw_tracepoint\s+name process_fork\s/,
    );
  });

  test("of a thread is no process", () => {
    engine.takeRecords();
    const { pid } = act("thread 39 exit 0");
    const records = engine.takeRecords();
    assert.deepEqual(
      records.filter(({ kind, fields }) => kind === "fork" && fields.parent_pid === pid),
      [],
    );
    assert.equal(records.filter((record) => record.kind === "exit" && record.pid === pid).length, 1);
  });
});

describe("an exit", () => {
  const cases: Record<string, { steps: string; code: number }> = {
    "has the exit code": { steps: "exit 3", code: 3 << 8 },
    "has the signal": { steps: "kill 9", code: 9 },
    "of a process whose leader ended before has the group's code, once": {
      steps: "leader-ends 5",
      code: 5 << 8,
    },
  };
  for (const [name, { steps, code }] of Object.entries(cases)) {
    test(name, () => {
      engine.takeRecords();
      const { pid } = act(steps);
      const records = engine.takeRecords().filter((record) => record.pid === pid);
      const exit = only(records.filter((record) => record.kind === "exit"));
      const exec = only(records.filter((record) => record.kind === "exec"));
      assert.equal(exit.fields.code, code);
      assert.deepEqual([exit.leaderStartNs, exit.execSeq], [exec.leaderStartNs, exec.execSeq]);
    });
  }
});

test("records add up: 100 processes, nothing lost", () => {
  const before = engine.engine.processStats();
  engine.takeRecords();
  run("sh", ["-c", `for i in $(seq 100); do ${ACT} exit 0; done`]);
  const records = engine.takeRecords();
  const execs = records.filter((record) => record.kind === "exec" && record.fields.filename === ACT);
  const pids = new Set(execs.map((record) => record.pid));
  assert.equal(execs.length, 100);
  for (const kind of ["fork", "exit"]) {
    assert.equal(records.filter((record) => record.kind === kind && pids.has(record.pid)).length, 100, kind);
  }
  const after = engine.engine.processStats();
  assert.equal(after.lost, 0);
  assert.equal(after.posted - before.posted, records.length);
});
