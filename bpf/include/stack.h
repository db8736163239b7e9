/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Stack traces: a slot of addresses, innermost first. */
#ifndef TRIGON_STACK_H
#define TRIGON_STACK_H

#include "values.h"

#define STACK_BYTES (STACK_FRAMES * sizeof(__u64))

/* Returns the size of the slot with its addresses. */
static __always_inline __u32 write_stack(void *context, __u64 flags, struct arg_slot *slot)
{
	long size = bpf_get_stack(context, (char *)slot + SLOT_BYTES, STACK_BYTES, flags);
	__u64 used = size > 0 ? at_most(size, STACK_BYTES) & ~7ULL : 0;

	slot->status = size < 0 ? ARG_READ_FAILED : ARG_OK;
	slot->depth = 0;
	slot->room = used;
	slot->size = used;
	return SLOT_BYTES + used;
}

#endif
