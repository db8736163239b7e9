/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Credential drift: a task's credentials differ from those that the kernel last gave it. All ways that the kernel has go
 * through commit_creds() or a fork; what writes to a struct cred, or swaps the task's pointer to it, does not.
 * agent/hooks/drift/decision-drift.md explains what is compared and when.
 */
#ifndef TRIGON_DRIFT_H
#define TRIGON_DRIFT_H

#include "cgroup.h"
#include "cred_change.h"
#include "process.h"
#include "ring.h"
#include "stats.h"
#include "syscalls.h"

struct drift_record {
	struct hook_record hook;
	struct cred_change_value change;
};

/* What is compared. The first word may also contain the count of references. */
static __always_inline bool read_raw(const struct cred *cred, struct cred_raw *raw)
{
	const __u32 before = bpf_core_field_offset(struct cred, uid) - CRED_START;

	__builtin_memset(raw, 0, sizeof(*raw));
	if (!read_cred_bytes(cred, &raw->bytes))
		return false;
	if (before)
		raw->bytes.words[0] &= ~0ULL << 32;
	return !bpf_core_read(&raw->user_ns, sizeof(raw->user_ns), &cred->user_ns) &&
	       !bpf_core_read(&raw->group_info, sizeof(raw->group_info), &cred->group_info);
}

static __always_inline bool is_same_raw(const struct cred_raw *one, const struct cred_raw *other)
{
	const __u64 *words = (const __u64 *)one, *others = (const __u64 *)other;
	__u64 differences = 0;
	__u32 i;

#pragma unroll
	for (i = 0; i < sizeof(*one) / 8; i++)
		differences |= words[i] ^ others[i];
	return !differences;
}

static __always_inline struct cred_side side_of(const struct cred *cred)
{
	struct cred_side side = {.cred = cred};

	return side;
}

static __always_inline bool describe_cred(const struct cred *cred, struct task_struct *task, struct cred_value *value,
					  struct cred_rest_value *rest)
{
	struct cred_side side = side_of(cred);

	return write_side(&side, task, NULL, value, rest);
}

/* The credentials are what the kernel gave the task. */
static __always_inline void accept(struct cred_state *state, const struct cred *cred, const struct cred_raw *raw,
				   struct task_struct *task)
{
	state->known = describe_cred(cred, task, &state->cred, &state->rest);
	state->raw = *raw;
	state->has_next = 0;
}

/* A task that has none yet gets one, empty; NULL if there is no room. */
static __always_inline struct cred_state *make_state(__u64 address, __u64 start_ns)
{
	__u32 zero = 0;
	struct cred_state *empty = bpf_map_lookup_elem(&no_cred_state, &zero), *state;

	if (!empty || bpf_map_update_elem(&cred_states, &address, empty, BPF_ANY))
		return NULL;
	state = bpf_map_lookup_elem(&cred_states, &address);
	if (state)
		state->start_ns = start_ns;
	return state;
}

/* The state of the task; NULL if it has none. An address may have belonged to an earlier task. */
static __always_inline struct cred_state *find_state(__u64 address, __u64 start_ns)
{
	struct cred_state *state = bpf_map_lookup_elem(&cred_states, &address);

	return state && state->start_ns == start_ns && state->known ? state : NULL;
}

static __always_inline void fill_drift(struct drift_record *record, const struct cred_state *state,
				       const struct cred *cred, struct task_struct *task, __u32 hook_id)
{
	struct cred_change_value *change = &record->change;
	__u16 flags = RECORD_CRED_CHANGE;

	change->reserved = 0;
	change->old = state->cred;
	change->old_rest = state->rest;
	if (describe_cred(cred, task, &change->new, &change->new_rest)) {
		change->old_rest.no_new_privs = change->new_rest.no_new_privs; /* of the task */
		change->changed = changed_fields(change);
		if (state->rest.groups_count != change->new_rest.groups_count)
			change->changed |= 1 << CRED_FIELD_GROUPS;
	} else {
		__builtin_memset(change, 0, sizeof(*change));
		flags |= RECORD_CRED_FAILED;
	}
	record->hook.header.kind = RECORD_HOOK;
	record->hook.header.flags = flags;
	record->hook.header.size = sizeof(*record);
	identify_current(&record->hook.header, task);
	record->hook.hook_id = hook_id;
	record->hook.selector = NO_SELECTOR;
	record->hook.action = 0;
	record->hook.args = 0;
	record->hook.cgroup_id = bpf_get_current_cgroup_id();
	record->hook.syscall = current_syscall(task);
	record->hook.in_exec = is_executing(task);
}

static __always_inline void report_drift(const struct cred_state *state, const struct cred *cred,
					 struct task_struct *task, __u32 hook_id)
{
	struct hook_stats *stats = count_sensor_hit(SENSOR_DRIFT);
	struct drift_record *record;

	if (!stats)
		return;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		stats->lost++;
		return;
	}
	fill_drift(record, state, cred, task, hook_id);
	submit(record, sizeof(*record));
	stats->posted++;
}

/*
 * Compares the credentials of the current task with what the kernel gave it, and reports a difference once. A commit in
 * progress has either: the old or the new ones. The first sight of a task that ran before is what it is compared with.
 */
static __always_inline struct cred_state *check_cred(struct task_struct *task, const struct cred *cred, __u32 hook_id)
{
	__u64 address = address_of(task), start_ns = TASK_READ(task, start_boottime);
	struct cred_state *state = find_state(address, start_ns);
	struct cred_raw raw;

	if (!read_raw(cred, &raw))
		return state;
	if (!state) {
		state = make_state(address, start_ns);
		if (state)
			accept(state, cred, &raw, task);
		return state;
	}
	if (is_same_raw(&raw, &state->raw))
		return state;
	if (!state->has_next || !is_same_raw(&raw, &state->next))
		report_drift(state, cred, task, hook_id);
	accept(state, cred, &raw, task);
	return state;
}

/* Its own credentials, which stay the same where the kernel acts with others for a while. */
static __always_inline struct cred_state *check_drift(struct task_struct *task, __u32 hook_id)
{
	return check_cred(task, TASK_READ(task, real_cred), hook_id);
}

#endif
