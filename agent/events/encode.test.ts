import { describe, expect, test } from "vitest";
import type { ArgDef } from "../../crds/hook-spec.ts";
import { makeHookDef, makePipeline, parseLines } from "./test-pipeline.ts";
import {
  credSlot,
  type HookFields,
  integerSlot,
  makeBatch,
  makeExec,
  makeExit,
  makeFork,
  makeHook,
  type SlotFields,
  userNamespaceSlot,
} from "./test-records.ts";

const policy = { kind: "TracingPolicy", name: "creds" } as const;
const MS = 1_000_000n;
const shell = { pid: 10, ktimeNs: 20n * MS, filename: "/bin/sh", parentPid: 0, seq: 1 };

function setup(def = makeHookDef(), options: Parameters<typeof makePipeline>[0] = {}) {
  const parts = makePipeline(options);
  parts.pipeline.registerHook(7, { policy, def, functionName: def.syscall ? `__x64_${def.call}` : def.call });
  parts.pipeline.handleBatch(makeBatch(makeExec(shell)));
  parts.sink.takeLines();
  return parts;
}

function hit(slots: SlotFields[], changes: Partial<HookFields> = {}): Uint8Array {
  return makeHook({ pid: 10, ktimeNs: 30n * MS, seq: 1, hookId: 7, slots, ...changes });
}

describe("whole lines, byte for byte", () => {
  test("process_kprobe has its fields in the order of upstream's message", () => {
    const def = makeHookDef({
      call: "sys_setreuid",
      syscall: true,
      args: [
        { index: 0, type: "int" },
        { index: 1, type: "int", label: "euid" },
      ],
      message: "ids",
      tags: ["a", "b"],
    });
    const { pipeline, sink } = setup(def);
    pipeline.handleBatch(makeBatch(hit([integerSlot(-1), integerSlot(0)])));
    const execId = Buffer.from("node-1:20000000:10").toString("base64");
    const kernelId = Buffer.from("node-1:1:0").toString("base64");
    expect(sink.takeLines()).toEqual([
      `{"process_kprobe":{"process":{"exec_id":"${execId}","pid":10,"uid":0,"cwd":"/","binary":"/bin/sh",` +
        `"flags":"execve rootcwd clone","start_time":"2026-11-20T10:00:00.020Z","auid":4294967295,` +
        `"parent_exec_id":"${kernelId}","refcnt":1,"tid":10,"in_init_tree":false},"parent":{"exec_id":"${kernelId}",` +
        `"pid":0,"uid":0,"binary":"<kernel>","flags":"procFS","start_time":"2026-11-20T10:00:00.000000001Z",` +
        `"auid":4294967295,"tid":0,"in_init_tree":false},"function_name":"__x64_sys_setreuid",` +
        `"args":[{"int_arg":-1},{"int_arg":0,"label":"euid"}],"action":"KPROBE_ACTION_POST","policy_name":"creds",` +
        `"return_action":"KPROBE_ACTION_POST","message":"ids","tags":["a","b"]},"node_name":"node-1",` +
        `"time":"2026-11-20T10:00:00.030Z"}`,
    ]);
  });

  test("process_exit shows status and inner time", () => {
    const { pipeline, sink } = setup();
    pipeline.handleBatch(makeBatch(makeExit({ pid: 10, ktimeNs: 30n * MS, seq: 1, code: 1 << 8 })));
    const [line] = sink.takeLines();
    expect(line).toMatch(
      /"tid":0,"in_init_tree":false},"status":1,"time":"2026-11-20T10:00:00.030Z"},"node_name":"node-1","time":"2026-11-20T10:00:00.030Z"}$/,
    );
  });
});

const allCaps = 0x1ff_ffff_ffffn;
const arguments_: Record<string, { arg: ArgDef["type"]; slot: SlotFields; want: unknown }> = {
  "uint32 above 2^31 is positive": {
    arg: "uint32",
    slot: integerSlot(0xffff_fffe),
    want: { uint_arg: 4294967294 },
  },
  "int above 2^31 is negative": {
    arg: "int",
    slot: integerSlot(-2147483648),
    want: { int_arg: -2147483648 },
  },
  "a 64-bit integer is a string": {
    arg: "uint64",
    slot: integerSlot(2n ** 64n - 1n),
    want: { size_arg: "18446744073709551615" },
  },
  "a signed 64-bit integer is a string": { arg: "long", slot: integerSlot(-5n), want: { long_arg: "-5" } },
  "a capability has number and name": {
    arg: "capability",
    slot: integerSlot(21),
    want: { capability_arg: { value: 21, name: "CAP_SYS_ADMIN" } },
  },
  "capability 1 has no prefix": {
    arg: "capability",
    slot: integerSlot(1),
    want: { capability_arg: { value: 1, name: "DAC_OVERRIDE" } },
  },
  "an unknown capability has no name": {
    arg: "capability",
    slot: integerSlot(63),
    want: { capability_arg: { value: 63 } },
  },
  "a capability set is 16 digits": {
    arg: "cap_effective",
    slot: integerSlot(allCaps),
    want: { cap_effective_arg: "000001ffffffffff" },
  },
  "the initial user namespace is the host's": {
    arg: "user_namespace",
    slot: userNamespaceSlot({ level: 0, owner: 0, group: 0, inum: 4026531837 }),
    want: { user_ns_arg: { level: 0, uid: 0, gid: 0, ns: { inum: 4026531837, is_host: true } } },
  },
  "a nested user namespace is not": {
    arg: "user_namespace",
    slot: userNamespaceSlot({ level: 1, owner: 1000, group: 1001, inum: 4026532159 }),
    want: { user_ns_arg: { level: 1, uid: 1000, gid: 1001, ns: { inum: 4026532159 } } },
  },
  "a string is escaped": {
    arg: "string",
    slot: { payload: Buffer.from('a"b\\c\n\u0001/ü') },
    want: { string_arg: 'a"b\\c\n\u0001/ü' },
  },
  "invalid UTF-8 is replaced": {
    arg: "string",
    slot: { payload: Buffer.from([0x61, 0xff, 0x22]) },
    want: { string_arg: 'a\ufffd"' },
  },
  "a string ends at its NUL": {
    arg: "string",
    slot: { payload: Buffer.from("abc\0def") },
    want: { string_arg: "abc" },
  },
  "an empty string is shown": { arg: "string", slot: { payload: Buffer.from("") }, want: { string_arg: "" } },
  "a failed read is an error, not a zero": {
    arg: "cred",
    slot: { ...credSlot({}), status: 1 },
    want: { error_arg: { Message: "Bad address for basic type" } },
  },
  "a payload that is too short is an error": {
    arg: "cred",
    slot: integerSlot(0),
    want: { error_arg: { Message: "Bad address for basic type" } },
  },
  "credentials leave out empty capability sets": {
    arg: "cred",
    slot: credSlot({ uid: 1000, euid: 0, user_ns_inum: 4026531837 }),
    want: {
      process_credentials_arg: {
        uid: 1000,
        gid: 0,
        euid: 0,
        egid: 0,
        suid: 0,
        sgid: 0,
        fsuid: 0,
        fsgid: 0,
        caps: {},
        user_ns: { level: 0, uid: 0, gid: 0, ns: { inum: 4026531837, is_host: true } },
      },
    },
  },
  "credentials show every part": {
    arg: "cred",
    slot: credSlot({
      uid: 1,
      gid: 2,
      euid: 3,
      egid: 4,
      suid: 5,
      sgid: 6,
      fsuid: 7,
      fsgid: 4294967295,
      securebits: 0x14,
      cap_permitted: 3n,
      cap_effective: 1n << 40n,
      cap_inheritable: 1n << 41n,
      user_ns_level: 2,
      user_ns_owner: 1000,
      user_ns_group: 1001,
      user_ns_inum: 5,
    }),
    want: {
      process_credentials_arg: {
        uid: 1,
        gid: 2,
        euid: 3,
        egid: 4,
        suid: 5,
        sgid: 6,
        fsuid: 7,
        fsgid: 4294967295,
        securebits: ["SecBitNoSetUidFixup", "SecBitKeepCaps"],
        caps: {
          permitted: ["CAP_CHOWN", "DAC_OVERRIDE"],
          effective: ["CAP_CHECKPOINT_RESTORE"],
          inheritable: [41],
        },
        user_ns: { level: 2, uid: 1000, gid: 1001, ns: { inum: 5 } },
      },
    },
  },
};

test.each(Object.entries(arguments_))("argument: %s", (_name, { arg, slot, want }) => {
  const { pipeline, sink } = setup(makeHookDef({ args: [{ index: 0, type: arg }] }));
  pipeline.handleBatch(makeBatch(hit([slot])));
  const [event] = parseLines(sink.takeLines());
  expect(JSON.stringify(event.process_kprobe.args)).toBe(JSON.stringify([want]));
});

describe("hook events", () => {
  test("a nop argument leaves no element, and nothing but nops no args", () => {
    const args: ArgDef[] = [
      { index: 0, type: "nop" },
      { index: 1, type: "int" },
    ];
    const { pipeline, sink } = setup(makeHookDef({ args }));
    pipeline.registerHook(8, { policy, def: makeHookDef({ args: args.slice(0, 1) }), functionName: "f" });
    const nop = { payload: new Uint8Array(0) };
    pipeline.handleBatch(makeBatch(hit([nop, integerSlot(5)]), hit([nop], { hookId: 8 })));
    const [both, only] = parseLines(sink.takeLines());
    expect(both.process_kprobe.args).toEqual([{ int_arg: 5 }]);
    expect(only.process_kprobe).not.toHaveProperty("args");
  });

  test("a thread other than the leader is shown by its tid", () => {
    const { pipeline, sink } = setup();
    pipeline.handleBatch(makeBatch(hit([credSlot({})]), hit([credSlot({})], { tid: 4242 })));
    const [leader, thread] = parseLines(sink.takeLines());
    expect([leader.process_kprobe.process.tid, thread.process_kprobe.process.tid]).toEqual([10, 4242]);
    leader.process_kprobe.process.tid = 4242;
    expect(JSON.stringify(thread)).toBe(JSON.stringify(leader));
  });

  test("the action is the record's", () => {
    const { pipeline, sink } = setup();
    pipeline.handleBatch(makeBatch(hit([credSlot({})], { action: 5 }), hit([credSlot({})], { action: 3 })));
    const events = parseLines(sink.takeLines());
    expect(events.map((event) => event.process_kprobe.action)).toEqual([
      "KPROBE_ACTION_OVERRIDE",
      "KPROBE_ACTION_SIGKILL",
    ]);
  });

  test("an LSM hook is a process_lsm in that message's order", () => {
    const { pipeline, sink } = setup(makeHookDef({ section: "lsmhooks", message: "m", tags: ["t"] }));
    pipeline.handleBatch(makeBatch(hit([credSlot({})])));
    const [event] = parseLines(sink.takeLines());
    expect(Object.keys(event.process_lsm)).toEqual([
      "process",
      "parent",
      "function_name",
      "policy_name",
      "message",
      "args",
      "action",
      "tags",
    ]);
  });
});

describe("process events", () => {
  test("a signal is named, with no status", () => {
    const { pipeline, sink } = setup();
    pipeline.handleBatch(makeBatch(makeExit({ pid: 10, ktimeNs: 30n * MS, seq: 1, code: 0x80 | 6 })));
    const [event] = parseLines(sink.takeLines());
    expect(event.process_exit.signal).toBe("SIGABRT");
    expect(event.process_exit).not.toHaveProperty("status");
  });

  test("capabilities, credentials and namespaces are shown when asked for", () => {
    const host = {
      uts: 1,
      ipc: 2,
      mnt: 3,
      pid: 4,
      pid_for_children: 4,
      net: 5,
      time: 6,
      time_for_children: 6,
      cgroup: 7,
      user: 8,
    };
    const { pipeline, sink } = setup(makeHookDef(), {
      cache: { keepCredentials: true, keepNamespaces: true },
      processFields: { credentials: true, namespaces: true, hostNamespaces: host },
    });
    pipeline.handleBatch(
      makeBatch(
        makeExec({
          ...shell,
          pid: 11,
          cred: { uid: 1000, euid: 0, cap_effective: 1n, securebits: 16 },
          namespaces: { uts: 1, pid: 99, user: 8 },
          exeLinks: 0,
        }),
      ),
    );
    const [event] = parseLines(sink.takeLines());
    const { process } = event.process_exec;
    expect(Object.keys(process).slice(-6)).toEqual([
      "cap",
      "ns",
      "tid",
      "process_credentials",
      "binary_properties",
      "in_init_tree",
    ]);
    expect(process.cap).toEqual({ effective: ["CAP_CHOWN"] });
    expect(process.ns).toEqual({
      uts: { inum: 1, is_host: true },
      pid: { inum: 99 },
      user: { inum: 8, is_host: true },
    });
    expect(process.process_credentials).toEqual({
      uid: 1000,
      gid: 0,
      euid: 0,
      egid: 0,
      suid: 0,
      sgid: 0,
      fsuid: 0,
      fsgid: 0,
      securebits: ["SecBitKeepCaps"],
    });
    expect(process.binary_properties).toEqual({ file: { inode: { number: "4711", links: 0 } } });
  });

  test("a process that forked and has not executed shows what its parent runs, and a reference", () => {
    const { pipeline, sink } = setup();
    const child = { pid: 12, seq: 1, ktimeNs: 25n * MS };
    pipeline.handleBatch(
      makeBatch(
        makeFork({ ...child, parentPid: 10 }),
        hit([credSlot({})], child),
        makeExit({ ...child, ktimeNs: 40n * MS }),
      ),
    );
    const [kprobe, exit] = parseLines(sink.takeLines());
    expect(kprobe.process_kprobe.process).toMatchObject({
      pid: 12,
      binary: "/bin/sh",
      flags: "execve",
      refcnt: 1,
    });
    expect(kprobe.process_kprobe.parent).toMatchObject({
      pid: 10,
      binary: "/bin/sh",
      flags: "execve rootcwd clone",
    });
    expect(exit.process_exit.process).toMatchObject({ pid: 12, refcnt: 1 });
  });
});

test("arguments are joined as upstream joins them", () => {
  const { pipeline, sink } = setup();
  const commands: [string[], string | undefined][] = [
    [["sh"], undefined],
    [["sh", "-c", "id -u"], '-c "id -u"'],
    [["cut", "-d ", "-f1"], ' "-d " -f1'],
    [["a", "", "b"], " b"],
  ];
  for (const [i, [argv]] of commands.entries()) {
    pipeline.handleBatch(makeBatch(makeExec({ ...shell, pid: 100 + i, argv })));
  }
  const events = parseLines(sink.takeLines());
  expect(events.map((event) => event.process_exec.process.arguments)).toEqual(
    commands.map(([, want]) => want),
  );
});
