// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Template of hooks on raw tracepoints whose parameter types are not in BTF. */
#define PARAMETER_OFFSET(index) ((index) * 8)
#define TYPED_PARAMETERS 0
#define PROGRAM_FRAMES 2 /* the program and bpf_trace_run */
#include "engine.h"

SEC("raw_tp")
int hook_raw_tracepoint(void *context)
{
	run_hook(context, 0);
	return 0;
}
