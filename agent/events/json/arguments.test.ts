import { describe, expect, test } from "vitest";
import type { ArgDef } from "../../../crds/hook-spec.ts";
import { ARG_READ_FAILED, WALK_TRUNCATED } from "../../records/layout.ts";
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
import { permissionText } from "./files.ts";

const allCaps = 0x1ff_ffff_ffffn;
const cases: Record<string, { arg: ArgDef["type"]; slot: SlotFields; want: unknown }> = {
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
  "a file name is a string": {
    arg: "filename",
    slot: { payload: Buffer.from("/etc/passwd") },
    want: { string_arg: "/etc/passwd" },
  },
  "a file has path and permission": {
    arg: "file",
    slot: pathSlot("/usr/bin/su", 0o104755),
    want: { file_arg: { path: "/usr/bin/su", permission: "-rwsr-xr-x" } },
  },
  "a file descriptor is its file": {
    arg: "fd",
    slot: pathSlot("/etc/shadow", 0o100640),
    want: { file_arg: { path: "/etc/shadow", permission: "-rw-r-----" } },
  },
  "a path says when its beginning is missing": {
    arg: "path",
    slot: pathSlot("/deep/down", 0o040700, WALK_TRUNCATED),
    want: { path_arg: { path: "/deep/down", flags: "unresolvedPathComponents", permission: "drwx------" } },
  },
  "a dentry without a name has no path": {
    arg: "dentry",
    slot: pathSlot("", 0o140777),
    want: { path_arg: { permission: "srwxrwxrwx" } },
  },
  "a path is escaped": {
    arg: "path",
    slot: pathSlot('/tmp/"\n', 0o100644),
    want: { path_arg: { path: '/tmp/"\n', permission: "-rw-r--r--" } },
  },
  "a program that is executed": {
    arg: "linux_binprm",
    slot: pathSlot("/usr/bin/id", 0o100755),
    want: { linux_binprm_arg: { path: "/usr/bin/id", permission: "-rwxr-xr-x" } },
  },
  "a program without its path_value is an error": {
    arg: "linux_binprm",
    slot: { payload: new Uint8Array(4) },
    want: { error_arg: { Message: "Bad address for basic type" } },
  },
  "a buffer is base64": {
    arg: "char_buf",
    slot: bufferSlot(Buffer.from([0, 1, 0xfe, 0xff])),
    want: { bytes_arg: "AAH+/w==" },
  },
  "an empty buffer is shown": {
    arg: "char_buf",
    slot: bufferSlot(new Uint8Array(0)),
    want: { bytes_arg: "" },
  },
  "a buffer that is larger than what was read says its size": {
    arg: "char_buf",
    slot: bufferSlot(Buffer.from("abc"), 5_000_000_000n),
    want: { truncated_bytes_arg: { bytes_arg: "YWJj", orig_size: "5000000000" } },
  },
  "a buffer that cannot be read is an error": {
    arg: "char_buf",
    slot: { ...bufferSlot(Buffer.from("abc")), status: ARG_READ_FAILED },
    want: { error_arg: { Message: "Bad address for basic type" } },
  },
  "a constant buffer is text without the zeros behind it": {
    arg: "const_buf",
    slot: bufferSlot(Buffer.from("security.capability\0\0")),
    want: { string_arg: "security.capability" },
  },
  "a module has name and taints": {
    arg: "module",
    slot: moduleSlot("nf_tables", { taints: 0x3001n }),
    want: {
      module_arg: {
        name: "nf_tables",
        tainted: ["TAINT_PROPRIETARY_MODULE", "TAINT_OUT_OF_TREE_MODULE", "TAINT_UNSIGNED_MODULE"],
      },
    },
  },
  "a taint without a name is a number": {
    arg: "module",
    slot: moduleSlot("x", { taints: 1n << 3n }),
    want: { module_arg: { name: "x", tainted: [8] } },
  },
  "a module that is loaded says whether its signature is right": {
    arg: "load_info",
    slot: moduleSlot("dummy", { signatureOk: 0 }),
    want: { module_arg: { name: "dummy", signature_ok: false } },
  },
  "a right signature": {
    arg: "load_info",
    slot: moduleSlot("dummy", { signatureOk: 1 }),
    want: { module_arg: { name: "dummy", signature_ok: true } },
  },
  "a module without its module_value is an error": {
    arg: "module",
    slot: integerSlot(0),
    want: { error_arg: { Message: "Bad address for basic type" } },
  },
  "a system call has number and ABI": {
    arg: "syscall64",
    slot: integerSlot(105),
    want: { syscall_id: { id: 105, abi: process.arch } },
  },
  "system call 0 shows no number, as upstream": {
    arg: "syscall64",
    slot: integerSlot(0),
    want: { syscall_id: { abi: process.arch } },
  },
  "a system call of a 32-bit program": {
    arg: "syscall64",
    slot: integerSlot(0x8000_0017),
    want: { syscall_id: { id: 23, abi: process.arch === "arm64" ? "arm32" : "i386" } },
  },
  "a read that fails on a field path reports how deep": {
    arg: "uint32",
    slot: { ...integerSlot(0), status: ARG_READ_FAILED, depth: 3 },
    want: { error_arg: { Message: "Bad address encountered during resolve dereference at depth 3" } },
  },
};

test.each(Object.entries(cases))("%s", (_name, { arg, slot, want }) => {
  const { pipeline, sink } = setupShell(makeHookDef({ args: [{ index: 0, type: arg }] }));
  pipeline.handleBatch(makeBatch(makeHit([slot])));
  const [event] = parseLines(sink.takeLines());
  expect(JSON.stringify(event.process_kprobe.args)).toBe(JSON.stringify([want]));
});

describe("permissions", () => {
  test.each([
    [0o100755, "-rwxr-xr-x"],
    [0o104755, "-rwsr-xr-x"],
    [0o102745, "-rwxr-Sr-x"],
    [0o106655, "-rwSr-sr-x"],
    [0o041777, "drwxrwxrwt"],
    [0o041776, "drwxrwxrwT"],
    [0o120777, "lrwxrwxrwx"],
    [0o020620, "crw--w----"],
    [0o060660, "brw-rw----"],
    [0o010600, "prw-------"],
    [0, "?---------"],
  ])("mode %o is %s", (mode, want) => {
    expect(permissionText(mode)).toBe(want);
  });
});
