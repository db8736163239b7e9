// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Template of hooks at the entry of a kernel function, by breakpoint: parameters are registers. */
#include "maps.h"

#define PARAMETER_OFFSET(index)             \
	((index) == 0   ? REGISTER(di) \
	 : (index) == 1 ? REGISTER(si) \
	 : (index) == 2 ? REGISTER(dx) \
	 : (index) == 3 ? REGISTER(cx) \
			: REGISTER(r8))
#define TYPED_PARAMETERS 0
#include "engine.h"

SEC("kprobe")
int hook_kprobe(void *context)
{
	return run_hook(context);
}
