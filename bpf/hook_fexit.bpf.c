// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Template of the second half of hook_fentry: the trampoline's context is the one that it had at entry. */
#include "exit.h"

static __always_inline __u64 return_value(void *context)
{
	__u64 value;

	/* The parameters come first. */
	if (hook_config.parameters == 6)
		value = LOAD_AT(context, 6 * 8);
	else
		value = LOAD_BY_INDEX(context, hook_config.parameters, PARAMETER_OFFSET);
	return value;
}

SEC("fexit")
int hook_fexit(void *context)
{
	return run_exit(LOW_HALF(context), return_value(context));
}
