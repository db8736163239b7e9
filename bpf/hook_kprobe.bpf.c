// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Template of hooks at the entry of a kernel function, by breakpoint: parameters are registers. */
#include "maps.h"

#define PARAMETER_OFFSET(index)        \
	((index) == 0   ? REGISTER(di) \
	 : (index) == 1 ? REGISTER(si) \
	 : (index) == 2 ? REGISTER(dx) \
	 : (index) == 3 ? REGISTER(cx) \
	 : (index) == 4 ? REGISTER(r8) \
			: REGISTER(r9))
#define TYPED_PARAMETERS 0
#include "engine.h"

SEC("kprobe")
int hook_kprobe(struct pt_regs *context)
{
	int error = run_hook(context, context->sp);

	if (error)
		bpf_override_return(context, error);
	return 0;
}
