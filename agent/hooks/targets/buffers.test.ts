import { describe, expect, test } from "vitest";
import type { ArgDef, HookDef } from "../../../crds/hook-spec.ts";
import type { BtfType } from "../../../policy/members/kernel-types.ts";
import type { FuncProto } from "../../bpf/binding.ts";
import { RETURN_ARG } from "../config/layout.ts";
import { makeHook } from "../testing/hooks.ts";
import { resolveAuto } from "./auto-type.ts";
import { resolveBuffers } from "./buffers.ts";

/** By id. */
const TYPES: Record<number, BtfType> = {
  1: { kind: "pointer", size: 8, target: 0 },
  2: { kind: "integer", size: 8, signed: false },
  3: { kind: "integer", size: 4, signed: true },
  4: { kind: "pointer", size: 8, target: 5 },
  5: {
    kind: "struct",
    name: "thing",
    size: 24,
    members: [
      { name: "name", bitOffset: 0, bitSize: 0, type: 6 },
      { name: "id", bitOffset: 128, bitSize: 0, type: 8 },
      { name: "file", bitOffset: 192, bitSize: 0, type: 9 },
    ],
  },
  6: { kind: "array", size: 16, target: 7, count: 16 },
  7: { kind: "integer", size: 1, signed: true },
  8: { kind: "struct", name: "", size: 4, members: [{ name: "val", bitOffset: 0, bitSize: 0, type: 11 }] },
  9: { kind: "pointer", size: 8, target: 10 },
  10: { kind: "struct", name: "file", size: 200, members: [] },
  11: { kind: "integer", size: 4, signed: false },
};
const types = {
  describeType: (id: number): BtfType => TYPES[id] ?? { kind: "other" },
  structId: () => undefined,
};
const proto: FuncProto = {
  btfId: 1,
  params: [
    { name: "data", type: "const void *", typeId: 1 },
    { name: "size", type: "size_t", typeId: 2 },
    { name: "count", type: "int", typeId: 3 },
    { name: "thing", type: "struct thing *", typeId: 4 },
  ],
  returnType: "int",
};
const bufferOf = (arg: ArgDef, parts: Partial<HookDef> = {}) =>
  resolveBuffers(types, makeHook({ args: [arg], ...parts }), proto)[0];

describe("the size of a buffer", () => {
  const char: ArgDef = { index: 0, type: "char_buf" };
  const cases: Record<string, { arg: ArgDef; def?: Partial<HookDef>; want: unknown }> = {
    "comes from a parameter": {
      arg: { ...char, sizeArgIndex: 2 },
      want: { limit: 4096, parameter: 1, width: 8, signed: false },
    },
    "is as wide as the parameter": {
      arg: { ...char, sizeArgIndex: 3, maxData: true },
      want: { limit: 16_384, parameter: 2, width: 4, signed: true },
    },
    "is a whole register of a system call": {
      arg: { ...char, sizeArgIndex: 3 },
      def: { syscall: true },
      want: { limit: 4096, parameter: 2, width: 8, signed: false },
    },
    "is what is returned": {
      arg: { ...char, returnCopy: true },
      want: { limit: 4096, parameter: RETURN_ARG, width: 4, signed: true },
    },
    "is that of a structure": {
      arg: { index: 3, type: "const_buf" },
      want: { limit: 24, parameter: 0, width: 0, signed: false },
    },
    "is that of an array": {
      arg: { index: 3, type: "const_buf", resolve: "name" },
      want: { limit: 16, parameter: 0, width: 0, signed: false },
    },
  };
  test.each(Object.entries(cases))("%s", (_name, { arg, def, want }) => {
    expect(bufferOf(arg, def)).toEqual(want);
  });

  test("that is unknown is refused", () => {
    expect(() => bufferOf(char)).toThrow(/args\[0\]: char_buf: which parameter holds its size/);
    expect(() => bufferOf({ ...char, sizeArgIndex: 4 })).toThrow(
      /sizeArgIndex 4: struct thing \* is not an integer/,
    );
    expect(() => bufferOf({ ...char, sizeArgIndex: 5 })).toThrow(/the function has 4 parameters/);
    expect(() => bufferOf({ index: 0, type: "const_buf" })).toThrow(/only arrays and structures have a size/);
  });
});

describe("auto", () => {
  const typeOf = (index: number, resolve?: string, known: FuncProto | undefined = proto) => {
    const args: ArgDef[] = [{ index, type: "auto", ...(resolve ? { resolve } : {}) }];
    return resolveAuto(types, makeHook({ args }), known).args[0]?.type;
  };

  test("is what the kernel declares", () => {
    expect([typeOf(0), typeOf(1), typeOf(2), typeOf(3)]).toEqual(["uint64", "uint64", "int32", "uint64"]);
    expect([typeOf(3, "name"), typeOf(3, "id"), typeOf(3, "file")]).toEqual(["string", "uint32", "file"]);
  });

  test("is refused if BTF does not describe the parameter", () => {
    const unknown = { ...proto, params: [] };
    expect(() => typeOf(0, undefined, unknown)).toThrow(/BTF does not describe commit_creds: name the type/);
  });
});
