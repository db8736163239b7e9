/**
 * Policies after public reports and collections, from their text to what a run of a program posts: each says what is
 * right where something else was posted once, or nothing.
 *
 *   npm run guest -- --kernel 6.1 -- node --test e2e/guest/policy-results.guest-test.ts
 *
 * @kernels 5.10, 6.1, latest: a system call is overridden on the newest only, an overlay is tested on 6.1 only
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import type { AttachedHook } from "../../agent/hooks/engine.ts";
import type { ArgDef } from "../../crds/hook-spec.ts";
import { compilePolicy } from "../../policy/compile.ts";
import { since } from "./lacking.ts";
import type { Value } from "./records.ts";
import { ACT, CALL_32, type Hit, makeHookOn, NR, run, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

/** A policy's spec, a program to run, and what the policy posts of it and of its children. */
interface Row {
  spec: string;
  runs: [program: string, ...args: string[]];
  posts: readonly string[];
  /** What is compared: all hits, or the last one. */
  last?: true;
  /** Exit status of the program, by default 0. */
  ends?: number;
  /** Whether this kernel has what the policy needs, by default yes. */
  here?: boolean;
}

const X32 = 0x4000_0000;
const BIT_31 = 0x8000_0000;
const USER = ["--reuid", "1000", "--regid", "1000"];
const asUser = (...more: string[]): Row["runs"] => ["setpriv", ...USER, ...more];

const GROUPS = `
  kprobes:
    - call: commit_creds
      syscall: false
      args:
        - { index: 0, type: int, resolve: group_info.ngroups, label: ngroups }
        - { index: 0, type: uint32, resolve: "group_info.gid[0].val", label: first }
        - { index: 0, type: uint32, resolve: "group_info.gid[1].val", label: second }
      selectors:
        - matchBinaries: [{ operator: Postfix, values: [/setpriv] }]`;

const SETUID = `
  kprobes:
    - { call: sys_setuid, syscall: true, args: [{ index: 0, type: int }] }`;

/** One of raw_syscalls with a filter on the number of the call. */
const everySyscall = (operator: string, value: string) => `
  lists:
    - { name: epoll, type: syscalls, values: [sys_epoll_create] }
    - { name: setuid, type: syscalls, values: [sys_setuid] }
  tracepoints:
    - subsystem: raw_syscalls
      event: sys_enter
      args: [{ index: 4, type: syscall64 }]
      selectors:
        - matchArgs: [{ index: 4, operator: ${operator}, values: ["${value}"] }]`;

const umask = (matches: string) => `
  kprobes:
    - call: sys_umask
      syscall: true
      args: [{ index: 0, type: int }]
      selectors: [{ ${matches} }]`;

const ROWS: Record<string, Row> = {
  "an array without elements has none to show": {
    spec: GROUPS,
    runs: asUser("--clear-groups", "id"),
    last: true,
    posts: ["commit_creds(0, -, -)"],
  },
  "an array with two shows both": {
    spec: GROUPS,
    runs: asUser("--groups", "11,22", "id"),
    last: true,
    posts: ["commit_creds(2, 11, 22)"],
  },
  "setuid by int 0x80 is a setuid": { spec: SETUID, runs: [CALL_32, "213:7"], posts: ["sys_setuid(7)"] },
  "setuid by x32 is a setuid": {
    spec: SETUID,
    runs: [ACT, "call", `${X32 + NR.setuid}:7`],
    posts: ["sys_setuid(7)"],
  },
  "a list does not match a 32-bit call that has the number of another one": {
    spec: everySyscall("InMap", "list:epoll"),
    runs: [CALL_32, "213:7"],
    posts: [],
  },
  "a list matches a 32-bit call by its name": {
    spec: everySyscall("InMap", "list:setuid"),
    runs: [CALL_32, "213:7"],
    posts: [`raw_syscalls/sys_enter(${BIT_31 + 213})`],
  },
  "a mask matches all calls of x32": {
    spec: everySyscall("Mask", String(X32)),
    runs: [ACT, "call", `${X32 + NR.getpid}`, "call", String(NR.getpid)],
    posts: [`raw_syscalls/sys_enter(${X32 + NR.getpid})`],
  },
  "returnArgAction: Post reports as if it were not there": {
    spec: `
  kprobes:
    - call: sys_setuid
      syscall: true
      return: true
      args: [{ index: 0, type: int }]
      returnArg: { index: 0, type: int }
      returnArgAction: Post
      selectors:
        - matchArgs: [{ index: 0, operator: Equal, values: ["0"] }]`,
    runs: [ACT, "call", `${NR.setuid}:0`],
    posts: ["sys_setuid(0) = 0"],
  },
  "returnArg without return: true reports at entry": {
    spec: `
  kprobes:
    - call: security_bprm_check
      syscall: false
      args: [{ index: 0, type: linux_binprm }]
      returnArg: { index: 0, type: int }
      selectors:
        - matchArgs: [{ index: 0, operator: Equal, values: [/usr/bin/su] }]`,
    runs: [ACT, "exec", "/usr/bin/su", "--version"],
    posts: ["security_bprm_check(/usr/bin/su)"],
  },
  "Override of a system call reports once what the caller got": {
    spec: `
  kprobes:
    - call: sys_setns
      syscall: true
      return: true
      args: [{ index: 0, type: int }, { index: 1, type: int }]
      returnArg: { index: 0, type: int }
      selectors:
        - matchBinaries: [{ operator: NotIn, values: [/usr/bin/runc] }]
          matchActions: [{ action: Override, argError: -1 }]`,
    runs: [ACT, "errno", `${NR.setns}:-1:0`],
    posts: ["sys_setns(-1, 0) = -1 Override"],
    ends: 1,
    here: since(7, 0), // Debian leaves error injection out; since 7.0 fmod_ret may override system calls
  },
  "Override of a security function reports once what the caller got": {
    spec: `
  kprobes:
    - call: security_task_prctl
      syscall: false
      return: true
      args: [{ index: 0, type: int }]
      returnArg: { index: 0, type: int }
      selectors:
        - matchArgs: [{ index: 0, operator: Equal, values: ["8"] }]
          matchActions: [{ action: Override, argError: 1 }]`,
    runs: [ACT, "result", `${NR.prctl}:8:1`],
    posts: ["security_task_prctl(8) = 1 Override"],
    ends: 1,
  },
  "capabilities that a user namespace brings are a change": {
    spec: `
  kprobes:
    - call: commit_creds
      syscall: false
      args: [{ index: 0, type: cred }]
      selectors:
        - matchCapabilityChanges: [{ type: Effective, operator: In, values: [CAP_SYS_ADMIN] }]`,
    runs: ["setpriv", "--reuid", "1000", "--clear-groups", ACT, "userns", "exit", "0"],
    last: true,
    posts: ["commit_creds(cred of 1000)"],
  },
  "capabilities that capset drops are a change": {
    spec: `
  kprobes:
    - call: sys_capset
      syscall: true
      args: [{ index: 0, type: uint64 }]
      selectors:
        - matchCapabilityChanges: [{ type: Effective, operator: In, values: [CAP_SYS_ADMIN] }]
          matchActions: [{ action: Sigkill }]`,
    runs: ["sh", "-c", `${ACT} drop 12 exit 0 && { ${ACT} drop 21 exit 0; exit $(($? == 137)); }`],
    last: true,
    posts: ["sys_capset(a number) Sigkill"],
    ends: 1,
  },
  "namespaces that unshare leaves are a change": {
    spec: `
  kprobes:
    - call: sys_unshare
      syscall: true
      args: [{ index: 0, type: int }]
      selectors:
        - matchNamespaceChanges: [{ operator: In, values: [Mnt, Pid, Net, User] }]`,
    runs: ["unshare", "-m", "true"],
    posts: [`sys_unshare(${0x2_0000})`],
  },
  "namespaces that setns joins are a change": {
    spec: `
  kprobes:
    - call: sys_setns
      syscall: true
      args: [{ index: 1, type: int }]
      selectors:
        - matchNamespaceChanges: [{ operator: In, values: [User] }]`,
    runs: [ACT, "join-userns", "exit", "0"],
    posts: [`sys_setns(${0x1000_0000})`],
  },
  "a shell is what its link is called": {
    spec: umask("matchBinaries: [{ operator: In, values: [/bin/sh] }]"),
    runs: ["/bin/sh", "-c", "umask 077"],
    last: true, // it asks for the old one first
    posts: ["sys_umask(63)"],
  },
  "a shell is not what its link is not called": {
    spec: umask("matchBinaries: [{ operator: NotPrefix, values: [/bin/s] }]"),
    runs: ["/bin/sh", "-c", "umask 077"],
    posts: [],
  },
  "the parent is what its link is called": {
    spec: umask("matchParentBinaries: [{ operator: In, values: [/bin/sh] }]"),
    runs: ["/bin/sh", "-c", `${ACT} call 95:7 exit 0; :`],
    posts: ["sys_umask(7)"],
  },
  "an enforcer of the hook's own call acts at once": {
    spec: `
  enforcers: [{ calls: [security_task_prctl] }]
  kprobes:
    - call: security_task_prctl
      syscall: false
      args: [{ index: 0, type: int }]
      selectors:
        - matchArgs: [{ index: 0, operator: Equal, values: ["8"] }]
          matchActions: [{ action: NotifyEnforcer, argError: -13 }]`,
    runs: [ACT, "errno", `${NR.prctl}:8:1`],
    posts: ["security_task_prctl(8) Override"],
    ends: 13,
  },
  "an enforcer of what a tracepoint decides about acts in that call, and the tracepoint reports it": {
    spec: `
  lists: [{ name: calls, type: syscalls, values: [sys_setuid, sys_setgid] }]
  enforcers: [{ calls: ["list:calls"] }]
  tracepoints:
    - subsystem: raw_syscalls
      event: sys_enter
      args: [{ index: 4, type: syscall64 }]
      selectors:
        - matchArgs: [{ index: 4, operator: InMap, values: ["list:calls"] }]
          matchCurrentCred: [{ field: uid, operator: Equal, values: ["1000"] }]
          matchActions: [{ action: NotifyEnforcer, argSig: 9 }]`,
    runs: ["sh", "-c", `${ACT} call 105:0 call 105:1000 call 106:0 exit 3; exit $(($? == 137))`],
    posts: ["raw_syscalls/sys_enter(106)"],
    ends: 1,
  },
};

/** Numbers of KprobeAction. */
const ACTIONS: Record<number, string> = { 3: " Sigkill", 5: " Override" };

function describeValue(value: Value): string {
  if (value === undefined) return "-";
  if (typeof value === "object") return "level" in value ? `level ${value.level}` : `cred of ${value.uid}`;
  return typeof value === "bigint" && value > 0x1_0000_0000n ? "a number" : String(value);
}

function describeHit(hit: Hit, hooks: readonly AttachedHook[]): string {
  const { def } = hooks[hit.hook] as AttachedHook;
  const returned = def.returnArg && def.returnArg.type !== "nop" ? ` = ${hit.returned}` : "";
  return `${def.call}(${hit.values.map(describeValue).join(", ")})${returned}${ACTIONS[hit.action] ?? ""}`;
}

function check({ spec, runs: [program, ...args], posts, last, ends = 0 }: Row): void {
  const metadata = { name: "policy-results" };
  const policy = { apiVersion: "cilium.io/v1alpha1", kind: "TracingPolicy", metadata, spec: parse(spec) };
  const result = compilePolicy(policy);
  assert.ok(result.ok, JSON.stringify(result));
  const hooks = result.spec.hooks.map((def) => engine.attach(def));
  let pid = 0;
  const hits = engine.hitsOf(hooks, () => {
    const ran = run(program, args);
    assert.equal(ran.signal ?? ran.status, ends, `${program} ${args.join(" ")} ended`);
    pid = ran.pid;
  });
  for (const hook of hooks) hook.detach();
  const posted = hits.filter((hit) => hit.pid >= pid).map((hit) => describeHit(hit, hooks));
  assert.deepEqual(last ? posted.slice(-1) : posted, posts);
}

describe(`policies and what they post on ${release()}`, () => {
  for (const [name, row] of Object.entries(ROWS)) {
    test(name, { skip: row.here === false && "the kernel lacks what the policy needs" }, () => check(row));
  }
});

describe("what does not fit is refused by the compiler, and on the node in the same words", () => {
  const rows: Record<string, [arg: ArgDef & { resolve: string }, words: string]> = {
    "a member that is an address, as a number": [
      { index: 0, type: "int", resolve: "user_ns" },
      "it is an address, not of the type int",
    ],
    "a member that is an address, as a capability": [
      { index: 0, type: "capability", resolve: "group_info" },
      "it is an address, not of the type capability",
    ],
    "a member of the task that has more bytes": [
      { index: 0, type: "uint32", source: "current_task", resolve: "start_time" },
      "it has 8 bytes, type uint32 has 4: write long or uint64",
    ],
  };
  for (const [name, [arg, words]] of Object.entries(rows)) {
    test(name, () => {
      const call = { call: "commit_creds", syscall: false };
      const result = compilePolicy({
        apiVersion: "cilium.io/v1alpha1",
        kind: "TracingPolicy",
        metadata: { name: "policy-results" },
        spec: { kprobes: [{ ...call, [arg.source === undefined ? "args" : "data"]: [arg] }] },
      });
      assert.ok(!result.ok);
      assert.ok(result.errors[0]?.message.startsWith(`${arg.resolve}: ${words}`), JSON.stringify(result));
      const { status } = engine.engine.attach(makeHookOn("commit_creds", { args: [arg] }));
      assert.equal(status.reason, "InvalidArgument", status.message);
      assert.ok(status.message?.includes(`resolve ${arg.resolve}: ${words}`), status.message);
    });
  }
});

test("a file's capability that an overlay would copy up is left behind, once and reported", {
  skip:
    (!since(5, 11) || since(6, 12)) &&
    "user namespaces mount no overlay yet, or the function has other parameters",
}, () => {
  const directory = mkdtempSync("/tmp/overlay-");
  for (const part of ["lower", "upper", "work", "merged"]) mkdirSync(join(directory, part));
  run("sh", ["-c", `cp /bin/true ${directory}/lower/file && ${ACT} setcap ${directory}/lower/file 1 exit 0`]);
  const mount = `mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr merged`;
  check({
    spec: `
  kprobes:
    - call: security_inode_copy_up_xattr
      syscall: false
      return: true
      args: [{ index: 0, type: string }]
      returnArg: { index: 0, type: int }
      selectors:
        - matchNamespaces: [{ namespace: User, operator: NotIn, values: [host_ns] }]
          matchArgs: [{ index: 0, operator: Equal, values: ["security.capability\\0"] }]
          matchActions: [{ action: Override, argError: 1 }]`,
    runs: ["unshare", "-Urm", "sh", "-c", `cd ${directory} && ${mount} && touch merged/file`],
    posts: ["security_inode_copy_up_xattr(security.capability) = 1 Override"],
  });
});
