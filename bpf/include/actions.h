/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Enforcing actions of selectors. Monitor mode counts them and does nothing else. */
#ifndef TRIGON_ACTIONS_H
#define TRIGON_ACTIONS_H

#include "maps.h"
#include "process.h"

#define ACTION_POST 1

static __always_inline bool is_in_mode(__u32 wanted)
{
	return hook_mode == wanted;
}

static __always_inline bool is_enforcing(void)
{
	return is_in_mode(MODE_ENFORCE);
}

/* Counts what would be posted in another mode. */
static __always_inline void count_match(struct task_struct *task, struct action_stats *actions)
{
	struct count_key key = {
		.hook_id = hook_config.hook_id,
		.pid = bpf_get_current_pid_tgid() >> 32,
		.exec_seq = (__u32)TASK_READ(task, self_exec_id),
	};
	__u64 one = 1, *count = bpf_map_lookup_elem(&hit_counts, &key);

	actions->count++;
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&hit_counts, &key, &one, BPF_NOEXIST);
}

/* Sends a signal to the process; returns the number of the action that was done, for the record. */
static __always_inline __u8 send_signal(__u8 signal, __u8 action, bool undecided, struct hook_counters *counters,
					struct action_stats *actions)
{
	if (!signal)
		return ACTION_POST;
	if (undecided || !is_enforcing()) {
		actions->monitor_signal++;
		return ACTION_POST;
	}
	if (bpf_send_signal(signal)) {
		counters->hook.errors++;
		return ACTION_POST;
	}
	actions->signal++;
	return action;
}

/* The error that replaces the call; 0 if the call is made. */
static __always_inline int override_error(const volatile struct selector_config *selector, bool undecided,
					  struct action_stats *actions)
{
	if (!(selector->flags & SELECTOR_OVERRIDE))
		return 0;
	if (undecided || !is_enforcing()) {
		actions->monitor_override++;
		return 0;
	}
	actions->override++;
	return selector->error;
}

#endif
