/** Override of system calls, which most kernels leave out. */
import type { HookDef } from "../../crds/hook-spec.ts";
import { bareName } from "../../crds/syscall-table.ts";
import type { Problems } from "../problems.ts";
import { byCall } from "./by-call.ts";

/** Functions on the way of a system call that every kernel with BPF lets a program refuse, by the call. */
const REFUSABLE = byCall({
  security_task_fix_setuid: "setuid setreuid setresuid",
  security_task_fix_setgid: "setgid setregid setresgid",
  security_capset: "capset",
  security_task_prctl: "prctl",
  security_task_kill: "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal",
  security_task_setpgid: "setpgid",
  security_ptrace_access_check: "ptrace process_vm_readv process_vm_writev",
  security_bprm_check: "execve execveat",
  security_file_open: "open openat openat2 creat",
  security_sb_mount: "mount",
  security_sb_umount: "umount umount2",
  security_sb_pivotroot: "pivot_root",
  security_bpf: "bpf",
  security_kernel_load_data: "init_module",
  security_kernel_read_file: "finit_module",
  security_socket_create: "socket socketpair",
  security_socket_bind: "bind",
  security_socket_connect: "connect",
  security_socket_listen: "listen",
});

/** Warns of an Override that many nodes cannot do, with the function that does the same there. */
export function warnOfOverriddenCalls(hook: HookDef, problems: Problems): void {
  if (!hook.syscall) return;
  const index = hook.selectors.findIndex(({ actions }) =>
    actions.some(({ action }) => action === "Override"),
  );
  if (index < 0) return;
  const name = bareName(hook.call);
  const instead = REFUSABLE.get(name);
  const advice = instead === undefined ? "" : `: ${instead} under kprobes can be overridden on all`;
  const isOfEnforcer = hook.path.startsWith("spec.enforcers"); // its selectors are those of a tracepoint
  problems.warn(
    isOfEnforcer ? hook.path : `${hook.path}.selectors[${index}].matchActions`,
    `Override of a system call needs Linux 7.0 or a kernel with CONFIG_BPF_KPROBE_OVERRIDE, which Debian's are built without${advice}`,
  );
}
