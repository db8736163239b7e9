/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Wake-ups of the ring's reader. */
#ifndef TRIGON_RING_H
#define TRIGON_RING_H

#include "maps.h"

#define WAKE_UP_BYTES (64 << 10)
#define LEVEL_BYTES (8 << 10)

/* True for the first record that finds the reader asleep: the wake-up that it asks for is the only one. */
static __always_inline bool is_first_in_sleep(void)
{
	if (!reader_sleeps)
		return false;
	reader_sleeps = 0;
	return true;
}

/*
 * A wake-up per record costs more than the record. While records keep coming the reader polls, and only a filling ring
 * wakes it. When it is about to sleep it says so and waits for the programs that run (an RCU grace period): each program
 * that posts later sees it here, so no barrier is needed. A program that began before it said so may reset the flag; then
 * its own record keeps the reader awake.
 */
static __always_inline __u64 wake_up_flags(bool is_filling)
{
#ifdef TRIGON_SLEEPABLE
	/* The grace period does not wait for programs that may sleep. */
	return BPF_RB_FORCE_WAKEUP;
#endif
	return is_filling || is_first_in_sleep() ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

static __always_inline bool is_ring_filling(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= WAKE_UP_BYTES;
}

/* Submits a record of `size` bytes. Only one that lies across a multiple of LEVEL_BYTES looks how full the ring is. */
static __always_inline void submit(void *record, __u64 size)
{
	bool looks = (LOW_HALF(record) & (LEVEL_BYTES - 1ULL)) + size >= LEVEL_BYTES;

	bpf_ringbuf_submit(record, wake_up_flags(looks && is_ring_filling()));
}

/* Copies a record to the ring; false if there is no room. */
static __always_inline bool copy_to_ring(void *record, __u64 size)
{
	return !bpf_ringbuf_output(&events, record, size, wake_up_flags(is_ring_filling()));
}

#endif
