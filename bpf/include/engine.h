/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The engine of every hook: filter, act, collect, post. A template includes it after saying where its context holds the
 * parameters (see parameters.h).
 */
#ifndef TRIGON_ENGINE_H
#define TRIGON_ENGINE_H

#include "actions.h"
#include "calls.h"
#include "filter.h"
#include "hash.h"
#include "limit.h"
#include "ring.h"
#include "stack.h"
#include "stats.h"

/* Memory for the record: in the ring, or in hook_scratch. */
static __always_inline void *start_record(struct hook_stats *stats)
{
	__u32 zero = 0;
	void *record;

	if (hook_config.flags & HOOK_SCRATCH) {
		record = bpf_map_lookup_elem(&hook_scratch, &zero);
		if (!record)
			stats->errors++;
		else if (hook_config.flags & (HOOK_RETURN | HOOK_HASH))
			record += sizeof(struct call_head);
	} else {
		record = bpf_ringbuf_reserve(&events, hook_config.record_size, 0);
		if (!record)
			stats->lost++;
	}
	return record;
}

/* The head of a record that is kept until the function returns. */
static __always_inline struct call_head *call_of(void *record)
{
	return record - sizeof(struct call_head);
}

static __always_inline __u32 write_arguments(void *context, void *record)
{
	__u32 at = sizeof(struct hook_record), count = hook_config.args, i;

	NOT_UNROLLED
	for (i = 0; i < MAX_ARGS && i < count; i++) {
		if (hook_config.arg[i].flags & VALUE_AT_RETURN) {
			keep_parameter(context, call_of(record), hook_config.arg[i].parameter);
			if (hook_config.buffer[i].bits && hook_config.buffer[i].parameter != RETURN_ARG)
				keep_parameter(context, call_of(record), hook_config.buffer[i].parameter);
			at += reserve_late(call_of(record), i, at);
		} else {
			at += write_argument(context, i, (struct arg_slot *)((char *)record + at));
		}
	}
	if (hook_config.flags & HOOK_RETURN)
		at += reserve_late(call_of(record), RETURN_ARG, at);
	return at;
}

/* Writes the stack traces that the selector asks for, and sets their flags; returns where the record ends. */
static __always_inline __u32 write_stacks(void *context, void *record, __u32 at, __u32 selector, __u16 *flags)
{
	__u16 wanted = selector == NO_SELECTOR ? 0 : hook_config.selector[selector].flags;

	if (wanted & SELECTOR_KERNEL_STACK) {
		*flags |= RECORD_KERNEL_STACK;
		at += write_stack(context, 0, (struct arg_slot *)((char *)record + at));
	}
	if (wanted & SELECTOR_USER_STACK) {
		*flags |= RECORD_USER_STACK;
		at += write_stack(context, BPF_F_USER_STACK, (struct arg_slot *)((char *)record + at));
	}
	return at;
}

/* The new credentials where the record has them already: they are its first argument. */
static __always_inline const struct cred_value *new_cred_in(const void *record)
{
	const volatile struct value_config *config = &hook_config.arg[0];
	const struct arg_slot *slot = (const struct arg_slot *)((const char *)record + sizeof(struct hook_record));

	if (!hook_config.args || config->kind != VALUE_CRED || !is_typed(0) || config->flags & VALUE_AT_RETURN)
		return NULL;
	if (hook_config.cred.new_source != CRED_PARAMETER || hook_config.cred.new_parameter != config->parameter)
		return NULL;
	return slot->status == ARG_OK ? (const struct cred_value *)(slot + 1) : NULL;
}

/* Writes old and new credentials; zeros if they cannot be read. */
static __always_inline __u32 write_changes(const struct hit *hit, const void *record, struct cred_change_value *value,
					   __u16 *flags)
{
	*flags |= RECORD_CRED_CHANGE;
	if (!write_cred_change(hit->context, hit->task, new_cred_in(record), value))
		*flags |= RECORD_CRED_FAILED;
	return sizeof(*value);
}

/* At a system call's entry its registers are at hand, and the task does not execute a file yet. */
static __always_inline void write_syscall(void *context, struct hook_record *record, struct task_struct *task)
{
	if (!(hook_config.flags & HOOK_IN_SYSCALL)) {
		record->syscall = NO_SYSCALL;
		record->in_exec = 0;
	} else if (hook_config.flags & HOOK_SYSCALL) {
		record->syscall = entered_syscall(context, task);
		record->in_exec = 0;
	} else {
		record->syscall = current_syscall(task);
		record->in_exec = is_executing(task);
	}
}

/* Where the values are constants to the verifier, four of them are one store. */
static __always_inline void write_head(void *context, struct hook_record *record, __u16 flags, __u32 size,
				       __u32 selector, __u8 action, struct task_struct *task)
{
	*(several_u64 *)&record->header = RECORD_HOOK | (__u64)flags << 16 | (__u64)size << 32;
	identify_current(&record->header, task);
	*(several_u64 *)&record->hook_id = hook_config.hook_id | (__u64)(__u16)selector << 32 | (__u64)action << 48 |
					   (__u64)hook_config.args << 56;
	record->cgroup_id = bpf_get_current_cgroup_id();
	write_syscall(context, record, task);
}

static __always_inline bool output(void *record, __u32 size, struct hook_stats *stats)
{
	if (copy_to_ring(record, at_most(size, MAX_RECORD)))
		return true;
	stats->lost++;
	return false;
}

/* Posts a record from hook_scratch, unless a rate limit suppresses it. */
static __always_inline void output_limited(void *record, __u32 values_size, __u32 size, __u32 selector,
					   struct task_struct *task, struct hook_counters *counters,
					   struct action_stats *actions)
{
	bool limited = selector != NO_SELECTOR && hook_config.selector[selector].limit_scope != LIMIT_NONE;
	struct limit_key key = {};

	if (limited) {
		make_limit_key(&key, record, values_size, selector, task);
		if (is_limited(&key, selector)) {
			counters->hook.rate_limited++;
			return;
		}
	}
	if (is_in_mode(MODE_COUNT)) {
		count_match(task, actions);
		return;
	}
	if (output(record, size, &counters->hook)) {
		actions->post++;
	} else if (limited) {
		bpf_map_delete_elem(&hook_limits, &key); /* a lost record must not suppress the next one */
	}
}

static __always_inline void keep_call(struct call_head *call, __u32 values_size, __u32 size, __u32 candidates,
				      __u32 frame, struct hook_stats *stats)
{
	struct call_key key = call_key(frame);

	call->values_size = values_size;
	call->size = size;
	call->candidates = candidates;
	if (bpf_map_update_elem(&hook_calls, &key, call, BPF_ANY))
		stats->lost++;
}

/* After an override the kernel runs no further program of the hook, so hook_ima would not complete the record. */
static __always_inline bool wants_hash(__u32 selector, int error)
{
	if (!(hook_config.flags & HOOK_HASH) || selector == NO_SELECTOR || error)
		return false;
	return hook_config.selector[selector].flags & SELECTOR_HASH;
}

/* Any of the selectors that matched may be the one that matches at return. */
static __always_inline bool is_undecided_at_return(const struct hit *hit, __u32 candidates)
{
	__u32 count = hook_config.selectors, i;

	if (!(hook_config.flags & HOOK_RETURN && hook_config.flags & HOOK_SCOPED))
		return false;
	NOT_UNROLLED
	for (i = 0; i < MAX_SELECTORS && i < count; i++) {
		if (candidates & 1 << i && verdict_of_selector(hit, &hook_config.selector[i]) == SCOPE_UNDECIDED)
			return true;
	}
	return false;
}

/* Whether a match is done with, without a record. Any mode before MODE_COUNT takes one comparison. */
static __always_inline bool needs_no_record(__u32 selector, struct task_struct *task, struct action_stats *actions)
{
	__u32 mode = hook_mode;

	if (mode < MODE_COUNT)
		return false;
	if (mode == MODE_OFF)
		return true;
	/* What is posted later or under a rate limit is counted then. */
	if (hook_config.flags & HOOK_RETURN)
		return false;
	if (selector != NO_SELECTOR && hook_config.selector[selector].limit_scope != LIMIT_NONE)
		return false;
	count_match(task, actions);
	return true;
}

static __always_inline void post(const struct hit *hit, __u32 selector, __u32 candidates, __u8 action, __u32 frame,
				 struct hook_counters *counters, struct action_stats *actions, bool hashed)
{
	struct hook_record *record = start_record(&counters->hook);
	__u16 flags = 0;
	__u32 size, values_size;

	if (!record)
		return;
	size = values_size = write_arguments(hit->context, record);
	if (hook_config.flags & HOOK_RETURN)
		flags |= RECORD_RETURN;
	if (hit->undecided || is_undecided_at_return(hit, candidates))
		flags |= RECORD_SCOPE_UNDECIDED;
	if (hook_config.flags & HOOK_CRED_CHANGE)
		size += write_changes(hit, record, (struct cred_change_value *)((char *)record + size), &flags);
	size = write_stacks(hit->context, record, size, selector, &flags);
	if (hashed) {
		flags |= RECORD_HASH;
		size += reserve_hash(call_of(record), size);
	}
	write_head(hit->context, record, flags, size, selector, action, hit->task);
	if (hook_config.flags & HOOK_RETURN || hashed) {
		keep_call(call_of(record), values_size, size, candidates, frame, &counters->hook);
	} else if (hook_config.flags & HOOK_SCRATCH) {
		output_limited(record, values_size, size, selector, hit->task, counters, actions);
	} else {
		submit(record, hook_config.record_size);
		actions->post++;
	}
}

static __always_inline bool is_silent(const volatile struct selector_config *selector)
{
	if (!(selector->flags & SELECTOR_NO_POST))
		return false;
	return !(hook_config.flags & HOOK_RETURN) || !(selector->signal_at_return || selector->return_filters);
}

/* False where the process is outside of the hook's scope. */
static __always_inline bool enter_scope(struct hit *hit)
{
	__u8 verdict;

	if (!(hook_config.flags & HOOK_SCOPED))
		return true;
	hit->scopes = scopes_of_current(hit->task);
	if (!(hook_config.scope_flags & SCOPE_LIMITED))
		return true;
	verdict = scope_verdict(hit->scopes, hook_config.scope, hook_config.scope_flags);
	hit->undecided = verdict == SCOPE_UNDECIDED;
	return verdict != SCOPE_OUTSIDE;
}

/* Here and not before the gate: nothing has to be kept for those that pass it. */
static __always_inline void count_rejected(void)
{
	asm volatile("" ::: "memory"); /* keeps the compiler from counting both in one place */
	hook_counters()->hook.hits++;
}

/* Returns the error that replaces the call; 0 if the call is made. `frame`: see struct call_key. */
static __always_inline int run_hook(void *context, __u32 frame)
{
	struct hit hit = {.context = context, .task = current_task()};
	struct hook_counters *counters;
	struct action_stats *actions;
	__u8 action = ACTION_POST;
	__u32 candidates = 0, selector;
	int error = 0;

	if (!enter_scope(&hit))
		return 0;
	if (!passes_gate(&hit)) {
		count_rejected();
		return 0;
	}
	hit.task = without_trust(hit.task);
	counters = hook_counters();
	counters->hook.hits++;
	hit.nothing = counters->hook.hits >> 63;
	selector = choose_selector(&hit, &candidates);
	if (selector == NO_MATCH)
		return 0;
	actions = &counters->selector[0];
	if (selector != NO_SELECTOR) {
		const volatile struct selector_config *config = &hook_config.selector[selector];

		actions = &counters->selector[selector];
		hit.undecided |= verdict_of_selector(&hit, config) == SCOPE_UNDECIDED;
		action = send_signal(config->signal, config->action, hit.undecided, counters, actions);
		error = override_error(config, hit.undecided, actions);
		if (error)
			action = config->action;
		if (is_silent(config)) {
			actions->nopost++;
			return error;
		}
	}
	if (needs_no_record(selector, hit.task, actions))
		return error;
	post(&hit, selector, candidates, action, frame, counters, actions, wants_hash(selector, error));
	return error;
}

#endif
