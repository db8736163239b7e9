// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Reads a variable of the kernel by its name. Its address never leaves the kernel. */
#include "core.h"

static const char MODE[] = "preempt_dynamic_mode";

/* A loop over constants, because a clone of a template has no data section for the name. */
static __always_inline bool is_mode(const char *name)
{
#pragma unroll
	for (int i = 0; i < (int)sizeof(MODE); i++)
		if (name[i] != MODE[i])
			return false;
	return true;
}

/* Writes preempt_dynamic_mode of kernel/sched/core.c, an int, if the kernel has it. The target exists since 6.0. */
SEC("iter")
int read_preemption(struct bpf_iter__ksym *ctx)
{
	struct kallsym_iter *symbol = ctx->ksym;
	__s32 mode;

	if (!symbol || !is_mode(symbol->name))
		return 0;
	if (!bpf_probe_read_kernel(&mode, sizeof(mode), (const void *)symbol->value))
		bpf_seq_write(ctx->meta->seq, &mode, sizeof(mode));
	return 0;
}
