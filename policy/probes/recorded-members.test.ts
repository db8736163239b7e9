import { describe, expect, test } from "vitest";
import { errorsOf, type Loose, makePolicy, makeProbePolicy, warningsOf } from "../testing/policies.ts";

const commitCreds = (type: string, resolve: string, more: Loose = {}) =>
  makeProbePolicy({ call: "commit_creds", syscall: false, args: [{ index: 0, type, resolve, ...more }] });
const ofTask = (type: string, resolve: string) =>
  makeProbePolicy({ data: [{ index: 0, type, source: "current_task", resolve }] });
const lsm = (hook: string, arg: Loose) => makePolicy({ lsmhooks: [{ hook, args: [arg] }] });
const raw = (arg: Loose) =>
  makePolicy({ tracepoints: [{ subsystem: "sched", event: "sched_process_exec", raw: true, args: [arg] }] });

const KERNELS = "5.10, 6.1, 6.12 and 7.2";
const ADVICE = "name the type of what is there, or resolve a member of it";

describe("a member that no kernel reads as the type is refused", () => {
  const refused: Record<string, [policy: Loose, error: string]> = {
    "an address as a number": [
      commitCreds("uint64", "user_ns"),
      `kprobes[0].args[0].type: user_ns: it is an address, not of the type uint64: ${ADVICE}`,
    ],
    "an address in the current task as a number": [
      ofTask("uint64", "real_parent"),
      `kprobes[0].data[0].type: real_parent: it is an address, not of the type uint64: ${ADVICE}`,
    ],
    "more bytes than the type has": [
      ofTask("uint32", "start_time"),
      "kprobes[0].data[0].type: start_time: it has 8 bytes, type uint32 has 4: write long or uint64",
    ],
    "a structure as a number": [
      commitCreds("uint32", "cap_effective"),
      "kprobes[0].args[0].type: cap_effective: it is no number, as type uint32 wants",
    ],
    "another structure": [
      lsm("bprm_creds_for_exec", { index: 0, type: "file", resolve: "mm" }),
      "lsmhooks[0].args[0].type: mm: it is struct mm_struct, not of the type file",
    ],
    "an element beyond the end": [
      ofTask("uint8", "comm[16]"),
      "kprobes[0].data[0].resolve: [16] is beyond 16 elements",
    ],
    "another element than the first behind a pointer": [
      commitCreds("uint32", "[1].euid.val"),
      "kprobes[0].args[0].resolve: [1]: the kernel's types do not say how many elements a pointer leads to",
    ],
    "a member of a number": [
      ofTask("uint32", "pid.val"),
      "kprobes[0].data[0].resolve: val: an integer has no members",
    ],
    "a member of the type that the policy names": [
      raw({ index: 2, type: "uint64", btfType: "linux_binprm", resolve: "file" }),
      `tracepoints[0].args[0].type: file: it is an address, not of the type uint64: ${ADVICE}`,
    ],
  };
  test.each(Object.entries(refused))("%s", (_name, [policy, error]) => {
    expect(errorsOf(policy)).toEqual([`spec.${error}`]);
  });
});

describe("a member that kernels lack is warned of, with their names", () => {
  const doubted: Record<string, [policy: Loose, warnings: string[]]> = {
    "a misspelt one": [
      ofTask("uint32", "cred.eiud.val"),
      [
        `kprobes[0].data[0].resolve: in the kernels ${KERNELS}: struct cred has no member eiud: did you mean "euid"?`,
      ],
    ],
    "one that is far from every name": [
      ofTask("uint32", "cred.euid.number"),
      [`kprobes[0].data[0].resolve: in the kernels ${KERNELS}: struct {...} has no member number, only val`],
    ],
    "one of newer kernels": [
      commitCreds("uint64", "ucounts.uid.val"),
      ["kprobes[0].args[0].resolve: in the kernel 5.10: struct cred has no member ucounts"],
    ],
    "one that others have with another type": [
      ofTask("uint32", "cred.cap_effective.val"),
      [
        "kprobes[0].data[0].resolve: in the kernels 5.10 and 6.1: struct kernel_cap_struct has no member val, only cap",
        "kprobes[0].data[0].type: in the kernels 6.12 and 7.2: cred.cap_effective.val: it has 8 bytes, type uint32 has 4: write long or uint64",
      ],
    ],
  };
  test.each(Object.entries(doubted))("%s", (_name, [policy, warnings]) => {
    expect(errorsOf(policy)).toEqual([]);
    expect(warningsOf(policy).filter((line) => !/runs at every exec/.test(line))).toEqual(
      warnings.map((warning) => `spec.${warning}`),
    );
  });
});

test.each([
  ["cred", "real_cred"],
  ["uint32", "cred.euid.val"],
  ["uint32", "cred.euid"],
  ["uint64", "cred.euid.val"],
  ["uint32", "cred.group_info.gid[3].val"],
  ["kernel_cap_t", "cred.cap_bset"],
  ["int", "cred.user_ns.level"],
  ["uint32", "real_parent.real_parent.tgid"],
  ["string", "comm"],
  ["string", "fs.pwd.dentry.d_name.name"],
  ["file", "mm.exe_file"],
  ["uint32", "nsproxy.pid_ns_for_children.ns.inum"],
  ["uint8", "in_iowait"],
  ["uint64", "thread.sp"],
])(
  "nothing is said of what every kernel reads, or of structures that are not recorded: %s, %s",
  (type, resolve) => {
    expect([...errorsOf(ofTask(type, resolve)), ...warningsOf(ofTask(type, resolve))]).toEqual([]);
  },
);
