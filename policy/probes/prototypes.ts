/** Prototypes: of system calls by hand, which never change, of functions and LSM hooks as kernels' BTF has them. */

import { commonName, isOf32BitOnly, multiplexedBy, otherArguments32 } from "../../crds/syscall-abis.ts";
import { isSyscall, SYSCALL_NAMES } from "../../crds/syscall-table.ts";
import { didYouMean } from "../suggest.ts";
import type { Prototype } from "./prototype.ts";
import { FUNCTION_PROTOTYPES, LSM_PROTOTYPES, RECORDED_KERNELS } from "./prototypes.gen.ts";

/** System calls around credentials, by the name after `sys_`. */
const SYSCALLS: Record<string, string[]> = {
  setuid: ["uid_t uid"],
  setgid: ["gid_t gid"],
  setreuid: ["uid_t ruid", "uid_t euid"],
  setregid: ["gid_t rgid", "gid_t egid"],
  setresuid: ["uid_t ruid", "uid_t euid", "uid_t suid"],
  setresgid: ["gid_t rgid", "gid_t egid", "gid_t sgid"],
  setfsuid: ["uid_t uid"],
  setfsgid: ["gid_t gid"],
  setgroups: ["int size", "gid_t *list"],
  getgroups: ["int size", "gid_t *list"],
  capset: ["cap_user_header_t header", "const cap_user_data_t data"],
  capget: ["cap_user_header_t header", "cap_user_data_t data"],
  prctl: [
    "int option",
    "unsigned long arg2",
    "unsigned long arg3",
    "unsigned long arg4",
    "unsigned long arg5",
  ],
  unshare: ["unsigned long flags"],
  setns: ["int fd", "int flags"],
  setsid: [],
  setpgid: ["pid_t pid", "pid_t pgid"],
  keyctl: [
    "int option",
    "unsigned long arg2",
    "unsigned long arg3",
    "unsigned long arg4",
    "unsigned long arg5",
  ],
  add_key: [
    "const char *type",
    "const char *description",
    "const void *payload",
    "size_t length",
    "key_serial_t ring",
  ],
  request_key: ["const char *type", "const char *description", "const char *info", "key_serial_t ring"],
  execve: ["const char *path", "const char *const *argv", "const char *const *envp"],
  execveat: ["int fd", "const char *path", "const char *const *argv", "const char *const *envp", "int flags"],
  ptrace: ["long request", "long pid", "unsigned long addr", "unsigned long data"],
  personality: ["unsigned int persona"],
  chroot: ["const char *path"],
  pivot_root: ["const char *new_root", "const char *put_old"],
  seccomp: ["unsigned int op", "unsigned int flags", "void *args"],
};

/** What a probe is attached to. */
interface Target {
  name: string;
  syscall: boolean;
  lsm?: boolean;
}

/** Prefixes of functions of which all are recorded: one that is not there is in none of the kernels. */
const COMPLETE = /^(security_\w+|__sys_set(re|res|fs)?[ug]id)$/;

/** Parameters of a system call; undefined where they are not known. */
export function parametersOf(name: string): string[] | undefined {
  const key = name.replace(/^sys_/, "");
  return Object.hasOwn(SYSCALLS, key) ? SYSCALLS[key] : undefined;
}

/** `setuid(uid_t uid)`. */
export function prototypeOf(name: string): string {
  return `${name.replace(/^sys_/, "")}(${parametersOf(name)?.join(", ") ?? "..."})`;
}

/** The prototypes of a function or LSM hook in the recorded kernels; empty if none has it. */
export function recordedPrototypes({ name, lsm = false }: Target): readonly Prototype[] {
  const table = lsm ? LSM_PROTOTYPES : FUNCTION_PROTOTYPES;
  return (Object.hasOwn(table, name) ? table[name] : undefined) ?? [];
}

/** `int commit_creds(struct cred *new)`. */
export function showPrototype(name: string, [, returns, parameters]: Prototype): string {
  const declared = returns.endsWith("*") ? `${returns}${name}` : `${returns} ${name}`;
  return `${declared}(${parameters.join(", ") || "void"})`;
}

/** Kernels of a set of bits, as a sentence lists them. */
export function kernelNames(bits: number): string {
  const names = RECORDED_KERNELS.filter((_, bit) => bits & (1 << bit));
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : (names[0] ?? "");
}

/** Every recorded kernel. */
const ALL_KERNELS = (1 << RECORDED_KERNELS.length) - 1;

/**
 * What is to be said of a name before a node looks it up: that it is misspelt, or in some or none of the recorded
 * kernels. Undefined where nothing is known against it.
 */
export function nameDoubt(target: Target): string | undefined {
  const { name, syscall, lsm = false } = target;
  if (syscall) {
    const hint = syscallHint(name);
    if (isOf32BitOnly(nameAfter(name))) return only32(nameAfter(name));
    return hint && `is not a name that Trigon knows${hint} The nodes report whether it exists`;
  }
  const kernels = recordedPrototypes(target).reduce((bits, [other]) => bits | other, 0);
  if (kernels === ALL_KERNELS) return undefined;
  if (kernels !== 0)
    return `is missing${lsm ? "" : " or inlined"} in some kernels: ${kernelNames(ALL_KERNELS & ~kernels)} of ${kernelNames(ALL_KERNELS)}`;
  const hint = didYouMean(name, Object.keys(lsm ? LSM_PROTOTYPES : FUNCTION_PROTOTYPES));
  if (lsm || COMPLETE.test(name)) return `is in none of the kernels ${kernelNames(ALL_KERNELS)}${hint}`;
  return hint && `is not a name that Trigon knows${hint} The nodes report whether it exists`;
}

const nameAfter = (name: string): string => name.replace(/^sys_/, "");

/** What to hook instead of a call that 32-bit programs alone have, and for which no function of 64-bit kernels is named. */
function only32(name: string): string {
  const is = "is a call of 32-bit programs alone";
  const common = commonName(name);
  if (common !== undefined) {
    const seesThem = otherArguments32(common).length === 0;
    return seesThem
      ? `${is}: write sys_${common}, which sees them too`
      : `${is}; that of others is sys_${common}`;
  }
  const [first] = multiplexedBy(name);
  if (first === undefined) return is;
  const behind = { socketcall: "security_socket_connect", ipc: "security_sem_semop" }[name];
  return `${is}, which make ${first} and others by it: hook the functions behind these, such as ${behind} under kprobes`;
}

/** A hint for a name that is nearly that of a system call; empty for one that is known. */
export function syscallHint(name: string): string {
  if (isSyscall(name.replace(/^sys_/, ""))) return "";
  return didYouMean(
    name,
    SYSCALL_NAMES.map((known) => `sys_${known}`),
  );
}
