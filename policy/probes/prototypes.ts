/** Prototypes: of system calls by hand, which never change, of functions and LSM hooks as kernels' BTF has them. */

import { commonName, isOf32BitOnly, multiplexedBy, otherArguments32 } from "../../crds/syscall-abis.ts";
import { bareName, isSyscall, SYSCALL_NAMES } from "../../crds/syscall-table.ts";
import { didYouMean } from "../suggest.ts";
import type { Prototype } from "./prototype.ts";
import {
  FUNCTION_PROTOTYPES,
  LSM_PROTOTYPES,
  RECORDED_KERNELS,
  TRACEPOINT_PROTOTYPES,
} from "./prototypes.gen.ts";

/** System calls around credentials, files, namespaces and processes, by the name after `sys_`. */
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
  open: ["const char *path", "int flags", "umode_t mode"],
  openat: ["int dfd", "const char *path", "int flags", "umode_t mode"],
  openat2: ["int dfd", "const char *path", "struct open_how *how", "size_t size"],
  creat: ["const char *path", "umode_t mode"],
  close: ["unsigned int fd"],
  read: ["unsigned int fd", "char *buf", "size_t count"],
  write: ["unsigned int fd", "const char *buf", "size_t count"],
  unlink: ["const char *path"],
  unlinkat: ["int dfd", "const char *path", "int flag"],
  rename: ["const char *from", "const char *to"],
  renameat: ["int olddfd", "const char *from", "int newdfd", "const char *to"],
  renameat2: ["int olddfd", "const char *from", "int newdfd", "const char *to", "unsigned int flags"],
  link: ["const char *from", "const char *to"],
  linkat: ["int olddfd", "const char *from", "int newdfd", "const char *to", "int flags"],
  symlink: ["const char *target", "const char *path"],
  symlinkat: ["const char *target", "int newdfd", "const char *path"],
  mkdir: ["const char *path", "umode_t mode"],
  mkdirat: ["int dfd", "const char *path", "umode_t mode"],
  rmdir: ["const char *path"],
  mknod: ["const char *path", "umode_t mode", "unsigned int dev"],
  mknodat: ["int dfd", "const char *path", "umode_t mode", "unsigned int dev"],
  chdir: ["const char *path"],
  fchdir: ["unsigned int fd"],
  chmod: ["const char *path", "umode_t mode"],
  fchmod: ["unsigned int fd", "umode_t mode"],
  fchmodat: ["int dfd", "const char *path", "umode_t mode"],
  chown: ["const char *path", "uid_t user", "gid_t group"],
  lchown: ["const char *path", "uid_t user", "gid_t group"],
  fchown: ["unsigned int fd", "uid_t user", "gid_t group"],
  fchownat: ["int dfd", "const char *path", "uid_t user", "gid_t group", "int flag"],
  umask: ["int mask"],
  mount: [
    "const char *source",
    "const char *target",
    "const char *type",
    "unsigned long flags",
    "const void *data",
  ],
  umount: ["const char *target", "int flags"],
  kill: ["pid_t pid", "int sig"],
  tkill: ["pid_t pid", "int sig"],
  tgkill: ["pid_t tgid", "pid_t pid", "int sig"],
  delete_module: ["const char *name", "unsigned int flags"],
  init_module: ["const void *module", "unsigned long length", "const char *arguments"],
  finit_module: ["int fd", "const char *arguments", "int flags"],
  memfd_create: ["const char *name", "unsigned int flags"],
  sethostname: ["const char *name", "int length"],
  setdomainname: ["const char *name", "int length"],
  acct: ["const char *path"],
  swapon: ["const char *path", "int flags"],
  swapoff: ["const char *path"],
  bpf: ["int cmd", "const void *attr", "unsigned int size"],
  socket: ["int family", "int type", "int protocol"],
  connect: ["int fd", "const void *address", "int length"],
  bind: ["int fd", "const void *address", "int length"],
  listen: ["int fd", "int backlog"],
  getuid: [],
  geteuid: [],
  getgid: [],
  getegid: [],
  getpid: [],
  getppid: [],
  fork: [],
  vfork: [],
};

/** What a probe is attached to. */
interface Target {
  name: string;
  syscall: boolean;
  lsm?: boolean;
  rawTracepoint?: boolean;
}

/** Prefixes of functions of which all are recorded: one that is not there is in none of the kernels. */
const COMPLETE = /^(security_\w+|__sys_set(re|res|fs)?[ug]id)$/;

/** Parameters of a system call; undefined where they are not known. */
export function parametersOf(name: string): string[] | undefined {
  const key = bareName(name);
  return Object.hasOwn(SYSCALLS, key) ? SYSCALLS[key] : undefined;
}

/** `setuid(uid_t uid)`. */
export function prototypeOf(name: string): string {
  return `${bareName(name)}(${parametersOf(name)?.join(", ") ?? "..."})`;
}

/** The prototypes of a function, LSM hook or raw tracepoint in the recorded kernels; empty if none has it. */
export function recordedPrototypes({
  name,
  lsm = false,
  rawTracepoint = false,
}: Target): readonly Prototype[] {
  const ofFunctions = rawTracepoint ? TRACEPOINT_PROTOTYPES : FUNCTION_PROTOTYPES;
  const table = lsm ? LSM_PROTOTYPES : ofFunctions;
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

/** `in the kernels 5.10 and 6.1`. */
export function inKernels(bits: number): string {
  const isOne = (bits & (bits - 1)) === 0;
  return `in the kernel${isOne ? "" : "s"} ${kernelNames(bits)}`;
}

/** Every recorded kernel. */
export const ALL_KERNELS = (1 << RECORDED_KERNELS.length) - 1;

/**
 * What is to be said of a name before a node looks it up: that it is misspelt, or in some or none of the recorded
 * kernels. Undefined where nothing is known against it.
 */
export function nameDoubt(target: Target): string | undefined {
  const { name, syscall, lsm = false } = target;
  if (syscall) {
    const call = bareName(name);
    const own = functionOfSyscall(call);
    if (own !== call) return `is not the function that 64-bit programs reach by this call: write sys_${own}`;
    if (isFunctionOfSyscall(call)) return undefined;
    if (isOf32BitOnly(call)) return only32(call);
    const hint = syscallHint(name);
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

/** Calls whose function in the kernel has another name, which is also that of their trace events. */
const FUNCTION_NAMES: Readonly<Record<string, string>> = {
  stat: "newstat",
  lstat: "newlstat",
  fstat: "newfstat",
  uname: "newuname",
  umount2: "umount",
  sendfile: "sendfile64",
};

/** `newstat` for stat: what a hook of the call is attached to, without `sys_`. A function of the first name may exist too. */
export function functionOfSyscall(name: string): string {
  return Object.hasOwn(FUNCTION_NAMES, name) ? (FUNCTION_NAMES[name] ?? name) : name;
}

/** Whether hooks and trace events of a system call have this name, without `sys_`. */
export function isFunctionOfSyscall(name: string): boolean {
  if (Object.hasOwn(FUNCTION_NAMES, name)) return false;
  return isSyscall(name) || Object.values(FUNCTION_NAMES).includes(name);
}

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
  if (isSyscall(bareName(name))) return "";
  return didYouMean(
    name,
    SYSCALL_NAMES.map((known) => `sys_${known}`),
  );
}
