/** Calls that 32-bit programs make by others, with other arguments: hooks of the call do not see these programs. */
import type { HookDef } from "../../crds/hook-spec.ts";
import { multiplexerOf, otherArguments32, seesEverySyscall } from "../../crds/syscall-abis.ts";
import { bareName } from "../../crds/syscall-table.ts";
import type { Problems } from "../problems.ts";
import { byCall } from "./by-call.ts";

/** Security functions that every caller passes, by the call. */
const SEES_ALL = byCall({
  security_socket_bind: "bind",
  security_socket_connect: "connect",
  security_socket_listen: "listen",
  security_socket_getsockname: "getsockname",
  security_socket_getpeername: "getpeername",
  security_socket_socketpair: "socketpair",
  security_socket_shutdown: "shutdown",
  security_socket_setsockopt: "setsockopt",
  security_socket_getsockopt: "getsockopt",
  security_socket_create: "socket",
  security_socket_accept: "accept accept4",
  security_socket_sendmsg: "sendto sendmsg sendmmsg",
  security_socket_recvmsg: "recvfrom recvmsg recvmmsg",
  security_sem_semop: "semop semtimedop",
  security_sem_semctl: "semctl",
  security_msg_queue_msgsnd: "msgsnd",
  security_msg_queue_msgrcv: "msgrcv",
  security_msg_queue_msgctl: "msgctl",
  security_shm_shmat: "shmat",
  security_shm_shmctl: "shmctl",
  security_mmap_file: "mmap",
  security_path_truncate: "truncate",
  security_sb_statfs: "statfs fstatfs",
  security_file_permission: "pread64 pwrite64 fallocate",
  security_task_alloc: "clone",
});

/** Warns where hooks that name calls leave out 32-bit programs on x86-64, with the function that sees them. */
export function warnOfCallsOf32Bit(hooks: readonly HookDef[], problems: Problems): void {
  const named = hooks.filter(({ syscall, call }) => syscall && otherArguments32(bareName(call)).length > 0);
  if (named.length > MOST_NAMED) return; // a list of every call, which has a warning of its own
  for (const [path, group] of Map.groupBy(named, (hook) => hook.path)) {
    const at = path.startsWith("spec.enforcers") ? path : `${path}.call`; // its calls stand in a list
    const calls = group.map(({ call }) => bareName(call));
    if (calls.length > MOST) problems.warn(at, many(calls));
    else for (const call of calls) problems.warn(at, one(call));
  }
  for (const hook of hooks) if (seesEverySyscall(hook)) warnOfFilters(hook, problems);
}

/** More are no choice of the policy's author. */
const MOST_NAMED = 40;
/** Calls of one probe that are named each with its advice. */
const MOST = 5;

function one(call: string): string {
  const instead = SEES_ALL.get(call);
  const advice = instead === undefined ? "" : `: ${instead} under kprobes sees all callers`;
  return `leaves out 32-bit programs on x86-64 that make ${call} by ${otherArguments32(call).join(" or ")}, with other arguments${advice}`;
}

function many(calls: readonly string[]): string {
  const shown = calls.slice(0, MOST).join(", ");
  return `leaves out 32-bit programs on x86-64 that make ${shown} or ${calls.length - MOST} more by calls with other arguments, such as socketcall: hook the functions behind them, such as security_socket_connect`;
}

/** A list of names stands for the numbers of these calls in each ABI, and one call has the number of another. */
function warnOfFilters({ selectors, path }: HookDef, problems: Problems): void {
  for (const [index, { filters }] of selectors.entries()) {
    const names = filters.flatMap((filter) => ("syscalls" in filter ? (filter.syscalls ?? []) : []));
    const multiplexers = [...new Set(names.flatMap((name) => multiplexerOf(name) ?? []))];
    if (multiplexers.length === 0) continue;
    problems.warn(
      `${path}.selectors[${index}]`,
      `leaves out 32-bit programs on x86-64 that make such a call by ${multiplexers.join(" or ")}`,
    );
  }
}
