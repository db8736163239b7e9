// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Template of the second half of LSM hooks that post the hash of a file: the kernel hashes only in programs that may
 * sleep. The first half, hook_fentry, filters and keeps the record. The program that was attached last runs first.
 */
#define TRIGON_SLEEPABLE
#include "exit.h"

#define CONTEXT_OFFSET(index) ((index) * 8)

static __always_inline struct file *file_of(void *context)
{
	__u64 parameter = LOAD_BY_INDEX(context, hook_config.hash_parameter, CONTEXT_OFFSET);

	if (hook_config.flags & HOOK_HASH_OF_BPRM)
		return ((struct linux_binprm *)parameter)->file;
	return (struct file *)parameter;
}

SEC("lsm")
int hook_ima(void *context)
{
	__u32 size, at, selector;
	struct hook_counters *counters = hook_counters();
	struct hit hit = {.context = context, .task = current_task()};
	struct call_key key = call_key(LOW_HALF(context));
	struct call_head *call = bpf_map_lookup_elem(&hook_calls, &key);
	struct action_stats *actions;
	struct hash_value *value;
	struct arg_slot *slot;
	struct file *file;
	long algorithm = -1;

	if (!call)
		return 0;
	at = at_most(call->slot[RETURN_ARG], hook_config.record_size - HASH_SLOT_BYTES);
	slot = (struct arg_slot *)((char *)(call + 1) + at);
	value = (struct hash_value *)(slot + 1);
	file = file_of(context);
	if (file)
		algorithm = bpf_ima_file_hash(file, value->digest, sizeof(value->digest));
	if (algorithm >= 0) {
		value->algorithm = algorithm;
		slot->status = ARG_OK;
	}
	selector = choose_at_return(&hit, call); /* without filters at return this is the selector of the entry */
	if (selector != NO_MATCH) {
		actions = &counters->selector[selector == NO_SELECTOR ? 0 : selector];
		size = at_most(call->size, hook_config.record_size);
		output_limited(call + 1, call->values_size, size, selector, hit.task, counters, actions);
	}
	bpf_map_delete_elem(&hook_calls, &key);
	return 0;
}
