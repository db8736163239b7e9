import { expect, test } from "vitest";
import type { SyscallEntry } from "../kernel/syscall-entries.ts";
import { makeArgs, makeHook } from "../testing/hooks.ts";
import { encodeConfig } from "./encode.ts";
import { ENUMERATORS as E, HOOK_CONFIG, VALUE_CONFIG } from "./layout.ts";
import { configAtEntry } from "./syscall-entry.ts";

const def = makeHook({ call: "sys_f", syscall: true, args: makeArgs("int", "long", "ulong", "string") });
const { config } = encodeConfig(def, { hookId: 1, cpus: 1, limitSeed: [1n, 2n] } as Parameters<
  typeof encodeConfig
>[1]);
const entry = (parts: Partial<SyscallEntry>): SyscallEntry => {
  return { name: "f", abi: "i386", compat: false, ids16: [], ...parts };
};

/** Flags of the hook, and the bits of each argument; `id16` marks ids of 16 bits. */
function read(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer);
  const value = (arg: number, member: number) =>
    view.getUint8(HOOK_CONFIG.members.arg + arg * VALUE_CONFIG.size + member);
  const { bits, flags } = VALUE_CONFIG.members;
  return {
    ia32: (view.getUint32(HOOK_CONFIG.members.flags, true) & E.HOOK_IA32) !== 0,
    bits: [0, 1, 2, 3].map((arg) => value(arg, bits)),
    id16: [0, 1, 2, 3].filter((arg) => value(arg, flags) & E.VALUE_ID16),
  };
}

test.each<[string, Partial<SyscallEntry>, ReturnType<typeof read>]>([
  ["arguments of 32 bits have zeros above them", {}, { ia32: true, bits: [32, 64, 64, 0], id16: [] }],
  ["a compat entry extends signs", { compat: true }, { ia32: true, bits: [32, 32, 64, 0], id16: [] }],
  ["ids may have 16 bits", { ids16: [0] }, { ia32: true, bits: [32, 64, 64, 0], id16: [0] }],
  [
    "x32 has the registers of x64, and the kernel takes their lower halves",
    { abi: "x32", compat: true },
    { ia32: false, bits: [32, 32, 32, 0], id16: [] },
  ],
])("%s", (_name, parts, want) => {
  const before = config.slice();
  expect(read(configAtEntry(config, entry(parts)))).toEqual(want);
  expect(config).toEqual(before);
});
