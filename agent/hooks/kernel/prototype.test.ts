import { describe, expect, test } from "vitest";
import type { ArgType } from "../../../crds/argument-types.ts";
import type { HookDef } from "../../../crds/hook-spec.ts";
import type { BtfType } from "../../../policy/members/kernel-types.ts";
import type { FuncProto } from "../../bpf/binding.ts";
import { makeArgs, makeHook } from "../testing/hooks.ts";
import { checkArguments, checkReturn, formatPrototype, readsPointerAsInteger } from "./prototype.ts";

function makeProto(...params: [type: string, name: string][]): FuncProto {
  const typed = params.map(([type, name]) => {
    const typeId = SHAPES.findIndex(([declared]) => declared === type);
    return { type, name, ...(typeId >= 0 && { typeId }) };
  });
  return { btfId: 1, params: typed, returnType: "int" };
}

const INT: BtfType = { kind: "integer", size: 4, signed: true };
const member = (type: number) => ({ name: "val", bitOffset: 0, bitSize: 0, type });
/** Some types by their id. */
const SHAPES: [declared: string, type: BtfType][] = [
  ["int", INT],
  ["size_t", { kind: "integer", size: 8, signed: false }],
  ["kuid_t", { kind: "struct", name: "", size: 4, members: [member(0)] }],
  ["struct pair", { kind: "struct", name: "pair", size: 8, members: [member(0), member(0)] }],
];
const TYPES = { describeType: (id: number): BtfType => SHAPES[id]?.[1] ?? { kind: "other" } };
const ADDRESS = "it is an address: name the type of what is there, or resolve a member";

const COMMIT_CREDS = makeProto(["struct cred *", "new"]);
const CAPSET = makeProto(
  ["struct cred *", "new"],
  ["const struct cred *", "old"],
  ["const kernel_cap_t *", "effective"],
);

describe("arguments fit", () => {
  const cases: Record<string, { args: HookDef["args"]; proto: FuncProto | undefined; syscall?: boolean }> = {
    "credentials, constant or not": { args: makeArgs("cred", "cred", "cap_effective"), proto: CAPSET },
    "anything where the prototype is not known": { args: makeArgs("cred", "string"), proto: undefined },
    "nop on anything": { args: makeArgs("nop"), proto: COMMIT_CREDS },
    "a file, and text in a structure": {
      args: makeArgs("file", "filename"),
      proto: makeProto(["struct file *", "file"], ["struct filename *", "name"]),
    },
    "a member of another type": {
      args: [{ index: 0, type: "uint32", resolve: "euid.val" }],
      proto: COMMIT_CREDS,
    },
    "what is read from the task": {
      args: [{ index: 3, type: "uint32", source: "current_task", resolve: "cred.euid.val" }],
      proto: COMMIT_CREDS,
    },
    "an integer in a structure of its own": { args: makeArgs("uint32"), proto: makeProto(["kuid_t", "uid"]) },
    "a system call's register, whatever it takes of it": {
      args: makeArgs("uint64"),
      proto: makeProto(["int", "n"]),
      syscall: true,
    },
    "a string": { args: makeArgs("string"), proto: makeProto(["const char *", "name"]) },
    "a string that a system call takes as a number": {
      args: makeArgs("string"),
      proto: makeProto(["long unsigned int", "arg2"]),
      syscall: true,
    },
  };
  test.each(Object.entries(cases))("%s", (_name, { args, proto, syscall = false }) => {
    expect(() => checkArguments(makeHook({ args, syscall }), "f", proto, TYPES)).not.toThrow();
  });
});

describe("arguments are refused", () => {
  const cases: Record<string, { def: Partial<HookDef>; proto?: FuncProto; message: string }> = {
    "beyond the prototype": {
      def: { args: [{ index: 1, type: "int" }] },
      proto: COMMIT_CREDS,
      message: "args[0]: no parameter 1 in int commit_creds(struct cred *new)",
    },
    "when a structure is read from something else": {
      def: { args: makeArgs("cred") },
      proto: makeProto(["struct user_namespace *", "ns"]),
      message: "args[0]: type cred does not fit parameter 0 of int commit_creds(struct user_namespace *ns)",
    },
    "when a text is read from a number": {
      def: { args: makeArgs("string") },
      proto: makeProto(["long unsigned int", "n"]),
      message: "args[0]: type string does not fit parameter 0 of int commit_creds(long unsigned int n)",
    },
    "when a text is read from less than an address": {
      def: { args: makeArgs("string"), syscall: true },
      proto: makeProto(["int", "n"]),
      message: "args[0]: type string does not fit parameter 0 of int commit_creds(int n)",
    },
    "when a number is read from an address": {
      def: { args: makeArgs("capability") },
      proto: COMMIT_CREDS,
      message: `args[0]: type capability does not fit parameter 0 of int commit_creds(struct cred *new): ${ADDRESS}`,
    },
    "when the whole address is": {
      def: { args: makeArgs("uint64") },
      proto: COMMIT_CREDS,
      message: `args[0]: type uint64 does not fit parameter 0 of int commit_creds(struct cred *new): ${ADDRESS}`,
    },
    "when more is read than the parameter has": {
      def: { args: makeArgs("uint64") },
      proto: makeProto(["int", "n"]),
      message:
        "args[0]: type uint64 does not fit parameter 0 of int commit_creds(int n): write int or uint32",
    },
    "when less is read than the parameter has": {
      def: { args: makeArgs("int") },
      proto: makeProto(["size_t", "n"]),
      message:
        "args[0]: type int does not fit parameter 0 of int commit_creds(size_t n): write long or uint64",
    },
    "when a structure is read as a number": {
      def: { args: makeArgs("int") },
      proto: makeProto(["struct pair", "p"]),
      message:
        "args[0]: type int does not fit parameter 0 of int commit_creds(struct pair p): it is a structure",
    },
    "when a system call's address is cut": {
      def: { args: makeArgs("int"), syscall: true },
      proto: makeProto(["gid_t *", "list"]),
      message:
        "args[0]: type int does not fit parameter 0 of int commit_creds(gid_t *list): it is an address",
    },
    "when they are variable": {
      def: { args: makeArgs("int") },
      proto: makeProto(["...", ""]),
      message: "args[0]: parameter 0 is variable in int commit_creds(...)",
    },
    "when a system call should pass kernel memory": {
      def: { args: makeArgs("cred"), syscall: true },
      message: "args[0]: a system call has no argument of type cred",
    },
  };
  test.each(Object.entries(cases))("%s", (_name, { def, proto, message }) => {
    expect(() => checkArguments(makeHook(def), "commit_creds", proto, TYPES)).toThrow(message);
  });
});

describe("what is returned", () => {
  const check = (type: ArgType, returnType: string | undefined, syscall = false) =>
    checkReturn(
      makeHook({ returnArg: { type }, syscall }),
      "f",
      returnType === undefined ? undefined : { btfId: 1, params: [], returnType },
    );

  test.each<[ArgType, string | undefined, boolean?]>([
    ["cred", "struct cred *"],
    ["string", "char *"],
    ["int", "long int"],
    ["nop", "void"],
    ["cred", undefined],
    ["int", undefined, true],
  ])("may be %s where it is %s", (type, returnType, syscall) => {
    expect(() => check(type, returnType, syscall)).not.toThrow();
  });

  test.each<[ArgType, string | undefined, boolean, string]>([
    ["int", "void", false, "return: type int does not fit f: it returns nothing"],
    ["int", "struct cred *", false, "return: type int does not fit f: it returns struct cred *, an address"],
    ["cred", "int", false, "return: type cred does not fit f: it returns int"],
    ["file", "struct cred *", false, "return: type file does not fit f: it returns struct cred *"],
    ["string", undefined, true, "return: type string does not fit f: it returns long"],
  ])("is refused as %s where it is %s", (type, returnType, syscall, message) => {
    expect(() => check(type, returnType, syscall)).toThrow(message);
  });
});

test("a prototype without parameters says void", () => {
  expect(formatPrototype("f", { btfId: 1, params: [], returnType: "struct cred *" })).toBe(
    "struct cred *f(void)",
  );
});

test("a pointer read as a number is told from one read as what it is", () => {
  expect(readsPointerAsInteger(makeArgs("ulong"), COMMIT_CREDS)).toBe(true);
  expect(readsPointerAsInteger(makeArgs("cred"), COMMIT_CREDS)).toBe(false);
  expect(readsPointerAsInteger(makeArgs("nop"), COMMIT_CREDS)).toBe(false);
  const member = [{ index: 0, type: "uint32", resolve: "euid.val" } as const];
  expect(readsPointerAsInteger(member, COMMIT_CREDS)).toBe(false);
});
