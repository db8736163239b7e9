import { describe, expect, test } from "vitest";
import type { ArgDef, HookDef } from "../../../crds/hook-spec.ts";
import { ARG_READ_FAILED } from "../../records/layout.ts";
import {
  credSlot,
  type HookFields,
  hashSlot,
  integerSlot,
  makeBatch,
  type SlotFields,
} from "../../records/testing/records.ts";
import type { StackOptions } from "../../stacks/code-place.ts";
import { makeHit, makeHookDef, parseLines, setupShell } from "../testing/pipeline.ts";

/** The body of the only event of a hit. */
function bodyOf(
  def: Partial<HookDef>,
  slots: SlotFields[],
  changes: Partial<HookFields> = {},
  stacks: StackOptions = {},
) {
  const { pipeline, sink } = setupShell(makeHookDef(def), { stacks });
  pipeline.handleBatch(makeBatch(makeHit(slots, changes)));
  const [event] = parseLines(sink.takeLines());
  return Object.values(event)[0] as Record<string, never> & { [key: string]: unknown };
}

const KPROBE_KEYS = ["process", "parent", "function_name", "args", "action", "policy_name", "return_action"];

describe("order of fields", () => {
  const int: ArgDef = { index: 0, type: "int" };
  const data: ArgDef = { index: 0, type: "uint32", source: "current_task", resolve: "cred.uid.val" };
  const everything: Partial<HookFields> = {
    returned: integerSlot(0),
    credChange: {},
    kernelStack: [1n],
    userStack: [2n],
  };

  test("process_kprobe is upstream's, what is ours comes last", () => {
    const def = { args: [int, data], returnArg: { type: "int" }, message: "m", tags: ["t"] } as const;
    expect(
      Object.keys(
        bodyOf({ ...def, args: [int, data], tags: ["t"] }, [integerSlot(1), integerSlot(2)], everything),
      ),
    ).toEqual([
      "process",
      "parent",
      "function_name",
      "args",
      "return",
      "action",
      "kernel_stack_trace",
      "policy_name",
      "return_action",
      "message",
      "tags",
      "user_stack_trace",
      "data",
      "credential_change",
    ]);
  });

  test("process_lsm has function, policy and message before the arguments, and no return_action", () => {
    const def = { section: "lsmhooks", call: "capset", message: "m", tags: ["t"] } as const;
    const body = bodyOf({ ...def, tags: ["t"] }, [credSlot({})], { action: 5, credChange: {} });
    expect(Object.keys(body)).toEqual([
      "process",
      "parent",
      "function_name",
      "policy_name",
      "message",
      "args",
      "action",
      "tags",
      "credential_change",
    ]);
    expect(body).toMatchObject({ function_name: "capset", action: "KPROBE_ACTION_OVERRIDE" });
  });

  test("process_tracepoint has subsystem and event, the policy after the arguments, and no return_action", () => {
    const call = "syscalls/sys_enter_setuid";
    const tracepoint = { subsystem: "syscalls", event: "sys_enter_setuid", raw: false };
    const def = { section: "tracepoints", call, tracepoint, args: [int], message: "m", tags: ["t"] } as const;
    const body = bodyOf({ ...def, args: [int], tags: ["t"] }, [integerSlot(0)], { action: 3 });
    expect(Object.keys(body)).toEqual([
      "process",
      "parent",
      "subsys",
      "event",
      "args",
      "policy_name",
      "action",
      "message",
      "tags",
    ]);
    expect(body).toMatchObject({
      subsys: "syscalls",
      event: "sys_enter_setuid",
      args: [{ int_arg: 0 }],
      action: "KPROBE_ACTION_SIGKILL",
    });
  });
});

test.each([
  [1, "KPROBE_ACTION_POST"],
  [3, "KPROBE_ACTION_SIGKILL"],
  [5, "KPROBE_ACTION_OVERRIDE"],
  [10, "KPROBE_ACTION_SIGNAL"],
  [13, "KPROBE_ACTION_NOTIFYENFORCER"],
  [99, "KPROBE_ACTION_UNKNOWN"],
])("action %i is %s, with a return value and without", (action, want) => {
  expect(bodyOf({}, [credSlot({})], { action }).action).toBe(want);
  expect(bodyOf({}, [credSlot({})], { action, credChange: {} }).action).toBe(want);
});

describe("return values", () => {
  const cases: Record<string, { def?: Partial<HookDef>; returned: SlotFields; want: unknown }> = {
    "are written as their type says": {
      def: { returnArg: { type: "int" } },
      returned: integerSlot(-1),
      want: { int_arg: -1 },
    },
    "carry their label": {
      def: { returnArg: { type: "size_t", label: "bytes" } },
      returned: integerSlot(7),
      want: { size_arg: "7", label: "bytes" },
    },
    "that could not be read are errors": {
      def: { returnArg: { type: "int" } },
      returned: { ...integerSlot(0), status: ARG_READ_FAILED },
      want: { error_arg: { Message: "Bad address for basic type" } },
    },
    "that nobody asked for are left out": { returned: integerSlot(0), want: undefined },
    "of type nop show nothing": {
      def: { returnArg: { type: "nop" } },
      returned: { payload: new Uint8Array(0) },
      want: undefined,
    },
  };

  test.each(Object.entries(cases))("%s", (_name, { def, returned, want }) => {
    const body = bodyOf(def ?? {}, [credSlot({})], { returned });
    expect(body.return).toEqual(want);
    expect(body.args).toHaveLength(1);
  });
});

describe("data", () => {
  const args: ArgDef[] = [
    { index: 0, type: "int" },
    { index: 0, type: "uint32", source: "current_task", resolve: "cred.uid.val", label: "uid" },
    { index: 0, type: "nop", source: "current_task", resolve: "cred" },
    { index: 0, type: "uint32", source: "current_task", resolve: "real_parent.tgid" },
  ];

  test("is no argument: it has its own list", () => {
    const failed = { ...integerSlot(0), status: ARG_READ_FAILED, depth: 2 };
    const nop = { payload: new Uint8Array(0) };
    const body = bodyOf({ args }, [integerSlot(5), integerSlot(1000), nop, failed]);
    expect(body.args).toEqual([{ int_arg: 5 }]);
    expect(body.data).toEqual([
      { uint_arg: 1000, label: "uid" },
      { error_arg: { Message: "Bad address encountered during resolve dereference at depth 2" } },
    ]);
  });

  test("alone leaves no arguments", () => {
    const body = bodyOf({ args: args.slice(1, 2) }, [integerSlot(1000)]);
    expect(Object.keys(body)).toEqual([...KPROBE_KEYS.filter((key) => key !== "args"), "data"]);
  });
});

describe("stacks", () => {
  const kernel = {
    find: (low: number) => (low === 0x10 ? { offset: 16, symbol: "commit_creds" } : undefined),
  };
  const user = {
    find: ({ pid }: { pid: number }, low: number) =>
      pid === 10 && low === 0x20 ? { offset: 0, module: "/usr/lib/libc.so.6" } : undefined,
  };
  const stacks = { kernelStack: [0xffff_ffff_0000_0010n, 0xffff_ffff_0000_0099n], userStack: [0x20n, 0x30n] };

  test("show names, and no addresses unless asked for", () => {
    const body = bodyOf({}, [credSlot({})], stacks, { kernel, user });
    expect(body.kernel_stack_trace).toEqual([{ offset: "16", symbol: "commit_creds" }, {}]);
    expect(body.user_stack_trace).toEqual([{ module: "/usr/lib/libc.so.6" }, {}]);
  });

  test("show addresses as strings where asked for", () => {
    const body = bodyOf({}, [credSlot({})], stacks, { kernel, user, exposeAddresses: true });
    expect(body.kernel_stack_trace).toEqual([
      { address: "18446744069414584336", offset: "16", symbol: "commit_creds" },
      { address: "18446744069414584473" },
    ]);
    expect(body.user_stack_trace).toEqual([
      { address: "32", module: "/usr/lib/libc.so.6" },
      { address: "48" },
    ]);
  });

  test("that could not be read say why", () => {
    const body = bodyOf({}, [credSlot({})], { kernelStack: { error: 14 }, userStack: [] });
    expect(body.kernel_stack_trace).toEqual([{ symbol: "(not read: EFAULT)" }]);
    expect(body).not.toHaveProperty("user_stack_trace");
  });

  test("that are empty are left out", () => {
    const body = bodyOf({}, [credSlot({})], { kernelStack: [], userStack: [] });
    expect(Object.keys(body)).toEqual(KPROBE_KEYS);
  });
});

test("a record that is cut off shows what is whole", () => {
  const record = makeHit([credSlot({})], { returned: integerSlot(0), credChange: {} });
  const size = record.length - 16;
  const cut = record.slice(0, size);
  new DataView(cut.buffer).setUint32(4, size, true);
  const { pipeline, sink } = setupShell(makeHookDef({ returnArg: { type: "int" } }));
  pipeline.handleBatch(makeBatch(cut));
  const [event] = parseLines(sink.takeLines());
  expect(event.process_kprobe).toMatchObject({ return: { int_arg: 0 } });
  expect(event.process_kprobe).not.toHaveProperty("credential_change");
});

describe("the hash of a file", () => {
  const lsm: Partial<HookDef> = { section: "lsmhooks", call: "bprm_check_security", tags: ["t"] };
  const digest = Uint8Array.from({ length: 32 }, (_, n) => n);

  test("has the name of its algorithm, and stands last", () => {
    const body = bodyOf(lsm, [credSlot({})], { hash: hashSlot(4, digest) });
    expect(body.ima_hash).toBe(`sha256:${Buffer.from(digest).toString("hex")}`);
    expect(Object.keys(body).at(-1)).toBe("ima_hash");
    expect(bodyOf(lsm, [credSlot({})], { hash: hashSlot(2, digest) }).ima_hash).toHaveLength(5 + 40);
  });

  test("that could not be had is left out", () => {
    const hash = { ...hashSlot(4, digest), status: ARG_READ_FAILED };
    expect(bodyOf(lsm, [credSlot({})], { hash })).not.toHaveProperty("ima_hash");
  });
});
