/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The second half of hooks that post when the function returns. What it reads lies in the kept call: parameters are
 * numbers there, also those of system calls.
 */
#ifndef TRIGON_EXIT_H
#define TRIGON_EXIT_H

#define PARAMETER_OFFSET(index) ((index) * 8)
#define TYPED_PARAMETERS 0
#define PARAMETERS_KEPT 1
#include "engine.h"

static __always_inline bool return_matches(const struct hit *hit, const volatile struct selector_config *selector)
{
	__u32 first = selector->first_return_filter, count = selector->return_filters, i;

	NOT_UNROLLED
	for (i = 0; i < MAX_FILTERS && i < count; i++) {
		if (!filter_matches(hit, &hook_config.filter[first + i]))
			return false;
	}
	return true;
}

static __always_inline void write_late_values(struct call_head *call)
{
	__u32 count = hook_config.args, i;

	/* Unrolled: up to 6.1 the verifier takes this loop for endless where the hook has several selectors. */
#pragma unroll
	for (i = 0; i < MAX_ARGS; i++) {
		if (i < count && hook_config.arg[i].flags & VALUE_AT_RETURN)
			write_late(call, i);
	}
	write_late(call, RETURN_ARG);
}

/* `selector` is a constant to the verifier. */
static __always_inline void end_call(struct call_head *call, __u32 selector, struct hook_counters *counters)
{
	struct hit hit = {.context = call->parameter, .task = current_task(), .nothing = counters->hook.hits >> 63};
	struct hook_record *record = (struct hook_record *)(call + 1);
	struct action_stats *actions = &counters->selector[0];

	if (selector != NO_SELECTOR) {
		const volatile struct selector_config *config = &hook_config.selector[selector];
		__u8 action;

		if (!return_matches(&hit, config))
			return;
		actions = &counters->selector[selector];
		action = send_signal(config->signal_at_return, config->action_at_return, counters, actions);
		if (action != ACTION_POST)
			record->action = action;
		if (config->flags & (SELECTOR_NO_POST | SELECTOR_NO_POST_AT_RETURN)) {
			actions->nopost++;
			return;
		}
	}
	write_late_values(call);
	output_limited(record, call->values_size, at_most(call->size, hook_config.record_size), selector, hit.task,
		       counters, actions);
}

/* A number that the verifier knows and the compiler does not. */
#define KNOWN(number)                                        \
	({                                                   \
		__u64 known;                                 \
		asm volatile("%0 = " #number : "=r"(known)); \
		known;                                       \
	})

/* Comes back from memory as a number that could be any; each that it can be is verified on its own. */
static __always_inline __u32 selector_of(const struct call_head *call)
{
	__u16 selector = ((const struct hook_record *)(call + 1))->selector;
	__u32 count = hook_config.selectors;

	if (!count)
		return NO_SELECTOR;
	if (selector == 1 && count > 1)
		return KNOWN(1);
	if (selector == 2 && count > 2)
		return KNOWN(2);
	if (selector == 3 && count > 3)
		return KNOWN(3);
	if (selector == 4 && count > 4)
		return KNOWN(4);
	return KNOWN(0);
}
_Static_assert(MAX_SELECTORS == 5, "selector_of() lists them");

static __always_inline int run_exit(__u32 frame, __u64 returned)
{
	struct hook_counters *counters = hook_counters();
	struct call_key key = call_key(frame);
	struct call_head *call = bpf_map_lookup_elem(&hook_calls, &key);

	if (!call || !counters) /* filtered out at entry, or entered before the hook was there */
		return 0;
	call->parameter[RETURN_ARG] = returned;
	end_call(call, selector_of(call), counters);
	bpf_map_delete_elem(&hook_calls, &key);
	return 0;
}

#endif
