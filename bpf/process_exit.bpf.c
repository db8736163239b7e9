// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The last thread of a process exits: one exit_record. */
#include "follow.h"
#include "image.h"
#include "process.h"
#include "ring.h"
#include "stats.h"

#define SIGNAL_GROUP_EXIT 0x4

struct exit_key {
	__u64 start_ns;
	__u32 pid;
	__u32 reserved;
};

/*
 * Processes whose end was just reported. Two threads that exit at the same time can both find that none is left. Since
 * 6.16 the tracepoint has a parameter for that.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct exit_key);
	__type(value, __u8);
} reported_exits SEC(".maps");

/*
 * A thread that is the only one left of its process has nobody to leave word for. The others have been through here: they
 * are no longer counted since they were released. The one that reported the end has freed the process's slot.
 */
static __always_inline bool is_first_report(struct task_struct *task, __u32 pid, bool has_slot)
{
	struct exit_key key = {.start_ns = TASK_READ(task, group_leader, start_boottime), .pid = pid};
	__u8 reported = 1;

	if (TASK_READ(task, signal, nr_threads) == 1)
		return has_slot || !bpf_map_lookup_elem(&reported_exits, &key);
	return !bpf_map_update_elem(&reported_exits, &key, &reported, BPF_NOEXIST);
}

/* The status that wait(2) returns: the group's exit code if it ended as a group, otherwise its leader's. */
static __always_inline __u32 wait_status(struct task_struct *task)
{
	if (TASK_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return TASK_READ(task, signal, group_exit_code);
	return TASK_READ(task, group_leader, exit_code);
}

/* While no list is in use, what processes had of earlier ones stays until the next list: user space clears it. */
static __always_inline void forget_process(__u32 pid, struct image_slot *slot)
{
	if (slot)
		free_slot(slot);
	if (!are_lists_used())
		return;
	bpf_map_delete_elem(&followed, &pid);
	bpf_map_delete_elem(&follow_seeds, &pid);
}

/* Never attached: user space runs it for a process, by its tgid, that has ended without an exit_record. */
SEC("raw_tp")
int process_forget(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 pid = (__u32)ctx->args[0];

	forget_process(pid, find_slot(pid));
	return 0;
}

static __always_inline int report_exit(void)
{
	struct task_struct *task = current_task();
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct image_slot *slot;
	struct hook_stats *stats;
	struct exit_record *record;

	if (TASK_READ(task, signal, live.counter)) /* other threads are running */
		return 0;
	slot = find_slot(pid);
	if (!is_first_report(task, pid, slot))
		return 0;
	forget_process(pid, slot);
	stats = count_sensor_hit(RECORD_EXIT);
	if (!stats)
		return 0;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		stats->lost++;
		return 0;
	}
	record->header.kind = RECORD_EXIT;
	record->header.flags = 0;
	record->header.size = sizeof(*record);
	identify_current(&record->header, task);
	record->code = wait_status(task);
	record->reserved = 0;
	submit(record, sizeof(*record));
	stats->posted++;
	return 0;
}

/* Both are templates, on sched_process_exit; the second one where the kernel preempts tasks in the first one. */
SEC("raw_tp")
int process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	return report_exit();
}

SEC("tp")
int process_exit_tp(void *ctx)
{
	return report_exit();
}
