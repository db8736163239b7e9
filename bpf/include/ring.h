/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Wake-ups of the ring's reader. */
#ifndef TRIGON_RING_H
#define TRIGON_RING_H

#include "maps.h"

#define WAKE_UP_BYTES (64 << 10)

/* True for the first record that finds the reader asleep: the wake-up that it asks for is the only one. */
static __always_inline bool is_first_in_sleep(void)
{
	__u32 key = 0;
	volatile __u32 *sleeps = bpf_map_lookup_elem(&reader_sleeps, &key);

	if (!sleeps || !*sleeps)
		return false;
	*sleeps = 0;
	return true;
}

/*
 * A wake-up per record costs more than the record. While records keep coming the reader polls, and only a filling ring
 * wakes it. When it is about to sleep it says so and waits for the programs that run (an RCU grace period): each program
 * that posts later sees it here, so no barrier is needed. A program that began before it said so may reset the flag; then
 * its own record keeps the reader awake.
 */
static __always_inline __u64 wake_up_flags(void)
{
#ifdef TRIGON_SLEEPABLE
	/* The grace period does not wait for programs that may sleep. */
	return BPF_RB_FORCE_WAKEUP;
#endif
	if (is_first_in_sleep() || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= WAKE_UP_BYTES)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

#endif
