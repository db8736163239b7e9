// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Template of the second half of hook_tracepoint on a system call: syscalls/sys_exit_NAME. */
#include "exit.h"

SEC("tp")
int hook_sys_exit(struct trace_event_raw_sys_exit *context)
{
	return run_exit(0, context->ret);
}
