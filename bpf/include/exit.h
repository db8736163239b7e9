/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The second half of hooks that post when the function returns. It reads parameters from the kept call, where they are
 * numbers, those of system calls included.
 */
#ifndef TRIGON_EXIT_H
#define TRIGON_EXIT_H

#define PARAMETER_OFFSET(index) ((index) * 8)
#define TYPED_PARAMETERS 0
#define PARAMETERS_KEPT 1
#include "engine.h"

/* Compares numbers only: with all of filter_matches() for each selector, jumps would exceed 16 bits. */
static __always_inline bool returned_number_matches(const struct hit *hit, const volatile struct filter_config *filter)
{
	__u64 value;

	return read_argument_number(hit, filter, &value) && in_set(hit, filter, value) != !!filter->negate;
}

static __always_inline bool return_matches(const struct hit *hit, const volatile struct selector_config *selector)
{
	__u32 first = selector->first_return_filter, count = selector->return_filters, i;

	NOT_UNROLLED
	for (i = 0; i < MAX_FILTERS && i < count; i++) {
		if (!returned_number_matches(hit, &hook_config.filter[first + i]))
			return false;
	}
	return true;
}

static __always_inline void write_late_values(struct call_head *call)
{
	__u32 count = hook_config.args, i;

	/* Unrolled: verifiers up to 6.1 report an infinite loop here if the hook has several selectors. */
#pragma unroll
	for (i = 0; i < MAX_ARGS; i++) {
		if (i < count && hook_config.arg[i].flags & VALUE_AT_RETURN)
			write_late(call, i);
	}
	write_late(call, RETURN_ARG);
}

/* `selector` is a constant to the verifier. */
static __always_inline void end_call(const struct hit *hit, struct call_head *call, __u32 selector,
				     struct hook_counters *counters)
{
	struct hook_record *record = (struct hook_record *)(call + 1);
	struct action_stats *actions = &counters->selector[0];

	if (selector != NO_SELECTOR) {
		const volatile struct selector_config *config = &hook_config.selector[selector];
		__u8 action;

		actions = &counters->selector[selector];
		action = send_signal(config->signal_at_return, config->action_at_return,
				     record->header.flags & RECORD_SCOPE_UNDECIDED, counters, actions);
		if (action != ACTION_POST)
			record->action = action;
		if (config->flags & (SELECTOR_NO_POST | SELECTOR_NO_POST_AT_RETURN)) {
			actions->nopost++;
			return;
		}
	}
	record->selector = selector;
	write_late_values(call);
	output_limited(record, call->values_size, at_most(call->size, hook_config.record_size), selector, hit->task,
		       counters, actions);
}

/* A number that is known to the verifier and unknown to the compiler. */
#define KNOWN(number)                                        \
	({                                                   \
		__u64 known;                                 \
		asm volatile("%0 = " #number : "=r"(known)); \
		known;                                       \
	})

static __always_inline bool is_candidate(const struct hit *hit, const struct call_head *call, __u32 selector)
{
	if (selector >= hook_config.selectors || !(call->candidates & 1 << selector))
		return false;
	return return_matches(hit, &hook_config.selector[selector]);
}

/* The first selector that matched at entry and matches now. The verifier checks each possible result separately. */
static __always_inline __u32 choose_at_return(const struct hit *hit, const struct call_head *call)
{
	if (!hook_config.selectors)
		return NO_SELECTOR;
	if (is_candidate(hit, call, 0))
		return KNOWN(0);
	if (is_candidate(hit, call, 1))
		return KNOWN(1);
	if (is_candidate(hit, call, 2))
		return KNOWN(2);
	if (is_candidate(hit, call, 3))
		return KNOWN(3);
	if (is_candidate(hit, call, 4))
		return KNOWN(4);
	return NO_MATCH;
}
_Static_assert(MAX_SELECTORS == 5, "choose_at_return() lists them");

static __always_inline int run_exit(__u32 frame, __u64 returned)
{
	struct hook_counters *counters = hook_counters();
	struct call_key key = call_key(frame);
	struct call_head *call = bpf_map_lookup_elem(&hook_calls, &key);
	struct hit hit = {.task = current_task()};
	__u32 selector;

	if (!call || !counters) /* filtered out at entry, or entered before the hook was attached */
		return 0;
	call->parameter[RETURN_ARG] = returned;
	hit.context = call->parameter;
	hit.nothing = counters->hook.hits >> 63;
	selector = choose_at_return(&hit, call);
	if (selector != NO_MATCH)
		end_call(&hit, call, selector, counters);
	bpf_map_delete_elem(&hook_calls, &key);
	return 0;
}

#endif
