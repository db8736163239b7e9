/** Signals that end a process when what it does cannot be stopped by that any more. */
import type { ActionDef, HookDef } from "../../crds/hook-spec.ts";
import { bareName } from "../../crds/syscall-table.ts";
import type { Problems } from "../problems.ts";

const SIGKILL = 9;

const ENDING: ReadonlySet<string> = new Set([
  "sys_exit",
  "sys_exit_group",
  "do_exit",
  "do_group_exit",
  "exit_creds",
  "sched/sched_process_exit",
  "syscalls/sys_enter_exit",
  "syscalls/sys_enter_exit_group",
]);

/** System calls whose effect outlives the caller. */
const LASTING: ReadonlySet<string> = new Set(
  [
    "mount umount move_mount pivot_root swapon swapoff",
    "init_module finit_module delete_module kexec_load kexec_file_load reboot bpf",
    "ptrace process_vm_writev kill tkill tgkill rt_sigqueueinfo pidfd_send_signal",
    "chmod fchmod fchmodat fchmodat2 chown lchown fchown fchownat setxattr lsetxattr fsetxattr",
    "removexattr lremovexattr fremovexattr unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat",
    "mkdir mkdirat rmdir mknod mknodat truncate ftruncate write pwrite64 writev pwritev sendto sendmsg",
    "sethostname setdomainname settimeofday clock_settime adjtimex clock_adjtime add_key keyctl",
  ].flatMap((names) => names.split(" ")),
);

/** Warns of a Sigkill that does not keep the call from happening. */
export function warnOfLateSignals(hook: HookDef, problems: Problems): void {
  for (const [index, { actions, returnActions = [] }] of hook.selectors.entries()) {
    const path = `${hook.path}.selectors[${index}]`;
    warnOfSignal(hook, actions, `${path}.matchActions`, problems);
    warnOfSignal(hook, returnActions, `${path}.matchReturnActions`, problems);
  }
}

function warnOfSignal(hook: HookDef, actions: readonly ActionDef[], path: string, problems: Problems): void {
  const position = actions.findIndex(isKill);
  if (position < 0) return;
  const at = `${path}[${position}].action`;
  const name = actions[position]?.action;
  if (ENDING.has(hook.call)) {
    problems.warn(at, `${name} is too late at ${hook.call}: the process ends anyway`);
  } else if (isLasting(hook) && !actions.some(({ action }) => action === "Override")) {
    problems.warn(
      at,
      `${name} ends the caller, but ${hook.call} may still be carried out: write Override before it under kprobes, which keeps the call from being made`,
    );
  }
}

function isKill(action: ActionDef): boolean {
  return action.action === "Sigkill" || (action.action === "Signal" && action.signal === SIGKILL);
}

function isLasting({ call, syscall, tracepoint }: HookDef): boolean {
  if (syscall) return LASTING.has(bareName(call));
  if (tracepoint?.subsystem !== "syscalls") return false;
  return LASTING.has(tracepoint.event.replace(/^sys_(enter|exit)_/, ""));
}
