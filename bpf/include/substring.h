/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Whether a string contains one of a filter's substrings. An automaton, built by agent/hooks/config/automata.ts, finds any
 * of them in one pass with one step per byte. hook_automata has, from byte `first` on, the class of each byte, and then a
 * row for each state with an entry for each class. An entry is the byte of hook_automata at which the next state's row
 * begins; AUTOMATON_FOUND is set if a substring ends there. All classes of that state lead back to it. With `count` the
 * filter is on whole strings, with their NUL; their automata, and those of long beginnings, find at the start only.
 */
#ifndef TRIGON_SUBSTRING_H
#define TRIGON_SUBSTRING_H

#include "maps.h"

#define BYTES_AT_ONCE 16

/* The next entry for a byte, in seven instructions: the compiler's order of the additions needs nine. */
static __always_inline __u64 next_entry(__u64 entry, __u64 byte, __u64 table, __u64 classes, __u64 mask)
{
	OPAQUE(byte);
	byte += classes;
	OPAQUE(byte);
	byte = *(const volatile __u8 *)byte * ENTRY_BYTES;
	byte = (byte + entry) & mask;
	OPAQUE(byte);
	byte += table;
	OPAQUE(byte);
	return *(const volatile __u32 *)byte;
}

/* Reads are volatile: the compiler would read many bytes ahead and keep them on the stack. */
static __always_inline void search_some(struct text_scratch *scratch, __u64 table, __u64 classes, __u64 mask)
{
	volatile struct text_search *search = &scratch->search;
	__u64 at = search->at, entry = search->entry, k;
	const volatile char *text = scratch->path.bytes + (at & (PATH_BYTES - 1));

#pragma unroll
	for (k = 0; k < BYTES_AT_ONCE; k++)
		entry = next_entry(entry, (__u8)text[k], table, classes, mask);
	search->entry = entry;
	search->at = at + BYTES_AT_ONCE;
}

/* Searches path.bytes from `search->at` to `search->end`; the bytes behind are overwritten. */
static __always_inline bool search_text(struct text_scratch *scratch, const volatile struct filter_config *filter)
{
	__u64 first = filter->first, mask = hook_config.automata_mask, i;
	volatile struct text_search *search = &scratch->search;
	const char *table;
	__u32 zero = 0;

	table = bpf_map_lookup_elem(&hook_automata, &zero);
	if (!table || search->at >= search->end)
		return false;
	/* Zeros match no substring. The mask proves to the verifier, without a branch, that they begin at 1 to PATH_BYTES. */
	__builtin_memset(scratch->path.bytes + ((search->end - 1) & (PATH_BYTES - 1)) + 1, 0, BYTES_AT_ONCE);
	search->entry = first + CLASS_BYTES;
	/*
	 * Some bytes before the loop: the verifier then saves its state at the test, and follows the loop once for all paths
	 * that lead there. It soon drops states within a loop, and saves none within a hundred instructions of another.
	 */
	search_some(scratch, (__u64)table, (__u64)table + first, mask);
	if (search->at < search->end) {
		NOT_UNROLLED
		for (i = BYTES_AT_ONCE; i < PATH_BYTES; i += BYTES_AT_ONCE) {
			if (search->at >= search->end)
				break;
			search_some(scratch, (__u64)table, (__u64)table + first, mask);
		}
	}
	if (filter->count) /* the NUL after the last byte, in case that the last block ended with that byte */
		search->entry = next_entry(search->entry, 0, (__u64)table, (__u64)table + first, mask);
	return search->entry & AUTOMATON_FOUND;
}

#endif
