// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What hooks are compared with: a program that does nothing, and the smallest ones that emit the record of one argument
 * as the engine does, written for their function alone.
 */
#include "core.h"
#include "cred.h"
#include "process.h"

#define KEEP_QUIET 1 /* BPF_RB_NO_WAKEUP */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

struct cred_hit {
	struct hook_record head;
	struct arg_slot slot;
	struct cred_value value;
};

struct integer_hit {
	struct hook_record head;
	struct arg_slot slot;
	__u64 value;
};

static __always_inline void fill(struct hook_record *record, struct arg_slot *slot, __u32 size, __u16 value_size)
{
	struct task_struct *task = current_task();

	record->header.kind = RECORD_HOOK;
	record->header.flags = 0;
	record->header.size = size;
	identify_current(&record->header, task);
	record->hook_id = 1;
	record->selector = 0xffff;
	record->action = 1;
	record->args = 1;
	record->cgroup_id = cgroup_id_of_current(task);
	slot->depth = 0;
	slot->room = value_size;
	slot->size = value_size;
}

SEC("fentry")
int nothing(void *context)
{
	return 0;
}

SEC("fentry")
int smallest_commit_creds(const struct cred **parameters)
{
	struct cred_hit *hit = bpf_ringbuf_reserve(&events, sizeof(*hit), 0);

	if (!hit)
		return 0;
	fill(&hit->head, &hit->slot, sizeof(*hit), sizeof(hit->value));
	hit->slot.status = load_cred(parameters[0], &hit->value) ? ARG_OK : ARG_READ_FAILED;
	bpf_ringbuf_submit(hit, KEEP_QUIET);
	return 0;
}

SEC("fentry")
int smallest_setuid(const struct pt_regs **parameters)
{
	struct integer_hit *hit = bpf_ringbuf_reserve(&events, sizeof(*hit), 0);

	if (!hit)
		return 0;
	fill(&hit->head, &hit->slot, sizeof(*hit), sizeof(hit->value));
	hit->value = (__s64)(__s32)parameters[0]->di;
	hit->slot.status = ARG_OK;
	bpf_ringbuf_submit(hit, KEEP_QUIET);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
