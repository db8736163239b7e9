/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Does a text contain one of a filter's? An automaton that user space has built (agent/hooks/automata.ts) finds all of
 * them in one pass, with one step per byte. In hook_automata stand, from entry `first` on: the class of each byte, two
 * to an entry; then a row for each state, with the state that follows for each class, and AUTOMATON_FOUND where that is
 * one in which a text has ended.
 */
#ifndef TRIGON_SUBSTRING_H
#define TRIGON_SUBSTRING_H

#include "maps.h"

#define AUTOMATON_FOUND 32768
#define CLASS_ENTRIES 128
#define BYTES_AT_ONCE 16

/* `text` has MAX_STRING bytes and some more. What stands behind `size` is overwritten. */
static __always_inline bool has_substring(char *text, __u64 size, const volatile struct filter_config *filter)
{
	__u64 classes = filter->count, first = filter->first, mask = hook_config.automata_mask;
	__u64 rows = first + CLASS_ENTRIES, state = 0, found = 0, i, k;
	const __u16 *entries;
	__u32 zero = 0;

	entries = bpf_map_lookup_elem(&hook_automata, &zero);
	if (!entries)
		return false;
	size = at_most(size, MAX_STRING);
	__builtin_memset(text + size, 0, BYTES_AT_ONCE);
	NOT_UNROLLED
	for (i = 0; i < MAX_STRING; i += BYTES_AT_ONCE) {
		/*
		 * The sign of the difference says whether there are bytes left. One test for many bytes and both ends: the
		 * verifier follows each way out. No text has the zeros behind the end in it.
		 */
		__u64 goes_on = (i - size) >> 63 & ~(found / AUTOMATON_FOUND);

		OPAQUE(goes_on);
		if (!(goes_on & 1))
			break;
#pragma unroll
		for (k = 0; k < BYTES_AT_ONCE; k++) {
			__u64 byte = (__u8)text[i + k];
			__u64 class = ((const __u8 *)(entries + first))[byte];
			__u64 entry = entries[(rows + state * classes + class) & mask];

			found |= entry;
			state = entry & (AUTOMATON_FOUND - 1);
		}
	}
	return found & AUTOMATON_FOUND;
}

#endif
