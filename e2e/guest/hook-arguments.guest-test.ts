/**
 * Every argument type is read correctly, by fentry and by kprobe. A value that cannot be read is an error, never a zero.
 *
 *   npm run guest -- --kernel 5.10 -- node --test e2e/guest/hook-arguments.guest-test.ts
 */
import assert from "node:assert/strict";
import { readlinkSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { loadBinding } from "../../agent/bpf/binding.ts";
import { attachEntry, closeAttachment } from "../../agent/hooks/attach/attach-entry.ts";
import { runNow } from "../../agent/hooks/attach/steps.ts";
import { encodeConfig } from "../../agent/hooks/config/encode.ts";
import { makeArgs, makeSelector, matchText } from "../../agent/hooks/testing/hooks.ts";
import type { ArgType } from "../../crds/argument-types.ts";
import type { ArgDef, FilterDef, HookDef, TextComparison } from "../../crds/hook-spec.ts";
import type { CredFields, Value } from "./records.ts";
import {
  ACT,
  act,
  BY_KPROBE,
  type Hit,
  hitsIn,
  makeHookOn,
  NR,
  OBJECT,
  run,
  TestEngine,
} from "./test-engine.ts";

const READ_FAILED = 1;
const TRUNCATED = 2;
/** prctl() that no kernel knows: the security hook before it runs, and nothing else. */
const PRCTL = 0x7000_0001;
const PATTERN = 0x8182_8384_8586_8788n;

let engine: TestEngine;
before(() => {
  engine = new TestEngine();
});
after(() => engine.close());

/** The one hit of a hook by the process that `trigger` ran. */
function hitOf(def: HookDef, trigger: () => { pid: number }): Hit {
  let pid = 0;
  const hits = engine.watch([def], () => {
    pid = trigger().pid;
  });
  const own = hits.filter((hit) => hit.pid === pid);
  assert.equal(own.length, 1, `${own.length} hits of ${def.call}`);
  return own[0] as Hit;
}

const KINDS = ["fentry", "kprobe"] as const;

/** The one hit by a given kind of program, past the engine that chooses it. */
function hitBy(
  kind: (typeof KINDS)[number],
  call: string,
  args: ArgDef[],
  trigger: () => { pid: number },
): Hit {
  const hits = hitsBy(kind, call, args, trigger);
  assert.equal(hits.length, 1, `${hits.length} hits of ${call}`);
  return hits[0] as Hit;
}

function hitsBy(
  kind: (typeof KINDS)[number],
  call: string,
  args: ArgDef[],
  trigger: () => { pid: number },
): Hit[] {
  const bpf = loadBinding();
  const btf = bpf.loadKernelBtf();
  const object = bpf.openObject(OBJECT);
  for (const sensor of ["process_exec", "process_exit"]) object.setAutoload(sensor, false);
  object.load();
  const records: ArrayBuffer[] = [];
  const reader = bpf.readRing(object.map("events"), { onBatch: (batch) => void records.push(batch) });
  const def = makeHookOn(call, { args });
  const name = def.syscall ? `__x64_${call}` : call;
  const proto = btf.funcProto(name);
  const image = encodeConfig(def, {
    hookId: 1,
    cpus: bpf.possibleCpus(),
    limitSeed: [1n, 2n],
    hostNamespace: () => 0,
    followBit: () => 0,
    scopeBit: () => 0,
  });
  try {
    const attachment = runNow(
      attachEntry({ bpf, object }, kind, { name, def, ...(proto && { proto }) }, image),
    );
    const { pid } = trigger();
    reader.flush();
    closeAttachment(attachment);
    return hitsIn(records, def).filter((hit) => hit.pid === pid);
  } finally {
    for (const handle of [reader, object, btf]) handle.close();
  }
}

describe("integers have the width and the sign of their type", () => {
  const signed = (bits: number) => BigInt.asIntN(bits, PATTERN);
  const unsigned = (bits: number) => BigInt.asUintN(bits, PATTERN);
  const cases: [ArgType, bigint][] = [
    ["int", signed(32)],
    ["sint32", signed(32)],
    ["int32", signed(32)],
    ["sint16", signed(16)],
    ["int16", signed(16)],
    ["sint8", signed(8)],
    ["int8", signed(8)],
    ["sint64", signed(64)],
    ["int64", signed(64)],
    ["long", signed(64)],
    ["uint8", unsigned(8)],
    ["uint16", unsigned(16)],
    ["uint32", unsigned(32)],
    ["uint64", unsigned(64)],
    ["ulong", unsigned(64)],
    ["size_t", unsigned(64)],
  ];
  for (let from = 0; from < cases.length; from += 4) {
    const part = cases.slice(from, from + 4);
    const args = part.map(([type]): ArgDef => ({ index: 1, type }));
    const isWhole = part.every(([, value]) => value === unsigned(64) || value === signed(64));
    for (const call of isWhole ? ["sys_prctl", "security_task_prctl"] : ["sys_prctl"]) {
      test(`${part.map(([type]) => type).join(", ")} of ${call}`, () => {
        const hit = hitOf(makeHookOn(call, { args }), () => act(`call ${NR.prctl}:${PRCTL}:${PATTERN}`));
        assert.deepEqual(
          hit.values,
          part.map(([, value]) => value),
        );
      });
    }
  }
});

describe("all five parameters are found", () => {
  const args = makeArgs("int", "uint64", "uint64", "uint64", "uint64");
  const trigger = () => act(`call ${NR.prctl}:${PRCTL}:11:22:33:44`);
  for (const kind of KINDS) {
    for (const call of ["sys_prctl", "security_task_prctl"]) {
      test(`of ${call} by ${kind}`, () => {
        assert.deepEqual(hitBy(kind, call, args, trigger).values, [BigInt(PRCTL), 11n, 22n, 33n, 44n]);
      });
    }
  }
});

describe("credentials", () => {
  const steps = `call ${NR.setresuid}:1001:1002:1003`;
  const userNs = Number(/\d+/.exec(readlinkSync("/proc/self/ns/user"))?.[0]);
  for (const kind of KINDS) {
    test(`are read whole by ${kind}`, () => {
      // The exec of the program commits too; its own call comes last.
      const { values } = hitsBy(kind, "commit_creds", makeArgs("cred"), () => act(steps)).at(-1) as Hit;
      assert.deepEqual(values, [
        {
          ...{ uid: 1001, euid: 1002, suid: 1003, fsuid: 1002, gid: 0, egid: 0, sgid: 0, fsgid: 0 },
          ...{ securebits: 0, user_ns_level: 0, user_ns_owner: 0, user_ns_group: 0, user_ns_inum: userNs },
          ...{ cap_permitted: 0n, cap_effective: 0n, cap_inheritable: 0n },
        },
      ]);
    });
  }

  test("of a user namespace show its level and its creator", () => {
    const hits = engine.watch([makeHookOn("commit_creds", { args: makeArgs("cred") })], () => {
      run("setpriv", ["--reuid=1000", "--regid=1001", "--clear-groups", "unshare", "-U", "true"]);
    });
    const inside = hits.map((hit) => hit.values[0] as CredFields).find((cred) => cred.user_ns_level === 1);
    assert.ok(inside);
    assert.deepEqual([inside.user_ns_owner, inside.user_ns_group], [1000, 1001]);
    assert.notEqual(inside.user_ns_inum, userNs);
    assert.ok((inside.cap_effective as bigint) > 0n);
  });
});

describe("capability sets", () => {
  for (const kind of KINDS) {
    test(`behind pointers are read by ${kind}`, () => {
      // security_capset(new, old, effective, inheritable, permitted)
      const args: ArgDef[] = [
        { index: 2, type: "cap_effective" },
        { index: 3, type: "cap_inheritable" },
        { index: 4, type: "cap_permitted" },
        { index: 4, type: "kernel_cap_t" },
        { index: 1, type: "cred" },
      ];
      const [effective, inheritable, permitted, again, old] = hitBy(kind, "security_capset", args, () =>
        act("drop 0"),
      ).values;
      const before = old as CredFields;
      assert.equal(before.uid, 0);
      assert.equal(effective, (before.cap_effective as bigint) & ~1n);
      assert.equal(permitted, (before.cap_permitted as bigint) & ~1n);
      assert.equal(again, permitted);
      assert.equal(inheritable, 0n);
    });
  }
});

describe("user_namespace and capability", () => {
  for (const kind of KINDS) {
    test(`are read by ${kind}`, () => {
      // ns_capable_setid(ns, CAP_SETUID): what setuid(0) asks
      const { values } = hitBy(kind, "ns_capable_setid", makeArgs("user_namespace", "capability"), () =>
        act(`call ${NR.setuid}:0`),
      );
      assert.deepEqual(values, [
        { level: 0, owner: 0, group: 0, inum: Number(/\d+/.exec(readlinkSync("/proc/self/ns/user"))?.[0]) },
        7n,
      ]);
    });
  }
});

describe("strings", () => {
  const opened = (hits: Hit[], pid: number): Value[] =>
    hits.filter((hit) => hit.pid === pid).flatMap((hit) => hit.values);
  const openat = (path: string) => act(`call ${NR.openat}:-100:@${path}:0`);
  const arg: ArgDef[] = [{ index: 1, type: "string" }];

  test("of user memory are read to their end", () => {
    let pid = 0;
    const hits = engine.watch([makeHookOn("sys_openat", { args: arg })], () => {
      pid = openat("/some/where").pid;
    });
    assert.ok(opened(hits, pid).includes("/some/where"));
  });

  test("stand between other arguments without disturbing them", () => {
    let pid = 0;
    const args: ArgDef[] = [
      { index: 0, type: "int" },
      ...arg,
      { index: 2, type: "int" },
      ...arg,
      { index: 3, type: "nop" },
    ];
    const hits = engine.watch([makeHookOn("sys_openat", { args })], () => {
      pid = act(`call ${NR.openat}:-100:@/odd-name:5`).pid;
    });
    const hit = hits.find((each) => each.pid === pid && each.values[1] === "/odd-name");
    assert.deepEqual(hit?.values, [-100n, "/odd-name", 5n, "/odd-name", undefined]);
  });

  test("of kernel memory are read by whichever kind the kernel allows", () => {
    // kern_path(name, flags, path): looks up what mount(2) has copied from user space
    const hits = engine.watch([makeHookOn("kern_path", { args: makeArgs("string") })], () => {
      run("mount", ["--bind", "/dev/shm", "/mnt"]);
      run("umount", ["/mnt"]);
    });
    assert.ok(hits.some((hit) => hit.values[0] === "/dev/shm"));
  });

  test("longer than 4096 bytes are cut and marked so; of 4096 bytes they are whole", () => {
    for (const [length, status] of [
      [4096, 0],
      [4097, TRUNCATED],
      [9000, TRUNCATED],
    ] as const) {
      let pid = 0;
      const hits = engine.watch([makeHookOn("sys_openat", { args: arg })], () => {
        pid = openat(`/${"x".repeat(length - 1)}`).pid;
      });
      const hit = hits.find((each) => each.pid === pid && String(each.values[0]).startsWith("/xxx"));
      assert.deepEqual([hit?.statuses[0], String(hit?.values[0]).length], [status, 4096]);
    }
  });

  test("that are empty are empty, and those behind a bad pointer are errors", () => {
    let pid = 0;
    const hits = engine.watch([makeHookOn("sys_openat", { args: arg })], () => {
      pid = act(`call ${NR.openat}:-100:@:0 call ${NR.openat}:-100:0:0 call ${NR.openat}:-100:1:0`).pid;
    });
    const own = hits.filter((hit) => hit.pid === pid).slice(-3);
    assert.deepEqual(
      own.map((hit) => hit.statuses[0]),
      [0, READ_FAILED, READ_FAILED],
    );
    assert.equal(own[0]?.values[0], "");
  });
});

describe("buffers", () => {
  const ADD_KEY = 248;
  const THREAD_KEYRING = -1;
  const addKey = (type: string, text: string, length: number | string = text.length) =>
    act(`call ${ADD_KEY}:@${type}:@some-key:@${text}:${length}:${THREAD_KEYRING}`);
  const payload = (parts: Partial<ArgDef> = {}): ArgDef => ({
    index: 2,
    type: "char_buf",
    sizeArgIndex: 4,
    ...parts,
  });
  const hook = (...args: ArgDef[]) => makeHookOn("sys_add_key", { args });

  test("of user memory have the size in another parameter", () => {
    const def = hook({ index: 0, type: "string" }, payload(), { index: 3, type: "size_t" });
    const { values, statuses } = hitOf(def, () => addKey("user", "secret-and-more", 6));
    assert.deepEqual(
      [values, statuses],
      [
        ["user", "secret", 6n],
        [0, 0, 0],
      ],
    );
  });

  test("of kernel memory, and empty ones", () => {
    // key_create_or_update(keyring, type, description, payload, plen, ...)
    const def = makeHookOn("key_create_or_update", {
      args: [{ index: 3, type: "char_buf", sizeArgIndex: 5 }],
    });
    assert.deepEqual(hitOf(def, () => addKey("user", "secret")).values, ["secret"]);
    assert.deepEqual(hitOf(hook(payload()), () => addKey("user", "secret", 0)).values, [""]);
  });

  test("longer than 4096 bytes are cut and marked so, with maxData only beyond 16384", () => {
    const text = "y".repeat(20_000);
    const cases: [ArgDef, number, number, number][] = [
      [payload(), 4096, 0, 4096],
      [payload(), 4097, TRUNCATED, 4096],
      [payload({ maxData: true }), 16_384, 0, 16_384],
      [payload({ maxData: true }), 20_000, TRUNCATED, 16_384],
    ];
    for (const [arg, length, status, want] of cases) {
      const { values, statuses } = hitOf(hook(arg), () => addKey("user", text, length));
      assert.deepEqual([statuses[0], String(values[0]).length], [status, want]);
    }
  });

  test("behind a bad pointer, or of a size below zero, are errors", () => {
    const bad = hitOf(hook(payload()), () => act(`call ${ADD_KEY}:@user:@some-key:1:8:${THREAD_KEYRING}`));
    assert.deepEqual(bad.statuses, [READ_FAILED]);
    assert.deepEqual(hitOf(hook(payload()), () => addKey("user", "x", "-5")).statuses, [READ_FAILED]);
  });

  test("that a call fills in are read at return, with the returned size", () => {
    const args: ArgDef[] = [{ index: 1, type: "char_buf", returnCopy: true }];
    const def = makeHookOn("sys_readlink", { args, returnArg: { type: "nop" } });
    const room = "z".repeat(200);
    const readlink = (path: string) => act(`call 89:@${path}:@${room}:200`);
    assert.deepEqual(hitOf(def, () => readlink("/proc/self/exe")).values, [ACT]);
    assert.deepEqual(hitOf(def, () => readlink("/no/such/link")).values, [""]);
  });

  test("whose size comes from a type have that of the structure", () => {
    const args: ArgDef[] = [{ index: 0, type: "const_buf", resolve: "comm" }];
    const def = makeHookOn("security_task_setnice", { args });
    const { values } = hitOf(def, () => act("call 141:0:0:0"));
    // After the name there may be older bytes.
    assert.match(String(values[0]), /^act\0.{12}$/s);
  });

  test("are compared as a whole, from their beginning and from their end", () => {
    const text = (how: TextComparison, value: string) => matchText(how, [value]);
    const long = `${"b".repeat(5000)}end`;
    const cases: [FilterDef, string, number][] = [
      [text("equal", "secret"), "secret", 1],
      [text("equal", "secre"), "secret", 0],
      [text("prefix", "sec"), "secret", 1],
      [text("prefix", "ecr"), "secret", 0],
      [text("postfix", "ret"), "secret", 1],
      [text("postfix", "bend"), long, 1],
      [text("postfix", "bbbb"), long, 0],
    ];
    for (const [filter, value, want] of cases) {
      const def = makeHookOn("sys_add_key", { args: [payload()], selectors: [makeSelector(filter)] });
      assert.equal(engine.watch([def], () => addKey("user", value)).length, want, JSON.stringify(filter));
    }
  });
});

describe("kernel modules", () => {
  test("are shown by name, with the kernel's signature check and taints", () => {
    // Debian signs its modules; mod_sysfs_setup(module, load_info, ...)
    const defs = [
      makeHookOn("do_init_module", { args: makeArgs("module") }),
      makeHookOn("mod_sysfs_setup", { args: makeArgs("nop", "load_info") }),
      makeHookOn("mod_sysfs_setup", { args: [...BY_KPROBE, { index: 1, type: "load_info" }] }),
    ];
    const loads = () => {
      run("modprobe", ["-r", "dummy"]);
      run("modprobe", ["dummy"]);
    };
    const hits = engine.watch(defs, loads).map(({ hook, values }) => [hook, values.at(-1)]);
    for (const hook of [0, 1, 2]) {
      assert.deepEqual(new Map(hits as [number, unknown][]).get(hook), { dummy: 1, taints: 0n });
    }
  });
});

describe("what cannot be read is an error", () => {
  // security_task_prctl(int option, ...): small numbers that the policy wrongly reads as pointers; only kprobe allows it.
  const cases: Partial<Record<ArgType, string>> = {
    cred: "cred",
    user_namespace: "user namespace",
    cap_effective: "capability set",
    string: "string",
  };
  for (const [type, what] of Object.entries(cases)) {
    test(`a ${what} at address 1`, () => {
      const args: ArgDef[] = [{ index: 1, type: type as ArgType }];
      const hit = hitBy("kprobe", "security_task_prctl", args, () => act(`call ${NR.prctl}:${PRCTL}:1`));
      assert.deepEqual([hit.statuses, hit.values], [[READ_FAILED], [undefined]]);
    });
  }
});

describe("an argument list that does not fit is refused with the prototype", () => {
  const cases: Record<string, { def: HookDef; message: RegExp }> = {
    "an index beyond it": {
      def: makeHookOn("commit_creds", { args: [{ index: 1, type: "int" }] }),
      message: /args\[0\]: no parameter 1 in int commit_creds\(struct cred \*new\)/,
    },
    "credentials from something else": {
      def: makeHookOn("security_task_prctl", { args: makeArgs("cred") }),
      message: /args\[0\]: type cred does not fit parameter 0 of int security_task_prctl\(int option, /,
    },
    "credentials from a system call": {
      def: makeHookOn("sys_setuid", { args: makeArgs("cred") }),
      message: /a system call has no argument of type cred/,
    },
  };
  for (const [name, { def, message }] of Object.entries(cases)) {
    test(name, () => {
      const { status } = engine.engine.attach(def);
      assert.deepEqual([status.state, status.reason], ["Failed", "InvalidArgument"]);
      assert.match(status.message ?? "", message);
    });
  }
});
