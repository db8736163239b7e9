/** Every type of argument in every kind of event: JSON and protobuf, decoded by another library, have the same in them. */
import { describe, expect, test } from "vitest";
import type { ArgType } from "../../../crds/argument-types.ts";
import type { HookDef, HookSection } from "../../../crds/hook-spec.ts";
import {
  bufferSlot,
  credSlot,
  integerSlot,
  makeBatch,
  moduleSlot,
  pathSlot,
  type SlotFields,
  userNamespaceSlot,
} from "../../records/testing/records.ts";
import { makeHit, makeHookDef, parseLines, setupShell } from "../testing/pipeline.ts";
import { ARGUMENT_FORMATS } from "./arguments.ts";

const integer = (value: number | bigint, field: string) => ({ slot: integerSlot(value), field });
const signed = integer(-7, "int_arg");
const unsigned = integer(4_000_000_000, "uint_arg");
const long = integer(-(2n ** 62n), "long_arg");
const size = integer(2n ** 63n, "size_arg");
const path = (field: string) => ({ slot: pathSlot("/etc/shadow", 0o100644, 0), field });
const module = { slot: moduleSlot("nf_tables", { taints: 1n, signatureOk: 1 }), field: "module_arg" };
const set = (field: string) => integer(0x1ff_ffff_ffffn, field);
const text = { slot: { payload: Buffer.from('ünïcode "quoted"\n') }, field: "string_arg" };

/** A value of each type, and the field that shows it. */
const SAMPLES: Record<Exclude<ArgType, "auto" | "nop">, { slot: SlotFields; field: string }> = {
  int: signed,
  int32: signed,
  sint32: signed,
  int16: signed,
  sint16: signed,
  int8: signed,
  sint8: signed,
  uint32: unsigned,
  uint16: integer(65_535, "uint_arg"),
  uint8: integer(255, "uint_arg"),
  long,
  int64: long,
  sint64: long,
  ulong: size,
  uint64: size,
  size_t: size,
  string: text,
  filename: text,
  cred: {
    slot: credSlot({ uid: 1, euid: 0, securebits: 0x15, cap_effective: 0x1ff_ffff_ffffn, user_ns_level: 1 }),
    field: "process_credentials_arg",
  },
  user_namespace: {
    slot: userNamespaceSlot({ level: 2, owner: 1_000, group: 4_294_967_295, inum: 4_026_531_837 }),
    field: "user_ns_arg",
  },
  capability: integer(21, "capability_arg"),
  kernel_cap_t: set("kernel_cap_t_arg"),
  cap_inheritable: set("cap_inheritable_arg"),
  cap_permitted: set("cap_permitted_arg"),
  cap_effective: set("cap_effective_arg"),
  char_buf: { slot: bufferSlot(Buffer.from([0, 255, 10])), field: "bytes_arg" },
  const_buf: { slot: bufferSlot(Buffer.from("security.capability\0")), field: "string_arg" },
  file: path("file_arg"),
  fd: path("file_arg"),
  path: path("path_arg"),
  dentry: path("path_arg"),
  linux_binprm: path("linux_binprm_arg"),
  module,
  load_info: module,
  syscall64: integer(105, "syscall_id"),
};

const SECTIONS: Record<HookSection, Partial<HookDef>> = {
  kprobes: {},
  fentries: { section: "fentries", path: "spec.fentries[0]" },
  lsmhooks: { section: "lsmhooks", path: "spec.lsmhooks[0]", call: "capset" },
  tracepoints: { section: "tracepoints", path: "spec.tracepoints[0]", call: "sched/sched_switch" },
};
const EVENTS = {
  kprobes: "process_kprobe",
  fentries: "process_kprobe",
  lsmhooks: "process_lsm",
  tracepoints: "process_tracepoint",
} as const;

/** The event of one hit; takeLines() fails where protobuf has something else in it. */
function eventOf(section: HookSection, def: Partial<HookDef>, slots: SlotFields[], returned?: SlotFields) {
  const { pipeline, sink } = setupShell(makeHookDef({ ...SECTIONS[section], ...def }));
  pipeline.handleBatch(makeBatch(makeHit(slots, { ...(returned && { returned }) })));
  const [line] = parseLines(sink.takeLines());
  return line[EVENTS[section]];
}

test("every type that shows something has a sample", () => {
  const shown = Object.entries(ARGUMENT_FORMATS).flatMap(([type, format]) => (format ? [type] : []));
  expect(Object.keys(SAMPLES).sort()).toEqual(shown.sort());
});

describe.each(Object.keys(SECTIONS) as HookSection[])("%s", (section) => {
  test.each(Object.entries(SAMPLES))("show %s the same as JSON and as protobuf", (name, { slot, field }) => {
    const type = name as ArgType;
    const { args } = eventOf(section, { args: [{ index: 0, type, label: "a label" }] }, [slot]);
    expect(args).toEqual([{ [field]: expect.anything(), label: "a label" }]);
  });

  test.each(Object.entries(SAMPLES))("show %s as data and as what is returned", (name, { slot, field }) => {
    const type = name as ArgType;
    const data = { index: 0, type, source: "current_task", resolve: "a" } as const;
    const event = eventOf(section, { args: [data], returnArg: { type } }, [slot], slot);
    expect(event.data).toEqual([{ [field]: expect.anything() }]);
    expect(event.return).toEqual({ [field]: expect.anything() });
  });

  test.each(Object.keys(SAMPLES))("show that %s could not be read", (name) => {
    const args = [{ index: 0, type: name as ArgType }];
    const event = eventOf(section, { args }, [{ ...integerSlot(0), status: 1 }]);
    expect(event.args).toEqual([{ error_arg: { Message: "Bad address for basic type" } }]);
  });
});
