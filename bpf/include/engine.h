/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The engine of every hook: filter, collect, post. A template includes it after saying where its context holds the
 * parameters (see parameters.h).
 */
#ifndef TRIGON_ENGINE_H
#define TRIGON_ENGINE_H

#include "filter.h"
#include "limit.h"
#include "ring.h"
#include "stats.h"

#define ACTION_POST 1

/* Where the record is built: in the ring, or aside. */
static __always_inline void *start_record(struct hook_stats *stats)
{
	__u32 zero = 0;
	void *record;

	if (hook_config.flags & HOOK_SCRATCH) {
		record = bpf_map_lookup_elem(&hook_scratch, &zero);
		if (!record)
			stats->errors++;
	} else {
		record = bpf_ringbuf_reserve(&events, hook_config.record_size, 0);
		if (!record)
			stats->lost++;
	}
	return record;
}

static __always_inline __u32 write_arguments(void *context, void *record)
{
	__u32 at = sizeof(struct hook_record), count = hook_config.args, i;

	NOT_UNROLLED
	for (i = 0; i < MAX_ARGS && i < count; i++)
		at += write_argument(context, i, (struct arg_slot *)((char *)record + at));
	return at;
}

static __always_inline void write_head(struct hook_record *record, __u32 size, __u32 selector, struct task_struct *task)
{
	record->header.kind = RECORD_HOOK;
	record->header.flags = 0;
	record->header.size = size;
	identify_current(&record->header, task);
	record->hook_id = hook_config.hook_id;
	record->selector = selector;
	record->action = ACTION_POST;
	record->args = hook_config.args;
	record->cgroup_id = cgroup_id_of_current(task);
}

static __always_inline bool finish_record(void *record, __u32 size, struct hook_stats *stats)
{
	if (hook_config.flags & HOOK_SCRATCH) {
		if (bpf_ringbuf_output(&events, record, at_most(size, MAX_RECORD), wake_up_flags())) {
			stats->lost++;
			return false;
		}
	} else {
		bpf_ringbuf_submit(record, wake_up_flags());
	}
	stats->posted++;
	return true;
}

static __always_inline void post(const struct hit *hit, __u32 selector, struct hook_stats *stats)
{
	bool limited = selector != NO_SELECTOR && hook_config.selector[selector].limit_scope != LIMIT_NONE;
	void *record = start_record(stats);
	struct limit_key key = {};
	__u32 size;

	if (!record)
		return;
	size = write_arguments(hit->context, record);
	if (limited) {
		make_limit_key(&key, record, size, selector, hit->task);
		if (is_limited(&key, selector)) {
			stats->rate_limited++;
			return;
		}
	}
	write_head(record, size, selector, hit->task);
	/* A record that got lost must not hold back the next. */
	if (!finish_record(record, size, stats) && limited)
		bpf_map_delete_elem(&hook_limits, &key);
}

static __always_inline int run_hook(void *context)
{
	struct hook_stats *stats = count_hook_hit();
	struct hit hit = {.context = context, .task = current_task()};
	__u32 selector;

	if (!stats)
		return 0;
	hit.nothing = stats->hits >> 63;
	selector = choose_selector(&hit);
	if (selector == NO_MATCH)
		return 0;
	if (selector != NO_SELECTOR && hook_config.selector[selector].flags & SELECTOR_NO_POST)
		return 0;
	post(&hit, selector, stats);
	return 0;
}

#endif
