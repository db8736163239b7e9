/**
 * Filters on credentials and what they were before: capabilities, namespaces, the caller's ids, changes by a commit.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-creds.guest-test.ts
 *
 * @kernels 5.10, 6.12: before and after 6.3 changed kernel_cap_t; hook-arguments reads credentials on every kernel
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { makeSelector } from "../../agent/hooks/testing/hooks.ts";
import type { CredChange, CredChangeField, FilterDef, HookDef } from "../../crds/hook-spec.ts";
import { CRED_CHANGE_FIELDS } from "../../crds/schema/words.ts";
import { compilePolicy } from "../../policy/compile.ts";
import { ACT, act, BY_KPROBE, type Hit, makeHookOn, NR, QUIET, run, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

const CAP = { CHOWN: 1n, SETUID: 1n << 7n, NET_RAW: 1n << 13n, SYS_ADMIN: 1n << 21n, BPF: 1n << 39n };
const UNSHARE = 272;
const NEWUTS = 0x0400_0000;
const NEWIPC = 0x0800_0000;
const NEWUSER = 0x1000_0000;

/** Posts of a hook of setfsuid, one per filter, while `trigger` runs. */
function counts(filters: FilterDef[], trigger: () => unknown): number[] {
  const hits = engine.watch(
    filters.map((filter) => makeHookOn("sys_setfsuid", { selectors: [makeSelector(filter)] })),
    trigger,
  );
  return filters.map((_, hook) => hits.filter((hit) => hit.hook === hook).length);
}

const asUser = (...command: string[]) =>
  run("setpriv", ["--reuid=1000", "--regid=1001", "--groups=27,44", ...command]);

describe("matchCapabilities", () => {
  const capability = (
    mask: bigint,
    parts: Partial<Extract<FilterDef, { match: "capability" }>> = {},
  ): FilterDef => ({
    match: "capability",
    negate: false,
    set: "Effective",
    mask: `${mask}`,
    inNamespace: false,
    ...parts,
  });

  test("In: one of the set, NotIn: none of it", () => {
    const filters = [
      capability(CAP.SYS_ADMIN | CAP.NET_RAW),
      capability(CAP.SYS_ADMIN | CAP.NET_RAW, { negate: true }),
      capability(CAP.BPF, { set: "Permitted" }),
      capability(CAP.CHOWN, { set: "Inheritable" }),
      capability(CAP.CHOWN, { set: "Inheritable", negate: true }),
    ];
    assert.deepEqual(
      counts(filters, () => act(QUIET)),
      [1, 0, 1, 0, 1],
    );
    assert.deepEqual(
      counts(filters, () => act(`drop 21 ${QUIET}`)),
      [1, 0, 1, 0, 1],
    );
    assert.deepEqual(
      counts(filters, () => act(`drop 21 drop 13 drop 39 ${QUIET}`)),
      [0, 1, 0, 0, 1],
    );
  });

  test("isNamespaceCapability: only inside a user namespace", () => {
    const filters = [
      capability(CAP.SYS_ADMIN, { inNamespace: true }),
      capability(CAP.SYS_ADMIN, { inNamespace: true, negate: true }),
    ];
    assert.deepEqual(
      counts(filters, () => act(QUIET)),
      [0, 0],
    );
    assert.deepEqual(
      counts(filters, () => act(`call ${UNSHARE}:${NEWUSER} ${QUIET}`)),
      [1, 0],
    );
    assert.deepEqual(
      counts(filters, () => act(`call ${UNSHARE}:${NEWUSER} drop 21 ${QUIET}`)),
      [0, 1],
    );
  });

  test("two filters are both needed, and a kprobe agrees", () => {
    const selectors = [
      makeSelector(capability(CAP.SYS_ADMIN), capability(CAP.NET_RAW, { set: "Permitted", negate: true })),
    ];
    const hooks = [
      makeHookOn("sys_setfsuid", { selectors }),
      makeHookOn("commit_creds", { args: BY_KPROBE, selectors }),
    ];
    const trigger = () => act(`drop 13 ${QUIET} call ${NR.setuid}:0`);
    const hits = engine.watch(hooks, trigger);
    // Dropping it is a commit with the old credentials; setuid is one without it.
    assert.deepEqual(
      [0, 1].map((hook) => hits.filter((hit) => hit.hook === hook).length),
      [1, 1],
    );
    assert.equal(engine.watch(hooks, () => act(QUIET)).length, 0);
  });
});

describe("matchCapabilityChanges", () => {
  const change = (mask: bigint, negate = false, inNamespace = false): FilterDef => ({
    match: "capabilityChange",
    negate,
    set: "Effective",
    mask: `${mask}`,
    inNamespace,
  });

  test("a change of one of the set is reported once, and once more when it is undone", () => {
    const filters = [change(CAP.SYS_ADMIN), change(CAP.NET_RAW), change(CAP.NET_RAW, true)];
    assert.deepEqual(
      counts(filters, () => act(`${QUIET} ${QUIET}`)),
      [0, 0, 0],
    );
    assert.deepEqual(
      counts(filters, () => act(`${QUIET} drop 21 ${QUIET} ${QUIET} drop 13 ${QUIET}`)),
      [1, 1, 1],
    );
    // seteuid away from root and back: all capabilities go and come
    const there = `call ${NR.setresuid}:-1:1000:-1 ${QUIET} call ${NR.setresuid}:-1:0:-1 ${QUIET} ${QUIET}`;
    assert.deepEqual(
      counts(filters, () => act(there)),
      [2, 2, 2],
    );
  });

  test("isNamespaceCapability: not in the initial user namespace", () => {
    const filters = [change(CAP.SYS_ADMIN, false, true)];
    assert.deepEqual(
      counts(filters, () => act(`drop 21 ${QUIET}`)),
      [0],
    );
    const inside = (...before: string[]) =>
      asUser(ACT, ...before, "call", `${UNSHARE}:${NEWUSER}`, ...QUIET.split(" "));
    assert.deepEqual(
      counts(filters, () => inside("fork", "exec", ACT)),
      [1],
    );
    // Its first exec was the one of setpriv, which root started: it has what it had.
    assert.deepEqual(
      counts(filters, () => inside()),
      [0],
    );
  });

  test("a child has what its parent had reported, and its first exec starts anew", () => {
    const filters = [change(CAP.SYS_ADMIN)];
    assert.deepEqual(
      counts(filters, () => act(`drop 21 ${QUIET} fork fork ${QUIET}`)),
      [1],
    );
    assert.deepEqual(
      counts(filters, () => act(`drop 21 fork ${QUIET} ${QUIET}`)),
      [1],
    );
    // root gets it back by exec
    assert.deepEqual(
      counts(filters, () => act(`drop 21 fork exec ${ACT} ${QUIET} drop 21 ${QUIET}`)),
      [1],
    );
  });

  test("a change by an exec is one, and is reported once", () => {
    const filters = [change(CAP.SYS_ADMIN)];
    // Root loses by exec what is not in its bounding set, and gets by exec what it has dropped.
    const dropBounding = `call ${NR.prctl}:24:21`;
    assert.deepEqual(
      counts(filters, () => act(`${dropBounding} ${QUIET} exec ${ACT} ${QUIET} exec ${ACT} ${QUIET}`)),
      [1],
    );
    assert.deepEqual(
      counts(filters, () => act(`drop 21 ${QUIET} exec ${ACT} ${QUIET} exec ${ACT} ${QUIET}`)),
      [2],
    );
    assert.deepEqual(
      counts(filters, () => act(`drop 21 exec ${ACT} ${QUIET}`)),
      [0],
    );
  });

  test("a process that ran before is compared with what procfs showed", async () => {
    const waiting = spawn(
      ACT,
      ["drop", "21", "read", ...QUIET.split(" "), "drop", "13", ...QUIET.split(" ")],
      {
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    await new Promise((resolve) => waiting.stdout.once("data", resolve));
    const fresh = new TestEngine();
    try {
      const hooks = [change(CAP.SYS_ADMIN), change(CAP.NET_RAW)].map((filter) =>
        fresh.attach(makeHookOn("sys_setfsuid", { selectors: [makeSelector(filter)] })),
      );
      fresh.engine.seedImage(waiting.pid as number, ACT);
      const ended = new Promise((resolve) => waiting.once("exit", resolve));
      waiting.stdin.end("go\n");
      await ended;
      assert.deepEqual(
        hooks.map((hook) => hook.stats().posted),
        [0, 1],
      );
    } finally {
      fresh.close();
    }
  });
});

describe("matchNamespaceChanges", () => {
  test("In and NotIn", () => {
    const filters: FilterDef[] = [
      { match: "namespaceChange", negate: false, namespaces: ["Uts", "Net"] },
      { match: "namespaceChange", negate: true, namespaces: ["Uts", "Net"] },
      { match: "namespaceChange", negate: false, namespaces: ["User"] },
    ];
    assert.deepEqual(
      counts(filters, () => act(QUIET)),
      [0, 0, 0],
    );
    const steps = `call ${UNSHARE}:${NEWUTS} ${QUIET} ${QUIET} call ${UNSHARE}:${NEWIPC} ${QUIET}`;
    assert.deepEqual(
      counts(filters, () => act(steps)),
      [1, 1, 0],
    );
    assert.deepEqual(
      counts(filters, () => act(`call ${UNSHARE}:${NEWUSER} ${QUIET} ${QUIET}`)),
      [0, 1, 1],
    );
  });
});

describe("a change that the hooked call makes", () => {
  /** A policy of one kprobe, compiled as it is for nodes. */
  function hookOf(call: string, selector: object, more: object = {}): HookDef {
    const kprobe = { call, syscall: call.startsWith("sys_"), args: [], ...more, selectors: [selector] };
    const result = compilePolicy({
      apiVersion: "cilium.io/v1alpha1",
      kind: "TracingPolicy",
      metadata: { name: "changes" },
      spec: { kprobes: [kprobe] },
    });
    assert.ok(result.ok, JSON.stringify(result));
    return result.spec.hooks[0] as HookDef;
  }
  const SYS_ADMIN = [{ type: "Effective", operator: "In", values: ["CAP_SYS_ADMIN"] }];
  const NAMESPACES = [{ operator: "In", values: ["Mnt", "Pid", "Net", "User"] }];
  const asKprobe = { data: [{ index: 0, type: "uint64", source: "pt_regs", resolve: "di" }] };

  for (const [kind, more] of [
    ["fentry", {}],
    ["kprobe", asKprobe],
  ] as const) {
    test(`of capabilities is posted by commit_creds when it returns, by ${kind}`, () => {
      const hook = hookOf("commit_creds", { matchCapabilityChanges: SYS_ADMIN }, more);
      const hits = engine.watch([hook], () => asUser(ACT, "userns", "exit", "0"));
      // setpriv loses it with its user id, takes it again for a moment, and execs without it.
      const has = hits.map(({ change }) => (BigInt(change?.new.cap_effective ?? 0) & CAP.SYS_ADMIN) !== 0n);
      assert.deepEqual(has, [false, true, false, true]);
      // The program has it in a user namespace of its own.
      const last = hits.at(-1)?.change;
      assert.deepEqual([last?.old.user_ns_level, last?.new.user_ns_level], [0, 1]);
    });
  }

  test("of namespaces is posted by the system call", () => {
    const args = [{ index: 0, type: "int" }];
    const hook = hookOf("sys_unshare", { matchNamespaceChanges: NAMESPACES }, { args });
    const hits = engine.watch([hook], () => {
      run("unshare", ["-m", "true"]);
      act(`call ${UNSHARE}:0 call ${UNSHARE}:${NEWUTS} call ${UNSHARE}:${NEWUSER} call ${UNSHARE}:0`);
    });
    assert.deepEqual(
      hits.map(({ values }) => values[0]),
      [0x20000n, BigInt(NEWUSER)],
    );
  });

  test("by an exec is posted by the exec", () => {
    const hook = hookOf("sys_execve", { matchCapabilityChanges: SYS_ADMIN });
    const hits = engine.watch([hook], () => act(`call ${NR.prctl}:24:21 exec ${ACT} exec ${ACT} ${QUIET}`));
    assert.equal(hits.length, 1);
  });

  test("decides about a signal", () => {
    const selector = { matchCapabilityChanges: SYS_ADMIN, matchActions: [{ action: "Sigkill" }] };
    const hook = hookOf("sys_setuid", selector);
    const ends: unknown[] = [];
    const hits = engine.watch([hook], () => {
      for (const uid of [0, 1000]) {
        const { status, signal } = act(`call ${NR.setuid}:${uid} exit 3`);
        ends.push(status ?? signal);
      }
    });
    assert.deepEqual([ends, hits.map(({ action }) => action)], [[3, "SIGKILL"], [3]]);
  });

  test("leaves the selectors behind it what it does not match", () => {
    const hook = hookOf("sys_setuid", { matchCapabilityChanges: SYS_ADMIN });
    const hits = engine.watch([{ ...hook, selectors: [...hook.selectors, makeSelector()] }], () =>
      act(`call ${NR.setuid}:0 call ${NR.setuid}:1000`),
    );
    assert.deepEqual(
      hits.map(({ selector }) => selector),
      [1, 0],
    );
  });
});

describe("matchCurrentCred", () => {
  const field = (
    name: Extract<FilterDef, { match: "currentCred" }>["field"],
    low: number,
    high = low,
    negate = false,
  ): FilterDef => ({
    match: "currentCred",
    field: name,
    negate,
    ranges: [[`${low}`, `${high}`]],
  });
  const UNSET = 0xffff_ffff;
  const cases: Record<string, { steps: string; match: FilterDef[]; not: FilterDef[] }> = {
    "user ids": {
      steps: `call ${NR.setresuid}:1001:1002:1003 ${QUIET}`,
      match: [field("uid", 1001), field("euid", 1002), field("suid", 1003), field("fsuid", 1000, 1002)],
      not: [
        field("uid", 1002),
        field("euid", 1001),
        field("suid", 0, 1002),
        field("fsuid", 1002, 1002, true),
      ],
    },
    "group ids": {
      steps: `call 119:1001:1002:1003 ${QUIET}`,
      match: [field("gid", 1001), field("egid", 1002), field("sgid", 1003), field("fsgid", 1002)],
      not: [field("gid", 1002), field("egid", 1001), field("sgid", 0, 1002), field("fsgid", 1003)],
    },
    "ids above 2^31 are unsigned": {
      steps: `call ${NR.setuid}:4294967294 ${QUIET}`,
      match: [field("uid", 2_147_483_648, UNSET), field("euid", UNSET - 1)],
      not: [field("uid", 0, 2_147_483_647), field("euid", UNSET)],
    },
    "securebits, no_new_privs and the level of the user namespace": {
      steps: `call ${NR.prctl}:28:4 call ${NR.prctl}:38:1:0:0:0 call ${UNSHARE}:${NEWUSER} ${QUIET}`,
      match: [field("noNewPrivs", 1), field("userNamespaceLevel", 1), field("securebits", 4, 4, true)],
      not: [field("noNewPrivs", 0), field("userNamespaceLevel", 0), field("securebits", 4)],
    },
    "securebits outside": {
      steps: `call ${NR.prctl}:28:4 ${QUIET}`,
      match: [field("securebits", 4), field("noNewPrivs", 0), field("userNamespaceLevel", 0)],
      not: [field("securebits", 0), field("noNewPrivs", 1), field("userNamespaceLevel", 1, 32)],
    },
    "an unset login uid": {
      steps: QUIET,
      match: [field("auid", UNSET), field("auid", 0, 1000, true)],
      not: [field("auid", 0), field("auid", UNSET, UNSET, true)],
    },
  };
  for (const [name, { steps, match, not }] of Object.entries(cases)) {
    test(name, () => {
      assert.deepEqual(
        counts([...match, ...not], () => act(steps)),
        [...match.map(() => 1), ...not.map(() => 0)],
      );
    });
  }
});

/** fentry programs follow pointers by loads, kprobe programs by probe reads. */
const SIDES = { fentry: [], kprobe: BY_KPROBE };

describe("matchCredChanges", () => {
  /** Commits that match, without the one of the exec that starts the program. */
  const commits = (
    fields: CredChangeField[],
    change: CredChange,
    kind: keyof typeof SIDES,
    steps: string,
  ) => {
    const selectors = [makeSelector({ match: "credChange", fields, change })];
    const hook = makeHookOn("commit_creds", { args: SIDES[kind], selectors });
    return engine.watch([hook], () => act(steps)).length;
  };
  const ALL = [...CRED_CHANGE_FIELDS];
  const setGroups = (text: string) => `call 116:${text.length / 4}:@${text}`;
  const cases: Record<
    string,
    { steps: string; fields: CredChangeField[]; change: CredChange; want: number }
  > = {
    "an exec that changes nothing": { steps: "exit 0", fields: ALL, change: "Changed", want: 0 },
    "a setuid that changes nothing": {
      steps: `call ${NR.setuid}:0`,
      fields: ALL,
      change: "Changed",
      want: 0,
    },
    "a uid dropped": { steps: `call ${NR.setuid}:1000`, fields: ["uid"], change: "Dropped", want: 1 },
    "a uid dropped is not raised": {
      steps: `call ${NR.setuid}:1000`,
      fields: ALL,
      change: "Raised",
      want: 0,
    },
    "an euid raised": {
      steps: `call ${NR.setresuid}:-1:1000:0 call ${NR.setresuid}:-1:0:-1`,
      fields: ["euid"],
      change: "Raised",
      want: 1,
    },
    "another field than the one that changed": {
      steps: `call ${NR.setresuid}:-1:-1:5`,
      fields: ["uid", "euid", "gid"],
      change: "Changed",
      want: 0,
    },
    "from one system user to another": {
      steps: `call ${NR.setresuid}:5:6:7`,
      fields: ["suid"],
      change: "Changed",
      want: 1,
    },
    "gid from a user's to the system's": {
      steps: "call 119:-1:1000:-1 call 119:-1:0:-1",
      fields: ["egid"],
      change: "Raised",
      want: 1,
    },
    "a capability dropped": { steps: "drop 21", fields: ["capPermitted"], change: "Dropped", want: 1 },
    "capabilities gained": {
      steps: `call ${NR.setresuid}:-1:1000:0 call ${NR.setresuid}:-1:0:-1`,
      fields: ["capEffective"],
      change: "Raised",
      want: 1,
    },
    "the bounding set": {
      steps: `call ${NR.prctl}:24:21`,
      fields: ["capBounding"],
      change: "Dropped",
      want: 1,
    },
    securebits: { steps: `call ${NR.prctl}:28:4`, fields: ["securebits"], change: "Changed", want: 1 },
    "a lock of the securebits": {
      steps: `call ${NR.prctl}:28:12`,
      fields: ["securebits"],
      change: "Dropped",
      want: 1,
    },
    "a user namespace": {
      steps: `call ${UNSHARE}:${NEWUSER}`,
      fields: ["userNamespace"],
      change: "Dropped",
      want: 1,
    },
    "a user namespace is no ancestor": {
      steps: `call ${UNSHARE}:${NEWUSER}`,
      fields: ["userNamespace"],
      change: "Raised",
      want: 0,
    },
    "groups set": { steps: setGroups("aaaabbbb"), fields: ["groups"], change: "Changed", want: 1 },
    "a group added": {
      steps: `${setGroups("aaaacccc")} ${setGroups("aaaabbbbcccc")}`,
      fields: ["groups"],
      change: "Raised",
      want: 2,
    },
    "groups removed, none added": {
      steps: `${setGroups("aaaabbbbcccc")} ${setGroups("aaaacccc")}`,
      fields: ["groups"],
      change: "Raised",
      want: 1,
    },
    "a group removed": {
      steps: `${setGroups("aaaabbbbcccc")} ${setGroups("aaaacccc")}`,
      fields: ["groups"],
      change: "Dropped",
      want: 1,
    },
    "the same groups again": {
      steps: `${setGroups("aaaabbbb")} ${setGroups("aaaabbbb")}`,
      fields: ["groups"],
      change: "Changed",
      want: 1,
    },
  };
  for (const kind of Object.keys(SIDES) as (keyof typeof SIDES)[]) {
    for (const [name, { steps, fields, change, want }] of Object.entries(cases)) {
      test(`${name}, by ${kind}`, () => {
        // What the test's own process left behind must not count: it starts without groups.
        assert.equal(commits(fields, change, kind, steps), want);
      });
    }
  }

  test("ids raised by the exec of a setuid file", () => {
    const directory = mkdtempSync(join(tmpdir(), "setuid-"));
    chmodSync(directory, 0o755);
    const file = join(directory, "act");
    copyFileSync(ACT, file);
    chownSync(file, 0, 0);
    chmodSync(file, 0o4755);
    for (const call of ["commit_creds", "security_bprm_committing_creds"]) {
      const selectors = [makeSelector({ match: "credChange", fields: ["euid"], change: "Raised" })];
      for (const args of [[], BY_KPROBE]) {
        const hits = engine.watch([makeHookOn(call, { args, selectors })], () => asUser(file, "exit", "0"));
        assert.deepEqual(
          hits.map(({ change }) => [change?.old.euid, change?.new.euid, change?.changed.includes("euid")]),
          [[1000, 0, true]],
          call,
        );
      }
    }
  });

  test("security hooks have both as parameters", () => {
    const selectors = [makeSelector({ match: "credChange", fields: ["suid"], change: "Dropped" })];
    for (const args of [[], BY_KPROBE]) {
      const hook = makeHookOn("security_task_fix_setuid", { args, selectors });
      const hits = engine.watch([hook], () =>
        act(`call ${NR.setresuid}:-1:0:1000 call ${NR.setresuid}:0:0:0`),
      );
      // The first call changes ids; what that means for capabilities is decided inside the hook.
      assert.deepEqual(
        hits.map(({ change }) => [change?.changed, change?.old.suid, change?.new.suid]),
        [[["suid"], 0, 1000]],
      );
    }
  });
});

describe("records of hooks that receive new credentials", () => {
  for (const kind of Object.keys(SIDES) as (keyof typeof SIDES)[]) {
    test(`carry both whole, by ${kind}`, () => {
      const hook = makeHookOn("commit_creds", { args: [...SIDES[kind], { index: 0, type: "cred" }] });
      const steps = `call ${NR.prctl}:38:1:0:0:0 call 116:2:@aaaabbbb call ${NR.setresuid}:1001:1002:1003`;
      const { change, values } = engine.watch([hook], () => act(steps)).at(-1) as Hit;
      assert.ok(change);
      const { old, new: next } = change;
      const ids = (cred: typeof old) => [cred.uid, cred.euid, cred.suid, cred.fsuid];
      assert.deepEqual(
        [ids(old), ids(next)],
        [
          [0, 0, 0, 0],
          [1001, 1002, 1003, 1002],
        ],
      );
      assert.deepEqual(change.changed, ["uid", "suid", "euid", "fsuid", "capPermitted", "capEffective"]);
      assert.deepEqual(change.groups, { old: [0x61616161, 0x62626262], new: [0x61616161, 0x62626262] });
      assert.deepEqual([old.groups_count, old.no_new_privs, next.no_new_privs], [2, 1, 1]);
      assert.ok((old.cap_bounding as bigint) > 0n);
      assert.equal(old.cap_bounding, next.cap_bounding);
      assert.deepEqual([old.cap_ambient, next.cap_permitted], [0n, 0n]);
      assert.partialDeepStrictEqual(next, values.at(-1));
    });
  }

  test("name the keyrings", () => {
    // keyctl(JOIN_SESSION_KEYRING, NULL) commits new credentials
    const hook = makeHookOn("commit_creds");
    const { change } = engine.watch([hook], () => act("call 250:1:0")).at(-1) as Hit;
    assert.notEqual(change?.new.session_keyring, 0);
    assert.notEqual(change?.new.session_keyring, change?.old.session_keyring);
  });

  test("keep a string argument apart from what follows it", () => {
    const hook = makeHookOn("security_bprm_committing_creds", { args: [] });
    const { change } = engine.watch([hook], () => act("exit 0")).at(-1) as Hit;
    assert.deepEqual(change?.changed, []);
  });
});
