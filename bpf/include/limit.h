/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Rate limit: one record per key and interval. The key covers scope, selector and every byte of every argument. */
#ifndef TRIGON_LIMIT_H
#define TRIGON_LIMIT_H

#include "maps.h"
#include "process.h"

/* Arguments and return value, changed credentials and two stack traces. */
#define MAX_RECORD                                                                                              \
	(sizeof(struct hook_record) + (MAX_ARGS + 1) * (sizeof(struct arg_slot) + MAX_STRING + 16) + MAX_DATA + \
	 sizeof(struct cred_change_value) + sizeof(struct arg_slot) + sizeof(struct hash_value) +               \
	 2 * (sizeof(struct arg_slot) + 512))

/* Two independent 64-bit mixes, seeded by the agent. */
static __always_inline void digest_word(__u64 digest[2], __u64 word)
{
	digest[0] = (digest[0] ^ word) * 0x9e3779b97f4a7c15ULL;
	digest[0] ^= digest[0] >> 32;
	digest[1] = (digest[1] + word) * 0xd6e8feb86659fd93ULL;
	digest[1] ^= digest[1] >> 29;
}

static __always_inline void digest_arguments(__u64 digest[2], const void *record, __u32 size)
{
	__u64 end = size, at;

	NOT_UNROLLED
	for (at = sizeof(struct hook_record); at < MAX_RECORD && at < hook_config.record_size; at += 8) {
		OPAQUE(at); /* otherwise the compiler compares pointers, and 6.12 loses their bounds */
		if (at >= end)
			break;
		digest_word(digest, *(const __u64 *)((const char *)record + at));
	}
}

static __always_inline void make_limit_key(struct limit_key *key, const void *record, __u32 size, __u32 selector,
					   struct task_struct *task)
{
	__u16 scope = hook_config.selector[selector].limit_scope;
	__u64 digest[2] = {hook_config.limit_seed[0], hook_config.limit_seed[1]};
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	digest_word(digest, selector);
	digest_arguments(digest, record, size);
	key->digest[0] = digest[0];
	key->digest[1] = digest[1];
	if (scope != LIMIT_GLOBAL) {
		key->start_ns = TASK_READ(task, group_leader, start_boottime);
		key->id = scope == LIMIT_THREAD ? (__u32)pid_tgid : pid_tgid >> 32;
	}
}

/* True if a record with the same key was posted within the interval; otherwise the interval starts now. */
static __always_inline bool is_limited(const struct limit_key *key, __u32 selector)
{
	__u64 now = bpf_ktime_get_boot_ns();
	__u64 *posted = bpf_map_lookup_elem(&hook_limits, key);

	if (posted && now - *posted < hook_config.selector[selector].limit_ns)
		return true;
	bpf_map_update_elem(&hook_limits, key, &now, BPF_ANY);
	return false;
}

#endif
