/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Does a text contain one of a filter's? An automaton that user space has built (agent/hooks/config/automata.ts) finds all of
 * them in one pass, with one step per byte. In hook_automata stand, from byte `first` on: the class of each byte; then a
 * row for each state, with an entry for each class: at which byte of hook_automata the row of the next state begins, and
 * AUTOMATON_FOUND where that is one in which a text has ended. From there all classes lead back to it.
 */
#ifndef TRIGON_SUBSTRING_H
#define TRIGON_SUBSTRING_H

#include "maps.h"

#define BYTES_AT_ONCE 16

/* The entry that follows for a byte, in seven instructions: the compiler's own order of the sums takes nine. */
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

/* What it reads is volatile: the compiler would read many bytes ahead and keep them on the stack. */
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

/* Searches what `search` says of path.bytes; what stands behind it is overwritten. */
static __always_inline bool search_text(struct text_scratch *scratch, const volatile struct filter_config *filter)
{
	__u64 first = filter->first, mask = hook_config.automata_mask, i;
	volatile struct text_search *search = &scratch->search;
	const char *table;
	__u32 zero = 0;

	table = bpf_map_lookup_elem(&hook_automata, &zero);
	if (!table || search->at >= search->end)
		return false;
	/* Zeros lead nowhere. That they begin at 1 to PATH_BYTES, the verifier sees without a branch that it would follow. */
	__builtin_memset(scratch->path.bytes + ((search->end - 1) & (PATH_BYTES - 1)) + 1, 0, BYTES_AT_ONCE);
	search->entry = first + CLASS_BYTES;
	/*
	 * Some before the loop: the verifier then keeps its state at the test, and follows the loop once for all ways to get
	 * there. States within a loop it soon drops, and it keeps none where less than a hundred instructions lie between.
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
	return search->entry & AUTOMATON_FOUND;
}

#endif
