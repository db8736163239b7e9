/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Wake-ups of the ring's reader. */
#ifndef TRIGON_RING_H
#define TRIGON_RING_H

#include "maps.h"

#define WAKE_UP_BYTES (64 << 10)

/* The reader polls: a wake-up per record costs more than the record. Only a filling ring wakes it. */
static __always_inline __u64 wake_up_flags(void)
{
	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= WAKE_UP_BYTES)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

#endif
