import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import type { BtfParam } from "./binding.ts";
import { bpf, testObject, thrownBy } from "./testing/programs.ts";

const btf = bpf.loadKernelBtf(testObject("types"));

const spelled: Record<string, { types: string[]; returnType: string }> = {
  pointers: {
    types: ["struct plain *", "const char *", "char **", "const struct plain *const *", "void *const"],
    returnType: "int",
  },
  functions: {
    types: [
      "int (*)(void *, const char *)",
      "void (*)(void)",
      "int (*(*)(int))(long)",
      "int (*)[4]",
      "int (*)[3]",
    ],
    returnType: "void",
  },
  values: {
    types: ["enum color", "union choice *", "number_t", "volatile unsigned int"],
    returnType: "const char *",
  },
};
test.each(Object.entries(spelled))("types are spelled as in C: %s", (name, { types, returnType }) => {
  const proto = btf.funcProto(name);
  expect(proto?.params.map((param: BtfParam) => param.type)).toEqual(types);
  expect(proto?.params.map((param: BtfParam) => param.name)).toEqual([..."abcde"].slice(0, types.length));
  expect(proto?.returnType).toBe(returnType);
  expect(proto?.btfId).toBeGreaterThan(0);
});

test("members are found through anonymous ones, in structs, unions and untagged typedefs", () => {
  expect(btf.structMember("plain", "a")).toEqual({ offset: 0, size: 4 });
  expect(btf.structMember("plain", "b")).toEqual({ offset: 8, size: 8 });
  expect(btf.structMember("plain", "d")).toEqual({ offset: 12, size: 4 });
  expect(btf.structMember("plain", "rest")).toEqual({ offset: 16, size: 2 });
  expect(btf.structMember("choice", "b")).toEqual({ offset: 0, size: 8 });
  expect(btf.structMember("untagged_t", "value")).toEqual({ offset: 0, size: 8 });
});

test("enumerators have their values, negative ones too", () => {
  expect(btf.enumValue("color", "GREEN")).toBe(-3);
  expect(btf.enumValue("color", "BLUE")).toBe(0x7fffffff);
});

test("what is not there is undefined", () => {
  expect(btf.funcProto("no_such_function")).toBeUndefined();
  expect(btf.structMember("plain", "no_such_member")).toBeUndefined();
  expect(btf.structMember("no_such_struct", "a")).toBeUndefined();
  expect(btf.enumValue("color", "PURPLE")).toBeUndefined();
  expect(btf.enumValue("no_such_enum", "RED")).toBeUndefined();
  expect(btf.hasStruct("plain")).toBe(true);
  expect(btf.hasStruct("color")).toBe(false);
});

test.runIf(existsSync("/sys/kernel/btf/vmlinux"))("the running kernel's BTF knows its functions", () => {
  const kernel = bpf.loadKernelBtf();
  expect(kernel.funcProto("commit_creds")?.params).toMatchObject([{ name: "new", type: "struct cred *" }]);
  expect(kernel.hasStruct("task_struct")).toBe(true);
  expect(kernel.enumValue("bpf_func_id", "BPF_FUNC_map_lookup_elem")).toBe(1);
  kernel.close();
});

test("a file without BTF is refused with a reason", () => {
  expect(thrownBy(() => bpf.loadKernelBtf("/etc/passwd"))).toMatchObject({
    name: "BpfError",
    code: "ENOEXEC",
  });
  expect(thrownBy(() => bpf.loadKernelBtf("/no/such/file"))).toMatchObject({
    code: "ENOENT",
    step: "load BTF of",
  });
});

test("types that were released are read again", () => {
  const types = bpf.loadKernelBtf(testObject("types"));
  types.release();
  types.release();
  expect(types.funcProto("pointers")).toEqual(btf.funcProto("pointers"));
  types.release();
  types.close();
  expect(thrownBy(() => types.funcProto("pointers"))).toMatchObject({ code: "EBADF" });
});

test("use after close() fails with EBADF", () => {
  const closed = bpf.loadKernelBtf(testObject("types"));
  closed.close();
  closed.close();
  expect(thrownBy(() => closed.funcProto("pointers"))).toMatchObject({ code: "EBADF" });
  expect(thrownBy(() => closed.hasStruct("plain"))).toMatchObject({ code: "EBADF" });
});
