// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Template of hooks at the entry of a kernel function, by trampoline: parameters have the types of its prototype. */
#define PARAMETER_OFFSET(index) ((index) * 8)
#define TYPED_PARAMETERS 1
#include "engine.h"

SEC("fentry")
int hook_fentry(void *context)
{
	return run_hook(context);
}
