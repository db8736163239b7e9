/** Override of system calls, which most kernels leave out. */
import type { HookDef } from "../../crds/hook-spec.ts";
import type { Problems } from "../problems.ts";

/** Functions on the way of a system call that every kernel with BPF lets a program refuse, by the call. */
const REFUSABLE: Readonly<Record<string, string>> = {
  ...to("security_task_fix_setuid", "setuid setreuid setresuid"),
  ...to("security_task_fix_setgid", "setgid setregid setresgid"),
  ...to("security_capset", "capset"),
  ...to("security_task_prctl", "prctl"),
  ...to("security_task_kill", "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal"),
  ...to("security_task_setpgid", "setpgid"),
  ...to("security_ptrace_access_check", "ptrace process_vm_readv process_vm_writev"),
  ...to("security_bprm_check", "execve execveat"),
  ...to("security_file_open", "open openat openat2 creat"),
  ...to("security_sb_mount", "mount"),
  ...to("security_sb_umount", "umount umount2"),
  ...to("security_sb_pivotroot", "pivot_root"),
  ...to("security_bpf", "bpf"),
  ...to("security_kernel_load_data", "init_module"),
  ...to("security_kernel_read_file", "finit_module"),
  ...to("security_socket_create", "socket socketpair"),
  ...to("security_socket_bind", "bind"),
  ...to("security_socket_connect", "connect"),
  ...to("security_socket_listen", "listen"),
};

function to(name: string, calls: string): Record<string, string> {
  return Object.fromEntries(calls.split(" ").map((call) => [call, name]));
}

/** Warns of an Override that many nodes cannot do, with the function that does the same there. */
export function warnOfOverriddenCalls(hook: HookDef, problems: Problems): void {
  if (!hook.syscall) return;
  const index = hook.selectors.findIndex(({ actions }) =>
    actions.some(({ action }) => action === "Override"),
  );
  if (index < 0) return;
  const name = hook.call.replace(/^sys_/, "");
  const instead = Object.hasOwn(REFUSABLE, name) ? REFUSABLE[name] : undefined;
  const advice = instead === undefined ? "" : `: ${instead} under kprobes can be overridden on all`;
  const isOfEnforcer = hook.path.startsWith("spec.enforcers"); // its selectors are those of a tracepoint
  problems.warn(
    isOfEnforcer ? hook.path : `${hook.path}.selectors[${index}].matchActions`,
    `Override of a system call needs Linux 7.0 or a kernel with CONFIG_BPF_KPROBE_OVERRIDE, which Debian's are built without${advice}`,
  );
}
