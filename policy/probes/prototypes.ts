/** Prototypes that never change, so that an argument beyond them is found before a node reads a register at random. */
import { didYouMean } from "../suggest.ts";
import { isSyscall, SYSCALL_NAMES } from "./syscall-table.ts";

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

/** LSM hooks around credentials. */
const LSM_HOOKS: Record<string, string[]> = {
  capset: [
    "struct cred *new",
    "const struct cred *old",
    "const kernel_cap_t *effective",
    "const kernel_cap_t *inheritable",
    "const kernel_cap_t *permitted",
  ],
  capget: [
    "struct task_struct *target",
    "kernel_cap_t *effective",
    "kernel_cap_t *inheritable",
    "kernel_cap_t *permitted",
  ],
  capable: ["const struct cred *cred", "struct user_namespace *ns", "int cap", "unsigned int opts"],
  task_fix_setuid: ["struct cred *new", "const struct cred *old", "int flags"],
  task_fix_setgid: ["struct cred *new", "const struct cred *old", "int flags"],
  task_fix_setgroups: ["struct cred *new", "const struct cred *old"],
  userns_create: ["const struct cred *cred"],
  bprm_check_security: ["struct linux_binprm *bprm"],
  bprm_creds_for_exec: ["struct linux_binprm *bprm"],
  bprm_creds_from_file: ["struct linux_binprm *bprm", "struct file *file"],
  bprm_committing_creds: ["struct linux_binprm *bprm"],
  bprm_committed_creds: ["struct linux_binprm *bprm"],
};

/** Functions that call an LSM hook with their own parameters; the others are called security_ and the hook's name. */
const LSM_FUNCTIONS: Record<string, string> = {
  userns_create: "security_create_user_ns",
  bprm_check_security: "security_bprm_check",
};

/** Kernel functions whose parameters are the same in every kernel that Trigon runs on. */
const FUNCTIONS: Record<string, string[]> = {
  commit_creds: ["struct cred *new"],
  override_creds: ["const struct cred *new"],
  revert_creds: ["const struct cred *old"],
  create_user_ns: ["struct cred *new"],
  ...Object.fromEntries(
    Object.entries(LSM_HOOKS).map(([hook, parameters]) => [
      LSM_FUNCTIONS[hook] ?? `security_${hook}`,
      parameters,
    ]),
  ),
  ...Object.fromEntries(
    ["setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid"].map(
      (name) => [`__sys_${name}`, SYSCALLS[name] ?? []],
    ),
  ),
};

/** What a probe is attached to. */
interface Target {
  name: string;
  syscall: boolean;
  lsm?: boolean;
}

/** Parameters of a function, system call or LSM hook as it is called in hook specs; undefined where they are not known. */
export function parametersOf({ name, syscall, lsm = false }: Target): string[] | undefined {
  const table = lsm ? LSM_HOOKS : syscall ? SYSCALLS : FUNCTIONS;
  const key = syscall ? name.replace(/^sys_/, "") : name;
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** `setuid(uid_t uid)`. */
export function prototypeOf(target: Target): string {
  return `${target.name.replace(/^sys_/, "")}(${parametersOf(target)?.join(", ") ?? "..."})`;
}

/** A hint for a name that is nearly one of the known ones: a misspelt function otherwise fails on every node. */
export function functionHint(name: string, syscall: boolean): string {
  if (parametersOf({ name, syscall }) || (syscall && isSyscall(name.replace(/^sys_/, "")))) return "";
  const names = syscall ? SYSCALL_NAMES.map((known) => `sys_${known}`) : Object.keys(FUNCTIONS);
  return didYouMean(name, names);
}

/** The same for the name of an LSM hook. */
export function lsmHint(name: string): string {
  return Object.hasOwn(LSM_HOOKS, name) ? "" : didYouMean(name, Object.keys(LSM_HOOKS));
}
