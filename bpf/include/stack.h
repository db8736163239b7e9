/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Stack traces: a slot of addresses, innermost first. */
#ifndef TRIGON_STACK_H
#define TRIGON_STACK_H

#include "values.h"

#define STACK_BYTES (STACK_FRAMES * sizeof(__u64))

/*
 * Innermost frames of a kernel stack that are ours: this program, and what called it. A kprobe has the registers of the
 * function, a trace event those of the code that it is in, so their stacks begin there.
 */
#ifdef PROGRAM_FRAMES
#define SKIPPED_FRAMES PROGRAM_FRAMES
#else
#define SKIPPED_FRAMES 0
#endif

/* Returns the size of the slot with its addresses. A failed one has the error's number as its depth. */
static __always_inline __u32 write_stack(void *context, __u64 flags, struct arg_slot *slot)
{
	__u64 skipped = flags & BPF_F_USER_STACK ? 0 : SKIPPED_FRAMES;
	long size = bpf_get_stack(context, (char *)slot + SLOT_BYTES, STACK_BYTES, flags | skipped);
	__u64 used = size > 0 ? at_most(size, STACK_BYTES) & ~7ULL : 0;

	slot->status = size < 0 ? ARG_READ_FAILED : ARG_OK;
	slot->depth = size < 0 ? -size : 0;
	slot->room = used;
	slot->size = used;
	return SLOT_BYTES + used;
}

#endif
