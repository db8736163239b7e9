/**
 * How hooks are attached and detached: the choice of the kind, rate limits, counters, reasons of failures.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-attach.guest-test.ts
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { loadBinding } from "../../agent/bpf/binding.ts";
import { HookEngine } from "../../agent/hooks/engine.ts";
import { makeArgs, makeSelector } from "../../agent/hooks/testing/hooks.ts";
import type { ActionDef, HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import { since } from "./lacking.ts";
import { act, BY_KPROBE, makeHookOn, NR, OBJECT, run, TestEngine } from "./test-engine.ts";

const KIB = 1024;

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

const startOptions = () => ({
  objectPath: OBJECT,
  bpf: loadBinding(),
  procfs: "/proc",
  logger: engine.logger,
});

const notOfHost: SelectorDef = makeSelector({
  match: "namespace",
  negate: true,
  namespace: "Pid",
  values: ["host_ns"],
});
const setIds: HookDef[] = (
  [
    ["sys_setuid", 1],
    ["sys_setgid", 1],
    ["sys_setreuid", 2],
    ["sys_setregid", 2],
    ["sys_setresuid", 3],
    ["sys_setresgid", 3],
    ["sys_setfsuid", 1],
    ["sys_setfsgid", 1],
  ] as const
).map(([call, args]) =>
  makeHookOn(call, { args: makeArgs(...Array(args).fill("int")), selectors: [notOfHost] }),
);

describe("the choice of the attach kind", () => {
  test("commit_creds and the eight set*id calls get what misses none, each within its memory", () => {
    const defs = [...setIds, makeHookOn("commit_creds", { args: makeArgs("cred"), selectors: [notOfHost] })];
    const hooks = defs.map((def) => engine.attach(def));
    for (const hook of hooks) {
      // All entries of a system call are attached in one way, and the verifier of 5.10 refuses fentry at some of them.
      const refused =
        !since(5, 11) && hook.status.message?.startsWith("fentry: load program hook_fentry: EACCES");
      assert.equal(hook.status.attach, refused ? "kprobe" : engine.entryKind(), hook.status.message);
      // Up to three programs, which are not cut down to what the hook uses before 6.1.
      const limit = (since(6, 1) ? 256 : 576) * KIB;
      assert.ok(hook.memoryBytes() > 0 && hook.memoryBytes() < limit, `${hook.memoryBytes()}`);
      hook.detach();
    }
  });

  test("names the function that was resolved", () => {
    const hook = engine.attach(makeHookOn("sys_setuid"));
    assert.deepEqual([hook.functionName, hook.status.function], ["__x64_sys_setuid", "__x64_sys_setuid"]);
    hook.detach();
  });

  test("sys_setgroups gets a kprobe on 5.10, which refuses fentry, and the reason is kept", () => {
    const hook = engine.attach(makeHookOn("sys_setgroups", { args: makeArgs("int") }));
    assert.equal(hook.status.attach, since(5, 11) ? engine.entryKind() : "kprobe");
    const message = hook.status.message ?? "";
    const entries = "also at __ia32_sys_setgroups, __ia32_sys_setgroups16";
    if (!since(5, 11)) assert.match(message, /^fentry: load program hook_fentry: EACCES/);
    else if (engine.entryKind() === "fentry") assert.equal(message, entries);
    else assert.match(message, /^fentry: .*\(preemption: lazy\)/);
    assert.ok(message.endsWith(entries), message);
    hook.detach();
  });

  test("a pointer is never read as a number, whatever the kind of hook", () => {
    const address = "it is an address: name the type of what is there, or resolve a member";
    const refusal = (def: HookDef) => {
      const { state, reason, message = "" } = engine.engine.attach(def).status;
      assert.deepEqual([state, reason], ["Failed", "InvalidArgument"], message);
      return message;
    };
    for (const section of ["kprobes", "fentries"] as const) {
      const message = refusal(makeHookOn("commit_creds", { section, args: makeArgs("uint64") }));
      assert.equal(
        message,
        `args[0]: type uint64 does not fit parameter 0 of int commit_creds(struct cred *new): ${address}`,
      );
    }
    const lsm = refusal(makeHookOn("capset", { section: "lsmhooks", args: makeArgs("capability") }));
    assert.match(
      lsm,
      /^args\[0\]: type capability does not fit parameter 0 of int capset\(struct cred \*new, .*address/,
    );
    const [subsystem, event] = ["sched", "sched_process_exec"];
    const raw = { section: "tracepoints" as const, tracepoint: { subsystem, event, raw: true } };
    assert.match(
      refusal(makeHookOn(event, { ...raw, args: makeArgs("int") })),
      /^args\[0\]: type int .*address/,
    );
  });

  test("a register of a function is read by a kprobe, and the reason is kept", () => {
    const hook = engine.attach(makeHookOn("commit_creds", { args: BY_KPROBE }));
    assert.deepEqual(
      [hook.status.attach, hook.status.message],
      ["kprobe", "fentry: only a kprobe has the registers of a function"],
    );
    hook.detach();
  });

  test("a hook of fentries is never a kprobe", () => {
    const { status } = engine.engine.attach(
      makeHookOn("commit_creds", { section: "fentries", args: BY_KPROBE }),
    );
    assert.deepEqual([status.state, status.reason], ["Failed", "KernelUnsupported"]);
    assert.match(
      status.message ?? "",
      /fentry: only a kprobe has the registers.*; kprobe: the policy asks for fentry/,
    );
  });

  test("the kernel's features are known, and each that is missing has a reason", () => {
    const { features } = engine.engine;
    assert.deepEqual(
      [features.btf, features.ringBuffer, features.fentry, features.kprobe, features.currentTaskBtf],
      [true, true, true, true, since(5, 11)],
    );
    for (const name of ["kprobeMulti", "bpfLoop", "bpfLsm", "currentTaskBtf"] as const) {
      assert.equal(features[name], features.reasons[name] === undefined, name);
    }
  });
});

describe("the verifier", () => {
  const SEARCH = "btf_nested_type_is_trusted";
  const btf = loadBinding().loadKernelBtf();
  const skip = btf.funcProto(SEARCH) ? false : `this kernel has no function ${SEARCH}`;
  btf.close();

  /** How often the function runs meanwhile. */
  function countCalls(of: string, act: () => void): number {
    const tracefs = loadBinding().tracefsPath();
    const define = (event: string) => writeFileSync(`${tracefs}/kprobe_events`, event, { flag: "a" });
    const enable = (value: string) => writeFileSync(`${tracefs}/events/counted/calls/enable`, value);
    define(`p:counted/calls ${of}`);
    try {
      enable("1");
      act();
      return Number(/^\s*calls\s+(\d+)/m.exec(readFileSync(`${tracefs}/kprobe_profile`, "utf8"))?.[1]);
    } finally {
      enable("0");
      define("-:counted/calls");
    }
  }

  test("searches no names of types for a hook's reads of its task", { skip }, () => {
    const selectors = [
      makeSelector({
        match: "binary",
        compare: "equal",
        values: ["/no/such"],
        negate: false,
        followChildren: true,
      }),
    ];
    const calls = countCalls(SEARCH, () => engine.attach(makeHookOn("sys_setfsuid", { selectors })).detach());
    assert.equal(calls, 0);
    // The probe does count: a program that trusts the pointer is verified with searches.
    assert.ok(countCalls(SEARCH, () => new TestEngine().close()) > 0);
  });
});

describe("a function that is not there", () => {
  test("is NotFound, with similar names", () => {
    const { status } = engine.engine.attach(makeHookOn("comit_creds"));
    assert.deepEqual([status.state, status.reason], ["NotFound", "FunctionNotFound"]);
    assert.match(status.message ?? "", /no function comit_creds: did you mean "commit_creds"/);
  });

  test("is Skipped if the policy allows it", () => {
    const { status } = engine.engine.attach(makeHookOn("no_such_thing", { ignoreCallNotFound: true }));
    assert.deepEqual([status.state, status.reason], ["Skipped", "FunctionNotFound"]);
  });

  test("is distinguished from a wrong `syscall`", () => {
    const { status } = engine.engine.attach(makeHookOn("commit_creds", { syscall: true }));
    assert.match(status.message ?? "", /commit_creds exists: write syscall: false/);
  });

  test("override_creds is inlined since 6.14, and the status reports it", () => {
    const hook = engine.engine.attach(makeHookOn("override_creds", { args: makeArgs("cred") }));
    if (!since(6, 14)) assert.equal(hook.status.state, "Attached");
    else assert.match(hook.status.message ?? "", /no function override_creds \(inlined since 6.14\)/);
    hook.detach();
  });
});

describe("rateLimit", () => {
  const limited = (scope: "thread" | "process" | "global", intervalMs = 60_000): SelectorDef => ({
    filters: [],
    actions: [{ action: "Post", rateLimit: { intervalMs, scope } } satisfies ActionDef],
  });
  const args = [
    { index: 1, type: "long" as const },
    { index: 2, type: "uint64" as const },
  ];
  const prctl = (...pairs: string[]) =>
    pairs.map((pair) => `call ${NR.prctl}:${0x7000_0001}:${pair}`).join(" ");
  const posted = (selectors: SelectorDef[], trigger: () => unknown, parts: Partial<HookDef> = {}) =>
    engine
      .watch([makeHookOn("security_task_prctl", { args, selectors, ...parts })], trigger)
      .map((hit) => `${hit.selector}:${hit.values.join(":")}`);

  test("posts equal arguments once, different ones each", () => {
    const told = posted([limited("thread")], () => act(prctl("1:1", "1:1", "1:2", "2:1", "1:1", "1:2")));
    assert.deepEqual(told, ["0:1:1", "0:1:2", "0:2:1"]);
  });

  test("thread: other threads have windows of their own", () => {
    const steps = `${prctl("1:1", "1:1")} thread ${NR.prctl}:${0x7000_0001}:1:1`;
    assert.equal(posted([limited("thread")], () => act(steps)).length, 2);
    assert.equal(posted([limited("process")], () => act(steps)).length, 1);
  });

  test("process: other processes have windows of their own", () => {
    const twice = () => [act(prctl("1:1", "1:1")), act(prctl("1:1", "1:1"))];
    assert.equal(posted([limited("process")], twice).length, 2);
    assert.equal(posted([limited("global")], twice).length, 1);
  });

  test("selectors have windows of their own", () => {
    const only = (value: string): SelectorDef => ({
      ...limited("global"),
      filters: [{ match: "arg", arg: 1, negate: false, compare: "range", ranges: [[value, value]] }],
    });
    const told = posted([only("1"), only("2")], () => act(prctl("5:1", "5:2", "5:1", "5:2")), { args });
    assert.deepEqual(told, ["0:5:1", "1:5:2"]);
  });

  test("ends with the interval", () => {
    const told = posted([limited("global", 300)], () => {
      act(prctl("1:1"));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
      act(prctl("1:1"));
    });
    assert.equal(told.length, 2);
  });

  test("does not begin with a record that got lost", () => {
    const records: number[] = [];
    const onBatch = (batch: ArrayBuffer) => void records.push(batch.byteLength);
    const tiny = HookEngine.start({ ...startOptions(), ringBytes: 4096, backlogBytes: 0, onBatch });
    try {
      const flood = tiny.attach(makeHookOn("sys_setfsgid", { args: makeArgs("int") }));
      const hook = tiny.attach(makeHookOn("security_task_prctl", { args, selectors: [limited("global")] }));
      // The flood fills the ring before this thread can empty it; the limited record comes in its midst, then again.
      act(`repeat 3000 ${NR.setfsgid}:-1 ${prctl("1:1")} repeat 3000 ${NR.setfsgid}:-1`);
      for (let turn = 0; turn < 20 && hook.stats().posted === 0; turn++) {
        tiny.flush();
        act(prctl("1:1"));
      }
      assert.ok(flood.stats().lost > 0);
      assert.equal(hook.stats().posted, 1);
    } finally {
      tiny.close();
    }
  });

  test("covers all of a string", () => {
    const open = (path: string) => `call ${NR.openat}:-100:@${path}:0`;
    const long = `/${"x".repeat(3000)}`;
    const def = makeHookOn("sys_openat", {
      args: [{ index: 1, type: "string" }],
      selectors: [limited("thread")],
    });
    const hits = engine.watch([def], () =>
      act([open(`${long}a`), open(`${long}b`), open(`${long}a`)].join(" ")),
    );
    assert.equal(hits.filter((hit) => String(hit.values[0]).startsWith("/xxx")).length, 2);
  });

  test("lets a change of nothing but capabilities through, and counts what it held back", () => {
    const hook = engine.attach(
      makeHookOn("commit_creds", { args: makeArgs("cred"), selectors: [limited("thread")] }),
    );
    engine.takeRecords();
    const { pid } = act(`drop 30 drop 31 call ${NR.setuid}:0`);
    const told = engine.takeRecords().filter((record) => record.kind === "hook" && record.pid === pid);
    // One for the exec, one for each drop; setuid(0) commits what was there.
    assert.equal(told.length, 3);
    const { hits, posted: count, rateLimited } = hook.stats();
    assert.equal(rateLimited >= 1, true);
    assert.equal(hits, count + rateLimited);
    hook.detach();
  });
});

describe("counters", () => {
  const silent = makeSelector({
    match: "pid",
    negate: false,
    values: [1],
    namespacePid: false,
    followForks: false,
  });

  test("count hits that the filters dropped, and stay after the hook is detached", () => {
    const hook = engine.attach(makeHookOn("sys_setfsuid", { selectors: [silent] }));
    act(`repeat 50 ${NR.setfsuid}:-1`);
    hook.detach();
    const { hits, posted, lost, errors } = hook.stats();
    assert.deepEqual({ hits, posted, lost, errors }, { hits: 50, posted: 0, lost: 0, errors: 0 });
    act(`repeat 50 ${NR.setfsuid}:-1`);
    assert.equal(hook.stats().hits, 50);
    assert.equal(hook.memoryBytes(), 0);
    hook.detach();
  });

  test("two hooks on one function count for themselves", () => {
    const [all, none] = [makeHookOn("sys_setfsuid"), makeHookOn("sys_setfsuid", { selectors: [silent] })].map(
      (def) => engine.attach(def),
    );
    act(`repeat 10 ${NR.setfsuid}:-1`);
    assert.deepEqual([all?.stats().posted, none?.stats().posted], [10, 0]);
    all?.detach();
    act(`repeat 10 ${NR.setfsuid}:-1`);
    assert.deepEqual([all?.stats().hits, none?.stats().hits], [10, 20]);
    none?.detach();
  });

  test("what finds the ring full is counted where it is lost, and nothing else is", () => {
    const records: number[] = [];
    const onBatch = (batch: ArrayBuffer) => void records.push(batch.byteLength);
    const tiny = HookEngine.start({ ...startOptions(), ringBytes: 4096, backlogBytes: 0, onBatch });
    try {
      const first = tiny.attach(makeHookOn("sys_setfsuid", { args: makeArgs("int") }));
      const second = tiny.attach(makeHookOn("sys_setfsgid", { args: makeArgs("int") }));
      act(`repeat 20000 ${NR.setfsuid}:-1`);
      tiny.flush();
      const { hits, posted, lost } = first.stats();
      assert.ok(lost > 0, `${lost} of ${hits} lost`);
      assert.deepEqual([hits, hits - posted - lost], [20_000, 0]);
      assert.deepEqual(second.stats().lost, 0);
    } finally {
      tiny.close();
    }
  });
});

describe("the start fails with a reason", () => {
  test("without privileges, naming the capabilities", () => {
    const agent = (path: string) => JSON.stringify(new URL(`../../agent/${path}`, import.meta.url).href);
    const script = `
      import { loadBinding } from ${agent("bpf/binding.ts")};
      import { HookEngine } from ${agent("hooks/engine.ts")};
      import { describeStartFailure } from ${agent("start-failure.ts")};
      const options = { objectPath: ${JSON.stringify(OBJECT)}, bpf: loadBinding(), procfs: "/proc", onBatch() {} };
      const conditions = { effectiveCapabilities: 0n, lockdown: undefined, release: "" };
      try { HookEngine.start(options); } catch (error) { console.log(describeStartFailure(error, conditions)); }
    `;
    const user = ["--reuid=1000", "--regid=1000", "--clear-groups"];
    const { stdout } = run("setpriv", [...user, process.execPath, "--input-type=module", "-e", script]);
    assert.match(stdout, /EPERM.*missing capabilities: PERFMON, BPF, SYS_RESOURCE/);
  });

  test("without BTF", () => {
    assert.throws(
      () => HookEngine.start({ ...startOptions(), btfPath: "/no/such/btf", onBatch: () => {} }),
      /BTF of \/no\/such\/btf: ENOENT/,
    );
  });
});
