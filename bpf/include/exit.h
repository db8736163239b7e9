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

/* Compares the returned number, string or path, or what the call has changed. */
static __always_inline bool return_filter_matches(const struct hit *hit, const volatile struct filter_config *filter)
{
	__u64 value;

#ifndef TRIGON_SLEEPABLE
	if (filter->operand == OPERAND_NAMESPACE_CHANGE)
		return is_namespace_changed(hit->task, filter->first);
	if (filter->operand == OPERAND_CAPABILITY_CHANGE)
		return capability_change_matches(hit, filter);
	if (filter->operand == OPERAND_TEXT)
		return text_matches(hit, filter);
#endif
	return read_argument_number(hit, filter, &value) && in_set(hit, filter, value) != !!filter->negate;
}

static __always_inline bool return_matches(const struct hit *hit, const volatile struct selector_config *selector)
{
	__u32 first = selector->first_return_filter, count = selector->return_filters, i;

	NOT_UNROLLED
	for (i = 0; i < MAX_FILTERS && i < count; i++) {
		if (!return_filter_matches(hit, &hook_config.filter[first + i]))
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

/* The first selector that matched at entry and matches now. */
static __always_inline __u32 choose_at_return(const struct hit *hit, const struct call_head *call)
{
	__u32 count = hook_config.selectors, i;

	if (!count)
		return NO_SELECTOR;
	NOT_UNROLLED
	for (i = 0; i < MAX_SELECTORS && i < count; i++) {
		if (call->candidates & 1 << i && return_matches(hit, &hook_config.selector[i]))
			return i;
	}
	return NO_MATCH;
}

static __always_inline int run_exit(__u32 frame, __u64 returned)
{
	struct hook_counters *counters = hook_counters();
	struct call_key key = call_key(frame);
	struct call_head *call = bpf_map_lookup_elem(&hook_calls, &key);
	struct hit hit = {};
	__u32 selector;

	if (!call) /* filtered out at entry, or entered before the hook was attached */
		return 0;
	call->parameter[RETURN_ARG] = returned;
	hit.task = without_trust(current_task());
	hit.context = call->parameter;
	hit.nothing = counters->hook.hits >> 63;
	selector = choose_at_return(&hit, call);
	if (selector != NO_MATCH) {
		if (selector != NO_SELECTOR && hook_config.selector[selector].flags & SELECTOR_REMEMBERS_AT_RETURN)
			remember_state(hit.task);
		end_call(&hit, call, selector, counters);
	}
	bpf_map_delete_elem(&hook_calls, &key);
	return 0;
}

#endif
