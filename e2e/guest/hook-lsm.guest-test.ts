/**
 * Hooks of Linux Security Modules, attached by BPF LSM.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-lsm.guest-test.ts
 */
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { makeArgs, makeSelector } from "../../agent/hooks/test-hooks.ts";
import type { HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import { act, makeHookOn, NR, TestEngine } from "./test-engine.ts";

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

  test("tells new and old credentials", () => {
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

  test("that the kernel does not have is NotFound, with what is close to it", () => {
    const { status } = engine.engine.attach(lsm("task_fix_setuids"));
    assert.deepEqual([status.state, status.reason], ["NotFound", "FunctionNotFound"]);
    assert.match(status.message ?? "", /no LSM hook task_fix_setuids; close to it: task_fix_setuid/);
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

  test("refuses the call with its error, and the event says so", () => {
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

  test("of a hook that returns nothing is refused", () => {
    const selectors: SelectorDef[] = [{ filters: [], actions: [{ action: "Override", error: -1 }] }];
    const { status } = engine.engine.attach(lsm("bprm_committing_creds", { selectors }));
    assert.match(status.message ?? "", /lsm: bprm_committing_creds returns void/);
  });
});
