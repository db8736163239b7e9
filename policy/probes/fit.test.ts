import { describe, expect, test } from "vitest";
import { errorsOf, type Loose, makePolicy, makeProbePolicy, warningsOf } from "../testing/policies.ts";

const kprobe = (call: string, ...args: Loose[]) => makeProbePolicy({ call, syscall: false, args });
const syscall = (call: string, ...args: Loose[]) => makeProbePolicy({ call, args });
const lsm = (hook: string, ...args: Loose[]) => makePolicy({ lsmhooks: [{ hook, args }] });
const raw = (event: string, ...args: Loose[]) =>
  makePolicy({ tracepoints: [{ subsystem: "sched", event, raw: true, args }] });
const arg = (index: number, type: string, more: Loose = {}) => ({ index, type, ...more });
const found = (lines: string[]) => lines.map((line) => line.replace(/^spec\.\w+\[0\]\./, ""));

const CAP_CAPABLE =
  "int cap_capable(const struct cred *cred, struct user_namespace *target_ns, int cap, unsigned int opts)";
const SCHED_PROCESS_EXEC = "void sched_process_exec(struct task_struct *, pid_t, struct linux_binprm *)";
const ADDRESS = "it is an address: name the type of what is there, or resolve a member";

describe("an argument that no recorded kernel takes", () => {
  const refused: Record<string, [policy: Loose, error: string]> = {
    "an integer on an address": [
      kprobe("cap_capable", arg(1, "int")),
      `args[0].type: int does not fit parameter 1 of ${CAP_CAPABLE}: ${ADDRESS}`,
    ],
    "a whole address as a number": [
      kprobe("commit_creds", arg(0, "uint64")),
      `args[0].type: uint64 does not fit parameter 0 of int commit_creds(struct cred *new): ${ADDRESS}`,
    ],
    "a capability on an address of an LSM hook": [
      lsm("userns_create", arg(0, "capability")),
      `args[0].type: capability does not fit parameter 0 of int userns_create(const struct cred *cred): ${ADDRESS}`,
    ],
    "an address of a raw tracepoint": [
      raw("sched_process_exec", arg(2, "uint64")),
      `args[0].type: uint64 does not fit parameter 2 of ${SCHED_PROCESS_EXEC}: ${ADDRESS}`,
    ],
    "a parameter that a raw tracepoint has not": [
      raw("sched_process_exec", arg(3, "auto")),
      `args[0].index: is 3, beyond the parameters of ${SCHED_PROCESS_EXEC}: the last index is 2`,
    ],
    "more bytes than the parameter has": [
      kprobe("cap_capable", arg(2, "uint64")),
      `args[0].type: uint64 does not fit parameter 2 of ${CAP_CAPABLE}: write int or uint32`,
    ],
    "fewer bytes than the parameter has": [
      kprobe("security_mmap_addr", arg(0, "int")),
      "args[0].type: int does not fit parameter 0 of int security_mmap_addr(long unsigned int addr): write long or uint64",
    ],
    "another structure": [
      kprobe("commit_creds", arg(0, "file")),
      "args[0].type: file does not fit parameter 0 of int commit_creds(struct cred *new)",
    ],
    "a member of a number": [
      kprobe("cap_capable", arg(2, "int", { resolve: "val" })),
      `args[0].resolve: does not fit parameter 2 of ${CAP_CAPABLE}, which has no members`,
    ],
    "a parameter that is not there": [
      lsm("task_fix_setuid", arg(3, "int")),
      "args[0].index: is 3, beyond the parameters of int task_fix_setuid(struct cred *new, const struct cred *old, int flags): the last index is 2",
    ],
    "an address of a system call by another name": [
      syscall("sys_capset", arg(1, "capability")),
      "args[0].type: capability does not fit parameter 1 of capset(cap_user_header_t header, const cap_user_data_t data): it is an address: write uint64",
    ],
    "a number of a system call as a string": [
      syscall("sys_setuid", arg(0, "string")),
      "args[0].type: string does not fit parameter 0 of setuid(uid_t uid): it is a number: write int or uint32",
    ],
    "a string of a system call as a number": [
      syscall("sys_chroot", arg(0, "int")),
      "args[0].type: int does not fit parameter 0 of chroot(const char *path): it is an address: write string or uint64",
    ],
    "other addresses of a system call as a string": [
      syscall("sys_setgroups", arg(1, "string")),
      "args[0].type: string does not fit parameter 1 of setgroups(int size, gid_t *list): it is an address: write uint64",
    ],
    "an id as a capability": [
      kprobe("__sys_setuid", arg(0, "capability")),
      "args[0].type: capability does not fit parameter 0 of long int __sys_setuid(uid_t uid): uid_t is another number: write int or uint32",
    ],
    "an id in a structure of its own as a capability": [
      kprobe("audit_set_loginuid", arg(0, "capability")),
      "args[0].type: capability does not fit parameter 0 of int audit_set_loginuid(kuid_t loginuid): kuid_t is another number: write int or uint32",
    ],
    "an id as a file": [
      kprobe("__sys_setgid", arg(0, "fd")),
      "args[0].type: fd does not fit parameter 0 of long int __sys_setgid(gid_t gid): gid_t is another number: write int or uint32",
    ],
    "a descriptor as a path, which stands beside it": [
      syscall("sys_openat", arg(0, "string")),
      "args[0].type: string does not fit parameter 0 of openat(int dfd, const char *path, int flags, umode_t mode): it is a number: write int or uint32",
    ],
    "a parameter that a system call has not": [
      syscall("sys_umask", arg(1, "int")),
      "args[0].index: is 1, beyond the parameters of umask(int mask): the last index is 0",
    ],
    "an id of a system call as a capability": [
      syscall("sys_setuid", arg(0, "capability")),
      "args[0].type: capability does not fit parameter 0 of setuid(uid_t uid): uid_t is another number: write int or uint32",
    ],
    "a capability that is returned": [
      makeProbePolicy({
        ...{ call: "cap_capable", syscall: false, args: [] },
        ...{ return: true, returnArg: arg(0, "capability") },
      }),
      "returnArg.type: capability does not fit cap_capable: it returns int, not a capability: write int or long",
    ],
    "a number of 64 bits as a capability": [
      kprobe("security_task_prctl", arg(1, "capability")),
      "args[0].type: capability does not fit parameter 1 of int security_task_prctl(int option, long unsigned int arg2, long unsigned int arg3, long unsigned int arg4, long unsigned int arg5): write long or uint64",
    ],
    "an address that is returned": [
      makeProbePolicy({
        ...{ call: "prepare_creds", syscall: false, args: [] },
        ...{ return: true, returnArg: arg(0, "int") },
      }),
      "returnArg.type: int does not fit prepare_creds: it returns struct cred *, an address",
    ],
    "nothing that is returned": [
      makeProbePolicy({
        ...{ call: "security_bprm_committed_creds", syscall: false, args: [] },
        ...{ return: true, returnArg: arg(0, "int") },
      }),
      "returnArg.type: int does not fit security_bprm_committed_creds: it returns nothing",
    ],
    "a structure of a system call's result": [
      makeProbePolicy({ call: "sys_setuid", args: [], return: true, returnArg: arg(0, "cred") }),
      "returnArg.type: cred does not fit sys_setuid: it returns long",
    ],
    "half of an address of a system call": [
      syscall("sys_setgroups", arg(1, "int")),
      "args[0].type: int does not fit parameter 1 of setgroups(int size, gid_t *list): it is an address: write uint64",
    ],
  };
  test.each(Object.entries(refused))("is refused: %s", (_name, [policy, error]) => {
    expect(found(errorsOf(policy))).toEqual([error]);
  });

  const taken: Record<string, Loose> = {
    "a capability": kprobe("cap_capable", arg(2, "capability"), arg(2, "int"), arg(3, "uint32")),
    "an id in a structure of its own": kprobe("security_path_chown", arg(1, "uint32"), arg(2, "int")),
    "members and types of the programmer": kprobe("commit_creds", arg(0, "uint32", { resolve: "euid.val" })),
    "a register of a system call": syscall("sys_prctl", arg(0, "uint64"), arg(1, "int"), arg(2, "string")),
    "text at an address of anything": syscall("sys_mount", arg(0, "string"), arg(4, "string")),
    "the address that a system call gets": syscall("sys_setgroups", arg(1, "uint64")),
    "anything of a function that is not recorded": kprobe("some_function", arg(0, "int"), arg(4, "cred")),
  };
  test.each(Object.entries(taken))("is taken: %s", (_name, policy) => {
    expect(errorsOf(policy)).toEqual([]);
  });
});

describe("a number whose name is that of another one is warned of", () => {
  const NO_CALL =
    "no system call has a capability as parameter but prctl, whose arg2 and arg3 may be one: write int or uint32";
  const doubted: Record<string, [policy: Loose, warning: string]> = {
    "flags as a capability, beside the capability": [
      kprobe("cap_capable", arg(3, "capability")),
      `args[0].type: reads parameter 3 of ${CAP_CAPABLE} as capability, and its name is that of another number: write int or uint32, or read parameter 2, which is one`,
    ],
    "flags of an LSM hook": [
      lsm("task_fix_setuid", arg(2, "capability")),
      "args[0].type: reads parameter 2 of int task_fix_setuid(struct cred *new, const struct cred *old, int flags) as capability, and its name is that of another number: write int or uint32",
    ],
    "flags as a file": [
      syscall("sys_setns", arg(1, "fd")),
      "args[0].type: reads parameter 1 of setns(int fd, int flags) as fd, and its name is that of another number: write int or uint32, or read parameter 0, which is one",
    ],
    "an option of a system call": [syscall("sys_prctl", arg(0, "capability")), `args[0].type: ${NO_CALL}`],
    "a number of any other system call": [
      syscall("sys_umask", arg(0, "capability")),
      `args[0].type: ${NO_CALL}`,
    ],
    "a member of another name": [
      kprobe("commit_creds", arg(0, "capability", { resolve: "securebits" })),
      'args[0].type: shows "securebits" as a capability, and its name is that of another number',
    ],
  };
  test.each(Object.entries(doubted))("%s", (_name, [policy, warning]) => {
    expect(found(warningsOf(policy)).filter((line) => !/runs at every exec/.test(line))).toEqual([warning]);
  });

  test.each(["capability", "fd"])("a %s by its name is not", (type) => {
    const policy =
      type === "fd" ? syscall("sys_setns", arg(0, type)) : kprobe("ns_capable", arg(1, type), arg(1, "int"));
    expect(warningsOf(policy)).toEqual([]);
  });

  test("nor is what prctl takes", () => {
    expect(warningsOf(syscall("sys_prctl", arg(1, "capability"), arg(2, "capability")))).toEqual([]);
  });
});

test("an argument that some kernels do not take is warned of, with their names", () => {
  expect(found(warningsOf(kprobe("security_inode_copy_up_xattr", arg(0, "string"))))).toEqual([
    "args[0].type: in the kernels 6.12 and 7.2: string does not fit parameter 0 of int security_inode_copy_up_xattr(struct dentry *src, const char *name)",
  ]);
});

describe("a name is doubted", () => {
  test.each([
    [
      "in none of the kernels",
      kprobe("security_task_fix_setuids"),
      'call: "security_task_fix_setuids" is in none of the kernels 5.10, 6.1, 6.12 and 7.2: did you mean "security_task_fix_setuid"?',
    ],
    [
      "in some of them",
      kprobe("security_task_fix_setgroups"),
      'call: "security_task_fix_setgroups" is missing or inlined in some kernels: 5.10 of 5.10, 6.1, 6.12 and 7.2: set ignore.callNotFound to run without the hook there',
    ],
    [
      "an LSM hook of newer kernels",
      lsm("userns_create"),
      'hook: "userns_create" is missing in some kernels: 5.10 of 5.10, 6.1, 6.12 and 7.2',
    ],
  ])("%s", (_name, policy, warning) => {
    expect(found(warningsOf(policy))).toEqual([warning]);
  });

  test.each([
    ["sys_stat", "sys_newstat"],
    ["sys_uname", "sys_newuname"],
    ["sys_umount2", "sys_umount"],
    ["sys_sendfile", "sys_sendfile64"],
  ])("%s, whose function is %s", (call, own) => {
    expect(warningsOf(syscall(call))).toEqual([
      `spec.kprobes[0].call: "${call}" is not the function that 64-bit programs reach by this call: write ${own}`,
    ]);
    expect(warningsOf(syscall(own)).filter((line) => !/leaves out/.test(line))).toEqual([]);
  });

  test("not where the policy lets it be missing", () => {
    const ignore = { callNotFound: true };
    const call = "security_task_fix_setgroups";
    expect(warningsOf(makeProbePolicy({ call, syscall: false, args: [], ignore }))).toEqual([]);
  });
});
