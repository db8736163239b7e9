/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The slot of a file's hash, which stands last in its record: set aside here, filled in by hook_ima. */
#ifndef TRIGON_HASH_H
#define TRIGON_HASH_H

#include "maps.h"

#define HASH_SLOT_BYTES (sizeof(struct arg_slot) + sizeof(struct hash_value))

/* Returns the bytes used. */
static __always_inline __u32 reserve_hash(struct call_head *call, __u32 at)
{
	struct arg_slot *slot = (struct arg_slot *)((char *)(call + 1) + at);

	call->slot[RETURN_ARG] = at;
	slot->status = ARG_READ_FAILED;
	slot->depth = 0;
	slot->room = sizeof(struct hash_value);
	slot->size = sizeof(struct hash_value);
	__builtin_memset(slot + 1, 0, sizeof(struct hash_value));
	return HASH_SLOT_BYTES;
}

#endif
