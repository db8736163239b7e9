// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The last thread of a process exits: one exit_record. */
#include "maps.h"
#include "process.h"
#include "ring.h"
#include "stats.h"

#define SIGNAL_GROUP_EXIT 0x4

/* What wait(2) will report: the group's code where it was ended as a group, else that of its leader. */
static __always_inline __u32 wait_status(struct task_struct *task)
{
	if (TASK_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return TASK_READ(task, signal, group_exit_code);
	return TASK_READ(task, group_leader, exit_code);
}

SEC("raw_tp/sched_process_exit")
int process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = current_task();
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct hook_stats *stats;
	struct exit_record *record;

	if (TASK_READ(task, signal, live.counter)) /* other threads go on */
		return 0;
	/*
	 * Two threads that exit at once can both see 0; the one that removes the entry reports. Without an entry (the map
	 * was full) both may.
	 */
	if (bpf_map_lookup_elem(&process_images, &pid) && bpf_map_delete_elem(&process_images, &pid))
		return 0;
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
	bpf_ringbuf_submit(record, wake_up_flags());
	stats->posted++;
	return 0;
}
