/** Prototypes that never change, so that an argument beyond them is found before a node reads a register at random. */
import { didYouMean } from "./suggest.ts";

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

/** Kernel functions whose parameters are the same in every kernel that Trigon runs on. */
const FUNCTIONS: Record<string, string[]> = {
  commit_creds: ["struct cred *new"],
  override_creds: ["const struct cred *new"],
  revert_creds: ["const struct cred *old"],
  create_user_ns: ["struct cred *new"],
  ...Object.fromEntries(
    ["setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid"].map(
      (name) => [`__sys_${name}`, SYSCALLS[name] ?? []],
    ),
  ),
};

/** Parameters of a function or system call as it is called in hook specs; undefined where they are not known. */
export function parametersOf(call: string, syscall: boolean): string[] | undefined {
  const [table, name] = syscall ? [SYSCALLS, call.replace(/^sys_/, "")] : [FUNCTIONS, call];
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** `setuid(uid_t uid)`. */
export function prototypeOf(call: string, syscall: boolean): string {
  return `${call.replace(/^sys_/, "")}(${parametersOf(call, syscall)?.join(", ") ?? "..."})`;
}

/** A hint for a name that is nearly one of the known ones: a misspelt function otherwise fails on every node. */
export function functionHint(call: string, syscall: boolean): string {
  if (parametersOf(call, syscall)) return "";
  const names = syscall ? Object.keys(SYSCALLS).map((name) => `sys_${name}`) : Object.keys(FUNCTIONS);
  return didYouMean(call, names);
}
