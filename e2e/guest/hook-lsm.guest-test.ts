/**
 * Hooks of Linux Security Modules, attached by BPF LSM.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-lsm.guest-test.ts
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { makeArgs, makeSelector, matchText } from "../../agent/hooks/testing/hooks.ts";
import { HASH } from "../../agent/records/layout.ts";
import type { FilterDef, HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import { since } from "./lacking.ts";
import { ACT, act, makeHookOn, NR, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

const lsm = (call: string, parts: Partial<HookDef> = {}) =>
  makeHookOn(call, { section: "lsmhooks", path: "spec.lsmhooks[0]", ...parts });

describe("an LSM hook", () => {
  test("is attached as one, under its own name", () => {
    const hook = engine.attach(lsm("task_fix_setuid", { args: makeArgs("cred", "cred", "int") }));
    assert.deepEqual([hook.status.attach, hook.functionName], ["lsm", "task_fix_setuid"]);
    assert.ok(hook.memoryBytes() < 256 * 1024, `${hook.memoryBytes()}`);
    hook.detach();
  });

  test("reads new and old credentials", () => {
    let pid = 0;
    const hits = engine
      .watch([lsm("task_fix_setuid", { args: makeArgs("cred", "cred", "int") })], () => {
        pid = act(`call ${NR.setuid}:1001`).pid;
      })
      .filter((hit) => hit.pid === pid);
    const uids = hits.map(({ values }) => values.slice(0, 2).map((cred) => (cred as { uid: number }).uid));
    assert.deepEqual(uids, [[1001, 0]]);
  });

  test("that returns nothing can be watched", () => {
    const hits = engine.watch([lsm("bprm_committing_creds")], () => act("exit 0"));
    assert.ok(hits.length >= 1);
  });

  test("filters as others do", () => {
    const selectors = [
      makeSelector({ match: "arg", arg: 0, negate: false, compare: "range", ranges: [["8", "8"]] }),
    ];
    const def = lsm("task_prctl", { args: makeArgs("int", "uint64"), selectors });
    let pid = 0;
    const hits = engine
      .watch([def], () => {
        pid = act(`call ${NR.prctl}:8:1 call ${NR.prctl}:7:0`).pid;
      })
      .filter((hit) => hit.pid === pid);
    assert.deepEqual(
      hits.map((hit) => hit.values),
      [[8n, 1n]],
    );
  });

  test("that the kernel does not have is NotFound, with similar names", () => {
    const { status } = engine.engine.attach(lsm("task_fix_setuids"));
    assert.deepEqual([status.state, status.reason], ["NotFound", "FunctionNotFound"]);
    assert.match(status.message ?? "", /no LSM hook task_fix_setuids: did you mean "task_fix_setuid"/);
  });

  test("with an argument of another type is refused with the prototype", () => {
    const { status } = engine.engine.attach(lsm("task_fix_setuid", { args: makeArgs("user_namespace") }));
    assert.equal(status.reason, "InvalidArgument");
    assert.match(status.message ?? "", /task_fix_setuid\(struct cred \*new/);
  });
});

describe("where BPF is no active LSM", () => {
  test("an LSM hook is refused with the list of those that are", () => {
    const securityfs = mkdtempSync(join(tmpdir(), "securityfs-"));
    writeFileSync(join(securityfs, "lsm"), "lockdown,capability,yama");
    const other = new TestEngine({ securityfs });
    try {
      const { status } = other.engine.attach(lsm("task_fix_setuid"));
      assert.deepEqual([status.state, status.reason], ["Failed", "KernelUnsupported"]);
      assert.match(
        status.message ?? "",
        /lsm: bpf is not among the active LSMs \(lockdown,capability,yama\)/,
      );
    } finally {
      other.close();
    }
  });
});

describe("Override", () => {
  const deny = (error: number): SelectorDef => ({
    filters: [{ match: "arg", arg: 0, negate: false, compare: "range", ranges: [["36", "36"]] }],
    actions: [{ action: "Override", error }],
  });
  const SET_CHILD_SUBREAPER = `errno ${NR.prctl}:36:0`;

  test("refuses the call with its error, and the event reports it", () => {
    const hook = engine.attach(lsm("task_prctl", { args: makeArgs("int"), selectors: [deny(-17)] }));
    engine.takeRecords();
    assert.equal(act(SET_CHILD_SUBREAPER).status, 17);
    const actions = engine.takeRecords().map(({ fields }) => fields.action);
    assert.deepEqual(
      actions.filter((action) => action !== undefined),
      [5],
    );
    assert.deepEqual([hook.actions()[0]?.override, hook.actions()[0]?.post], [1, 1]);
    hook.detach();
    assert.equal(act(SET_CHILD_SUBREAPER).status, 0);
  });

  test("with a positive result returns it before 6.12, and is refused from then on", () => {
    const def = lsm("task_prctl", { args: makeArgs("int"), selectors: [deny(77)] });
    const hook = engine.engine.attach(def);
    if (since(6, 12)) {
      assert.deepEqual([hook.status.state, hook.status.reason], ["Failed", "KernelUnsupported"]);
      assert.match(hook.status.message ?? "", /smax=77 should have been in \[-4095, 0\]/);
    } else {
      assert.equal(hook.status.state, "Attached", hook.status.message);
      assert.equal(act(SET_CHILD_SUBREAPER.replace("errno", "result")).status, 77);
    }
    hook.detach();
  });

  test("of a hook that returns nothing is refused", () => {
    const selectors: SelectorDef[] = [{ filters: [], actions: [{ action: "Override", error: -1 }] }];
    const { status } = engine.engine.attach(lsm("bprm_committing_creds", { selectors }));
    assert.match(status.message ?? "", /lsm: bprm_committing_creds returns void/);
  });
});

describe("the hash of a file", () => {
  const withHash = (call: string, argument: "linux_binprm" | "file", ...filters: FilterDef[]) =>
    lsm(call, {
      args: makeArgs(argument),
      selectors: [{ filters, actions: [{ action: "Post", imaHash: true }] }],
    });
  const ofFile = (path: string) => matchText("equal", [path]);
  const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
  /** Digests of the hits, by sha256 as Debian sets IMA up. */
  const digests = (def: HookDef, trigger: () => unknown) => {
    const hook = engine.attach(def);
    engine.takeRecords();
    trigger();
    const records = engine.takeRecords().filter(({ kind }) => kind === "hook");
    const { posted, lost, errors } = hook.stats();
    hook.detach();
    assert.deepEqual([posted, lost, errors], [records.length, 0, 0]);
    return records.map(({ extras: { hash } }) => {
      assert.equal(hash?.status, 0, "no hash");
      const bytes = Buffer.from(hash.bytes);
      assert.equal(bytes.readUInt32LE(HASH.algorithm), SHA256);
      return bytes.subarray(HASH.digest, HASH.digest + 32).toString("hex");
    });
  };
  const hashes = since(5, 18);
  const lacksHash = !hashes && "bpf_ima_file_hash came with 5.18";
  const SHA256 = 4;
  const FLOCK = 73;
  /** Takes a shared lock on each file. */
  const locks = (...paths: string[]) =>
    paths.map((path, n) => `call ${NR.openat}:-100:@${path}:0 call ${FLOCK}:${3 + n}:1`).join(" ");

  test("is refused if the kernel does not hash, with the reason", {
    skip: hashes && "the kernel hashes",
  }, () => {
    const { status } = engine.engine.attach(withHash("bprm_check_security", "linux_binprm"));
    assert.deepEqual([status.state, status.reason], ["Failed", "KernelUnsupported"]);
    assert.match(status.message ?? "", /imaHash: the kernel is older than 5.18/);
  });

  test("is that of what is executed", { skip: lacksHash }, () => {
    const def = withHash("bprm_check_security", "linux_binprm", ofFile(ACT));
    assert.deepEqual(
      digests(def, () => act(`exec ${ACT} exec /usr/bin/true`)),
      [sha256(ACT), sha256(ACT)],
    );
  });

  test("is that of an open file, and of no other", { skip: lacksHash }, () => {
    const path = join(mkdtempSync(join(tmpdir(), "hash-")), "text");
    writeFileSync(path, "some text");
    const def = withHash("file_lock", "file", ofFile(path));
    assert.deepEqual(
      digests(def, () => act(locks("/etc/hostname", path))),
      [sha256(path)],
    );
  });

  test("stands beside an Override only where the call is made", { skip: lacksHash }, () => {
    const path = join(mkdtempSync(join(tmpdir(), "hash-")), "text");
    writeFileSync(path, "some text");
    const def = lsm("file_lock", {
      args: makeArgs("file"),
      selectors: [
        {
          filters: [ofFile(path)],
          actions: [
            { action: "Override", error: -17 },
            { action: "Post", imaHash: true },
          ],
        },
      ],
    });
    const hook = engine.attach(def);
    engine.takeRecords();
    assert.equal(act(locks(path).replace(/call(?= 73)/, "errno")).status, 17);
    const records = engine.takeRecords().filter(({ kind }) => kind === "hook");
    hook.detach();
    assert.deepEqual(
      records.map(({ fields, extras }) => [fields.action, extras.hash]),
      [[5, undefined]],
    );
  });

  test("of a hook without a file, or before it can be read, or that may not sleep, is refused", {
    skip: lacksHash,
  }, () => {
    const none = engine.engine.attach(
      lsm("task_prctl", { selectors: [{ filters: [], actions: [{ action: "Post", imaHash: true }] }] }),
    );
    assert.match(
      none.status.message ?? "",
      /imaHash: there is no file among the parameters of int task_prctl\(/,
    );
    const early = engine.engine.attach(withHash("file_open", "file"));
    assert.match(early.status.message ?? "", /imaHash: at file_open the kernel cannot read the file yet/);
    const { status } = engine.engine.attach(withHash("file_free_security", "file"));
    assert.equal(status.reason, "KernelUnsupported");
    assert.match(status.message ?? "", /is not sleepable/);
  });
});
