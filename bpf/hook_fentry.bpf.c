// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Template of hooks that a trampoline calls: parameters have the types of the prototype. fentry, fmod_ret, LSM hooks and
 * typed raw tracepoints use it, as their contexts have one layout.
 */
#define PARAMETER_OFFSET(index) ((index) * 8)
#define TYPED_PARAMETERS 1
#define PROGRAM_FRAMES 2 /* the program, and the trampoline or bpf_trace_run */
#include "engine.h"

/* As wide as the register: an error that replaces what a system call returns is a long. */
SEC("fentry")
long hook_fentry(void *context)
{
	return run_hook(context, hook_config.flags & (HOOK_RETURN | HOOK_HASH) ? LOW_HALF(context) : 0);
}
