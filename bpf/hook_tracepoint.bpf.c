// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Template of hooks on trace events: parameters are fields of the event. */
#define PARAMETER_OFFSET(index) ((index) * 8)
#define TYPED_PARAMETERS 0
#define FIELD_PARAMETERS
#include "engine.h"

SEC("tp")
int hook_tracepoint(void *context)
{
	run_hook(context, 0);
	return 0;
}
