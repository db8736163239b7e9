/**
 * Tracepoints, by their parameters and by the fields of their trace events, and system calls by their trace events.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-tracepoints.guest-test.ts
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { loadBinding } from "../../agent/bpf/binding.ts";
import { attachEntry, closeAttachment } from "../../agent/hooks/attach/attach-entry.ts";
import { runNow } from "../../agent/hooks/attach/steps.ts";
import { encodeConfig } from "../../agent/hooks/config/encode.ts";
import { readTraceEvent, syscallFields } from "../../agent/hooks/targets/trace-events.ts";
import { makeArgs } from "../../agent/hooks/testing/hooks.ts";
import type { ArgDef, HookDef, SelectorDef } from "../../crds/hook-spec.ts";
import { ACT, act, type Hit, hitsIn, makeHookOn, NR, OBJECT, TestEngine } from "./test-engine.ts";

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

function tracepoint(name: string, raw: boolean, parts: Partial<HookDef> = {}): HookDef {
  const [subsystem = "", event = ""] = name.split("/");
  return makeHookOn(name, {
    section: "tracepoints",
    path: "spec.tracepoints[0]",
    syscall: false,
    tracepoint: { subsystem, event, raw },
    ...parts,
  });
}

function hitsOf(def: HookDef, steps: string): Hit[] {
  let pid = 0;
  const hits = engine.watch([def], () => {
    pid = act(steps).pid;
  });
  return hits.filter((hit) => hit.pid === pid);
}

describe("a raw tracepoint", () => {
  const exec = (args: ArgDef[]) => tracepoint("sched/sched_process_exec", true, { args });

  test("has parameters with types", () => {
    const hook = engine.attach(exec(makeArgs("nop", "int")));
    assert.deepEqual([hook.status.attach, hook.functionName], ["tp_btf", "sched_process_exec"]);
    hook.detach();
    const hits = hitsOf(exec([{ index: 1, type: "int" }]), "exit 0");
    assert.equal(hits.length, 1);
    assert.ok(Number(hits[0]?.values[0]) > 0);
  });

  test("whose pointer `auto` shows as a number has parameters without types", () => {
    const hook = engine.attach(exec(makeArgs("auto")));
    assert.deepEqual(
      [hook.status.attach, hook.status.message],
      ["raw_tracepoint", "tp_btf: it would see a pointer where the policy reads a number"],
    );
    hook.detach();
    const [hit] = hitsOf(exec(makeArgs("auto")), "exit 0");
    assert.ok((hit?.values[0] as bigint) >= 1n << 63n, "a kernel address");
  });

  test("gives `auto` the type that the kernel declares, also at the end of a field path", () => {
    const def = exec([
      { index: 0, type: "auto", resolve: "cred.euid" },
      { index: 0, type: "auto", resolve: "comm" },
      { index: 1, type: "auto" },
      { index: 2, type: "auto" },
      { index: 0, type: "auto", resolve: "cred" },
    ]);
    const hook = engine.attach(def);
    const types = hook.resolved.args.map(({ type }) => type);
    hook.detach();
    assert.deepEqual(types, ["uint32", "string", "int32", "linux_binprm", "cred"]);
    const [hit] = hitsOf(def, "exit 0");
    const [euid, comm, pid, path, cred] = hit?.values ?? [];
    assert.deepEqual([euid, comm, pid, path], [0n, "act", BigInt(hit?.pid ?? 0), ACT]);
    assert.equal((cred as { euid: number }).euid, 0);
  });

  test("whose `auto` has no type of its own is refused", () => {
    const { status } = engine.engine.attach(exec([{ index: 0, type: "auto", resolve: "se" }]));
    assert.equal(status.reason, "InvalidArgument");
    assert.match(status.message ?? "", /args\[0\]: auto: no type reads struct sched_entity: name the type/);
  });

  test("with a parameter that it does not have is refused with the prototype", () => {
    const { status } = engine.engine.attach(exec([{ index: 4, type: "int" }]));
    assert.match(status.message ?? "", /no parameter 4 in void sched_process_exec\(struct task_struct \*/);
  });

  test("that the kernel does not have is NotFound", () => {
    for (const raw of [true, false]) {
      const { status } = engine.engine.attach(tracepoint("sched/no_such_event", raw));
      assert.deepEqual([status.state, status.reason], ["NotFound", "FunctionNotFound"]);
      assert.match(status.message ?? "", /this kernel has no tracepoint sched\/no_such_event/);
    }
  });
});

describe("a trace event", () => {
  test("has the fields of its format, by their numbers in it", () => {
    const def = tracepoint("syscalls/sys_enter_setresuid", false, {
      args: [5, 6, 7].map((index) => ({ index, type: "int" })),
    });
    const hook = engine.attach(def);
    assert.deepEqual([hook.status.attach, hook.functionName], ["tracepoint", "sys_enter_setresuid"]);
    hook.detach();
    const hits = hitsOf(def, `call ${NR.setresuid}:-1:1001:-1`);
    assert.deepEqual(
      hits.map((hit) => hit.values),
      [[-1n, 1001n, -1n]],
    );
  });

  test("gives `auto` the type of the field", () => {
    const def = tracepoint("raw_syscalls/sys_enter", false, {
      args: [{ index: 4, type: "auto" }],
      selectors: [only(0, String(NR.setfsuid))],
    });
    const hook = engine.attach(def);
    assert.deepEqual(
      hook.resolved.args.map(({ index, type }) => [index, type]),
      [[4, "int64"]],
    );
    hook.detach();
  });

  test("filters by its fields", () => {
    const def = tracepoint("raw_syscalls/sys_enter", false, {
      args: [{ index: 4, type: "int64" }],
      selectors: [only(0, String(NR.setfsuid))],
    });
    const hits = hitsOf(def, `call ${NR.setfsuid}:-1 call ${NR.setfsgid}:-1`);
    assert.deepEqual(
      hits.map((hit) => [hit.values, hit.syscall]),
      [[[BigInt(NR.setfsuid)], NR.setfsuid]],
    );
  });

  test("shows text in it, behind it, and in user memory", () => {
    // comm is an array in the event, filename a __data_loc.
    const exec = tracepoint("sched/sched_process_exec", false, { args: [{ index: 4, type: "string" }] });
    const [told] = hitsOf(exec, "exit 0");
    assert.match(String(told?.values[0]), /\/act$/);
    const fork = tracepoint("sched/sched_process_fork", false, { args: [{ index: 4, type: "auto" }] });
    const [forked] = hitsOf(fork, "fork exit 0");
    assert.equal(forked?.values[0], "act");
    const open = tracepoint("syscalls/sys_enter_openat", false, { args: [{ index: 6, type: "string" }] });
    const paths = hitsOf(open, `call ${NR.openat}:-100:@/etc/hostname:0`).map((hit) => hit.values[0]);
    assert.ok(paths.includes("/etc/hostname"), paths.join(" "));
  });

  const texts: [event: string, index: number, value: string, steps: string][] = [
    ["sched/sched_process_exec", 4, ACT, "exit 0"],
    ["sched/sched_process_fork", 4, "act", "fork exit 0"],
    ["syscalls/sys_enter_openat", 6, "/etc/hostname", `call ${NR.openat}:-100:@/etc/hostname:0`],
  ];
  for (const [event, index, value, steps] of texts) {
    test(`filters by text: ${event}`, () => {
      const valuesOf = (wanted: string) => {
        const filter = { match: "arg", arg: 0, negate: false, compare: "text", how: "equal" } as const;
        const selectors = [{ filters: [{ ...filter, values: [wanted] }], actions: [] }];
        const args = [{ index, type: "string" as const }];
        return hitsOf(tracepoint(event, false, { args, selectors }), steps).map((hit) => hit.values[0]);
      };
      assert.deepEqual([valuesOf(value), valuesOf(`${value}x`)], [[value], []]);
    });
  }

  test("shows buffers: arrays, what lies behind, and what another field has the size of", () => {
    const comm = tracepoint("sched/sched_process_fork", false, { args: [{ index: 4, type: "const_buf" }] });
    const [forked] = hitsOf(comm, "fork exit 0");
    assert.match(String(forked?.values[0]), /^act(\0|$)/);
    const exec = tracepoint("sched/sched_process_exec", false, { args: [{ index: 4, type: "char_buf" }] });
    assert.equal(hitsOf(exec, "exit 0")[0]?.values[0], `${ACT}\0`);
    // 5 type, 6 description, 7 payload, 8 its size: counted from 1 in sizeArgIndex
    const key = tracepoint("syscalls/sys_enter_add_key", false, {
      args: [{ index: 7, type: "char_buf", sizeArgIndex: 9 }],
    });
    assert.deepEqual(
      hitsOf(key, "call 248:@user:@key:@secret:4:-1").map(({ values }) => values),
      [["secr"]],
    );
    const { status } = engine.engine.attach(
      tracepoint("syscalls/sys_enter_add_key", false, { args: [{ index: 7, type: "char_buf" }] }),
    );
    assert.match(status.message ?? "", /field 7 of syscalls\/sys_enter_add_key, .* needs sizeArgIndex/);
  });

  test("with a field that it does not have is refused with the list of those that it has", () => {
    const def = tracepoint("raw_syscalls/sys_exit", false, { args: [{ index: 9, type: "int64" }] });
    const { status } = engine.engine.attach(def);
    assert.deepEqual([status.state, status.reason], ["Failed", "InvalidArgument"]);
    assert.match(status.message ?? "", /no field 9 in raw_syscalls\/sys_exit; it has 0 common_type, .*5 ret/);
  });

  test("with a common field is refused", () => {
    const def = tracepoint("raw_syscalls/sys_exit", false, { args: [{ index: 3, type: "int" }] });
    assert.match(engine.engine.attach(def).status.message ?? "", /cannot read field 3 .* common_pid/);
  });
});

describe("a system call by its trace events", () => {
  test("gives arguments and the name of its function", () => {
    const def = makeHookOn("sys_setresuid", { args: makeArgs("int", "int", "int") });
    assert.deepEqual(bySyscallEvents(def, `call ${NR.setresuid}:-1:1001:0`), [[-1n, 1001n, 0n, undefined]]);
  });

  test("gives what it returned", () => {
    const def = makeHookOn("sys_setuid", { args: makeArgs("int"), returnArg: { type: "int" } });
    assert.deepEqual(bySyscallEvents(def, `call ${NR.setuid}:1001 call ${NR.setuid}:0`), [
      [1001n, 0n],
      [0n, -1n],
    ]);
  });

  test("filters by arguments, and reads text in user memory", () => {
    const def = makeHookOn("sys_openat", {
      args: [
        { index: 1, type: "string" },
        { index: 2, type: "int" },
      ],
      selectors: [only(1, "577")],
    });
    const calls = `call ${NR.openat}:-100:@/tmp/one:0 call ${NR.openat}:-100:@/tmp/two:577:384`;
    assert.deepEqual(bySyscallEvents(def, calls), [["/tmp/two", 577n, undefined]]);
  });
});

function only(arg: number, value: string): SelectorDef {
  return {
    filters: [{ match: "arg", arg, negate: false, compare: "range", ranges: [[value, value]] }],
    actions: [{ action: "Post" }],
  };
}

/** Attaches by trace events, which the engine does only where all else is refused. */
function bySyscallEvents(def: HookDef, steps: string) {
  const bpf = loadBinding();
  const object = bpf.openObject(OBJECT);
  for (const sensor of ["process_exec", "process_exit"]) object.setAutoload(sensor, false);
  object.load();
  const batches: ArrayBuffer[] = [];
  const reader = bpf.readRing(object.map("events"), { onBatch: (batch) => void batches.push(batch) });
  const event = readTraceEvent(bpf.tracefsPath(), "syscalls", `sys_enter_${def.call.slice("sys_".length)}`);
  const image = encodeConfig(def, {
    hookId: 1,
    cpus: bpf.possibleCpus(),
    limitSeed: [1n, 2n],
    hostNamespace: () => 0,
    followBit: () => 0,
    scopeBit: () => 0,
    fields: syscallFields(event),
  });
  try {
    const target = { name: `__x64_${def.call}`, def, event };
    const attachment = runNow(attachEntry({ bpf, object }, "tracepoint", target, image));
    assert.equal(attachment.kind, "tracepoint");
    const { pid } = act(steps);
    reader.flush();
    closeAttachment(attachment);
    return hitsIn(batches, def)
      .filter((hit) => hit.pid === pid)
      .map((hit) => [...hit.values, hit.returned]);
  } finally {
    for (const handle of [reader, object]) handle.close();
  }
}
