/**
 * What hooks see of ways past system calls, at which layer and with which identity: the rows of docs/system-calls.md.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/ways.guest-test.ts
 */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { makeArgs } from "../../agent/hooks/testing/hooks.ts";
import type { ArgDef, HookDef } from "../../crds/hook-spec.ts";
import type { TestRecord } from "./records.ts";
import { ACT, act, type Hit, makeHookOn, NR, QUIET, run, TestEngine } from "./test-engine.ts";

const WAYS = resolve(import.meta.dirname, "../../build/guest/ways");
const directory = mkdtempSync(join(tmpdir(), "ways-"));
const secret = join(directory, "only-root");
writeFileSync(secret, "secret");
chmodSync(secret, 0o600);
chmodSync(directory, 0o755);

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

/** Runs a way; `of` gives the numbers that it prints by their names. */
function way(...args: string[]): { of(name: string): number; status: number | null } {
  const { stdout, status } = run(WAYS, args);
  return { status, of: (name) => Number(new RegExp(`^${name} (-?\\d+)$`, "m").exec(stdout)?.[1]) };
}

/** The hits of hooks, by the name of the call, while a way runs. */
function watch(defs: readonly HookDef[], trigger: () => unknown): Record<string, Hit[]> {
  const hits = engine.watch(defs, trigger);
  return Object.fromEntries(defs.map(({ call }, index) => [call, hits.filter(({ hook }) => hook === index)]));
}

const by = (pid: number, hits: Hit[] = []) => hits.filter((hit) => hit.pid === pid);
const PATH_AT_1: ArgDef[] = [{ index: 1, type: "string" }];
const OPENAT = makeHookOn("sys_openat", { args: PATH_AT_1 });
const FILE_OPEN = makeHookOn("security_file_open", {
  args: [
    { index: 0, type: "file" },
    { index: 0, type: "uint32", source: "current_task", resolve: "real_cred.uid.val" },
  ],
});
const RECEIVE = makeHookOn("security_file_receive", { args: makeArgs("file") });
const BPRM_CHECK = makeHookOn("security_bprm_check", { args: makeArgs("linux_binprm") });
const COMMIT = makeHookOn("commit_creds", { args: makeArgs("cred") });

/** The exec records while a way runs. */
function execs(trigger: () => unknown): TestRecord[] {
  engine.takeRecords();
  trigger();
  return engine.takeRecords().filter(({ kind }) => kind === "exec");
}

const ROUNDS_OF_RACE = 20;

test("io_uring opens a file with registered credentials, without a system call for it", () => {
  let ran: ReturnType<typeof way> | undefined;
  const hits = watch([OPENAT, FILE_OPEN, makeHookOn("sys_io_uring_enter")], () => {
    ran = way("io-uring", secret);
  });
  const pid = ran?.of("pid") ?? 0;
  assert.equal(ran?.of("result"), 0, "user 1000 has opened what only root may");
  assert.deepEqual(
    by(pid, hits.sys_openat).filter(({ values }) => values[0] === secret),
    [],
  );
  assert.equal(by(pid, hits.sys_io_uring_enter).length, 1);
  const [opened] = by(pid, hits.security_file_open).filter(({ values }) => values[0] === secret);
  assert.deepEqual([opened?.uid, opened?.values[1]], [0, 1000n], "acts as root, and belongs to user 1000");
});

test("prctl changes bounding sets by commit_creds, and no_new_privs without", () => {
  const [PRCTL, CAPBSET_DROP, NO_NEW_PRIVS] = [NR.prctl, 24, 38];
  const defs = [
    makeHookOn("sys_prctl", { args: makeArgs("int") }),
    makeHookOn("security_task_prctl"),
    COMMIT,
  ];
  const dropped = watch(defs, () => act(`${QUIET} call ${PRCTL}:${CAPBSET_DROP}:21 exit 0`));
  const changed = dropped.commit_creds?.filter(({ change }) => change?.changed.includes("capBounding"));
  assert.deepEqual([changed?.length, changed?.[0]?.syscall], [1, PRCTL]);
  const set = watch(defs, () => act(`call ${PRCTL}:${NO_NEW_PRIVS}:1:0:0:0 exit 0`));
  const of = (name: string) => set[name]?.filter(({ values }) => values[0] === BigInt(NO_NEW_PRIVS)).length;
  assert.deepEqual([of("sys_prctl"), (set.security_task_prctl?.length ?? 0) > 0], [1, true]);
  assert.ok(set.commit_creds?.every(({ change }) => !change?.changed.includes("noNewPrivs")));
});

test("a thread changes its own credentials only", () => {
  const defs = [makeHookOn("sys_setuid"), COMMIT, makeHookOn("sys_setfsuid")];
  const hits = watch(defs, () => act(`thread ${NR.setuid}:1000 ${QUIET} exit 0`));
  const [setuid] = hits.sys_setuid ?? [];
  const commit = hits.commit_creds?.find(({ tid }) => tid === setuid?.tid);
  assert.ok(setuid && setuid.tid !== setuid.pid && commit?.change?.changed.includes("uid"));
  const [later] = hits.sys_setfsuid ?? [];
  assert.deepEqual([later?.tid, later?.uid], [setuid?.pid, 0], "the first thread is root as before");
});

test("a vfork child is a process of its own from its first call on", () => {
  let child = 0;
  const defs = [makeHookOn("sys_setresuid"), BPRM_CHECK];
  const hits = watch(defs, () => {
    child = way("vfork", "/bin/true").of("pid");
  });
  assert.equal(by(child, hits.sys_setresuid).length, 1);
  assert.equal(by(child, hits.security_bprm_check)[0]?.uid, 1000);
});

test("execveat is another system call than execve, and the same exec for the kernel", () => {
  let pid = 0;
  const hits = watch([makeHookOn("sys_execve"), makeHookOn("sys_execveat"), BPRM_CHECK], () => {
    pid = way("execveat", ACT).of("pid");
  });
  const after = (name: string) => by(pid, hits[name]).length;
  assert.deepEqual([after("sys_execve"), after("sys_execveat")], [1, 1], "execve is that of `ways` itself");
  assert.equal(by(pid, hits.security_bprm_check).at(-1)?.values[0], ACT);
  const [, exec] = execs(() => {
    pid = way("execveat", ACT).of("pid");
  }).filter((record) => record.pid === pid);
  assert.match(String(exec?.fields.filename), /^\/dev\/fd\/\d+$/);
  assert.equal(exec?.fields.exe, ACT);
});

test("a file in memory has no path that was there before", () => {
  const records = execs(() => act("memfd exit 0"));
  const exec = records.at(-1);
  assert.match(String(exec?.fields.filename), /^\/(dev|proc\/self)\/fd\/\d+$/);
  assert.match(String(exec?.fields.exe), /^\/memfd:copy-of-act/);
});

test("pidfd_getfd takes an open file without opening it", () => {
  let pid = 0;
  const hits = watch([OPENAT, FILE_OPEN, RECEIVE, makeHookOn("sys_pidfd_getfd")], () => {
    pid = way("pidfd", secret).of("pid");
  });
  const ofSecret = (name: string) => by(pid, hits[name]).filter(({ values }) => values[0] === secret).length;
  assert.deepEqual([ofSecret("sys_openat"), ofSecret("security_file_open")], [0, 0]);
  assert.deepEqual([by(pid, hits.sys_pidfd_getfd).length, ofSecret("security_file_receive")], [1, 1]);
});

test("a call that a tracer injects is the tracee's", () => {
  let ran: ReturnType<typeof way> | undefined;
  const defs = [
    makeHookOn("sys_setuid", { args: makeArgs("int") }),
    COMMIT,
    makeHookOn("security_ptrace_traceme"),
  ];
  const hits = watch([...defs, makeHookOn("sys_getppid"), makeHookOn("sys_ptrace")], () => {
    ran = way("inject", "1234");
  });
  const [pid, tracer] = [ran?.of("pid") ?? 0, ran?.of("tracer") ?? 0];
  assert.equal(ran?.status, 0, "the tracee has another uid");
  assert.deepEqual(
    by(pid, hits.sys_setuid).map(({ values }) => values),
    [[1234n]],
  );
  assert.equal(by(pid, hits.sys_getppid).length, 0, "what its program called");
  assert.equal(by(pid, hits.commit_creds).filter(({ change }) => change?.changed.includes("uid")).length, 1);
  assert.deepEqual(
    [by(pid, hits.security_ptrace_traceme).length, by(tracer, hits.sys_setuid).length],
    [1, 0],
  );
  assert.ok(by(tracer, hits.sys_ptrace).length > 0);
});

test("a call that a supervisor answers never runs, and its file arrives all the same", () => {
  let ran: ReturnType<typeof way> | undefined;
  const hits = watch([OPENAT, FILE_OPEN, RECEIVE], () => {
    ran = way("notify", secret);
  });
  const [pid, supervisor] = [ran?.of("pid") ?? 0, ran?.of("supervisor") ?? 0];
  assert.equal(ran?.status, 0, "the child has got a descriptor");
  assert.deepEqual(by(pid, hits.sys_openat), []);
  const ofSecret = (who: number, name: string) =>
    by(who, hits[name]).filter(({ values }) => values[0] === secret).length;
  assert.deepEqual(
    [ofSecret(pid, "security_file_receive"), ofSecret(supervisor, "security_file_open")],
    [1, 1],
  );
});

test("an argument that is rewritten between entry and use is seen as it was", () => {
  const names = ["first-name", "other-name"].map((name) => join(directory, name));
  for (const name of names) writeFileSync(name, name);
  // The machine's scheduler decides who wins the race: it is run again until it has been won once.
  for (let round = 0; round < ROUNDS_OF_RACE; round++) {
    const pairs = raceForName(names);
    assert.ok(pairs.length > 500, `${pairs.length} calls`);
    if (pairs.some(([asked, opened]) => asked !== opened)) return;
  }
  assert.fail("the hook of the call was never shown another name than the one that was opened");
});

/** What each of 2,000 calls of open was asked for and what it opened, while a thread rewrites the name. */
function raceForName(names: string[]): unknown[][] {
  let pid = 0;
  const hits = engine.watch([OPENAT, FILE_OPEN], () => {
    pid = way("rewrite", names[0] as string, names[1] as string, "2000").of("pid");
  });
  const ours = by(pid, hits).filter(({ values }) => names.includes(String(values[0])));
  return ours.flatMap((entry, n) => {
    const opened = ours[n + 1];
    return entry.hook === 0 && opened?.hook === 1 ? [[entry.values[0], opened.values[0]]] : [];
  });
}

test("a thread that executes a file takes the id of the first, and the others are gone", () => {
  engine.takeRecords();
  const hook = engine.attach(BPRM_CHECK);
  const ran = way("exec-race", ACT);
  const records = engine.takeRecords().filter(({ pid }) => pid === ran.of("pid"));
  hook.detach();
  const check = records.filter(({ kind }) => kind === "hook").at(-1);
  const [first, exec] = records.filter(({ kind }) => kind === "exec");
  assert.equal(check?.tid, ran.of("tid"), "until then it has its own");
  assert.deepEqual([exec?.tid, exec?.fields.exe], [ran.of("pid"), ACT]);
  assert.deepEqual([check?.execSeq, exec?.execSeq], [first?.execSeq, (first?.execSeq ?? 0) + 1]);
  assert.equal(records.filter(({ kind }) => kind === "exit").length, 1, "one process ends, once");
});
