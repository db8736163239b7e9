// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Template of kprobes at the entry of a kernel function: parameters are registers. */
#include "registers.h"

#define PARAMETER_OFFSET FUNCTION_PARAMETER
#define TYPED_PARAMETERS 0
#include "engine.h"

SEC("kprobe")
int hook_kprobe(struct pt_regs *context)
{
	int error = run_hook(context, PT_REGS_SP(context));

	if (error)
		bpf_override_return(context, error);
	return 0;
}
