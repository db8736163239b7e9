/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Calls in flight, from entry to return: their keys, and the values that are read at return. */
#ifndef TRIGON_CALLS_H
#define TRIGON_CALLS_H

#include "values.h"

static __always_inline struct call_key call_key(__u32 frame)
{
	struct call_key key = {.task = bpf_get_current_task()};

	if (!(hook_config.flags & HOOK_SYSCALL))
		key.frame = frame;
	return key;
}

/* `parameter` is a constant to the verifier. */
static __always_inline void keep_parameter(void *context, struct call_head *call, __u8 parameter)
{
	if (parameter < MAX_ARGS)
		read_parameter(context, parameter, &call->parameter[parameter]);
}

/* Sets a slot aside for a value that is read at return, and keeps what it is read from. */
static __always_inline __u32 reserve_late(struct call_head *call, __u32 arg, __u32 at)
{
	struct arg_slot *slot = (struct arg_slot *)((char *)(call + 1) + at);
	__u16 room = hook_config.late[arg].room;

	call->slot[arg] = at;
	slot->status = ARG_READ_FAILED;
	slot->depth = 0;
	slot->room = room;
	slot->size = 0;
	bpf_probe_read_kernel((char *)slot + SLOT_BYTES, room,
			      NULL); /* this read fails, which fills the room with zeros */
	return SLOT_BYTES + room;
}

/* Fills the slot. Its room stays as large as it was set aside. */
static __always_inline void write_late(struct call_head *call, __u32 arg)
{
	__u64 at = at_most(call->slot[arg], hook_config.late[arg].limit);
	struct arg_slot *slot = (struct arg_slot *)((char *)(call + 1) + at);

	write_argument(call->parameter, arg, slot);
	slot->room = hook_config.late[arg].room;
}

#endif
