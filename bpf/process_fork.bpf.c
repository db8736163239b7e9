// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A new process is created: one fork_record. The child runs its creator's file. */
#include "follow.h"
#include "process.h"
#include "ring.h"
#include "stats.h"

static __always_inline void copy_image(__u32 creator, __u32 child)
{
	struct process_image *image = bpf_map_lookup_elem(&process_images, &creator);
	struct asked_names *asked;

	if (!image)
		return;
	asked = image->flags & IMAGE_ASKED ? bpf_map_lookup_elem(&asked_names, &creator) : NULL;
	if (asked)
		bpf_map_update_elem(&asked_names, &child, asked, BPF_ANY);
	bpf_map_update_elem(&process_images, &child, image, BPF_ANY);
}

/* The parent is the creator or, with CLONE_PARENT, the creator's. Of the creator nothing needs a helper call. */
static __always_inline void describe_parent(struct fork_record *record, struct task_struct *child)
{
	struct task_struct *parent = BPF_CORE_READ(child, real_parent), *creator = current_task();

	if ((__u64)parent == address_of(creator)) {
		record->parent_pid = TASK_READ(creator, tgid);
		record->parent_start_ns = TASK_READ(creator, group_leader, start_boottime);
	} else {
		record->parent_pid = BPF_CORE_READ(parent, tgid);
		record->parent_start_ns = BPF_CORE_READ(parent, group_leader, start_boottime);
	}
}

/* The child is in its creator's cgroup, unless clone3 was asked for another one. */
static __always_inline __u64 cgroup_id_of_child(struct task_struct *child)
{
	struct css_set *set = BPF_CORE_READ(child, cgroups);

	if ((__u64)set == address_of(TASK_READ(current_task(), cgroups)))
		return bpf_get_current_cgroup_id();
	return BPF_CORE_READ(set, dfl_cgrp, kn, id);
}

/* The child has not run yet and current is its creator, so the child is read by probe reads. */
static __always_inline void describe_child(struct fork_record *record, struct task_struct *child, __u32 child_pid)
{
	struct pid *pid = BPF_CORE_READ(child, thread_pid);
	struct upid upid = {};

	record->header.kind = RECORD_FORK;
	record->header.flags = 0;
	record->header.size = sizeof(*record);
	record->header.ktime_ns = bpf_ktime_get_boot_ns();
	record->header.pid = child_pid;
	record->header.tid = child_pid; /* of its only thread */
	record->header.leader_start_ns = BPF_CORE_READ(child, start_boottime);
	record->header.exec_seq = (__u32)BPF_CORE_READ(child, self_exec_id);
	record->header.uid = BPF_CORE_READ(child, cred, euid.val);
	describe_parent(record, child);
	if (!read_innermost_upid(pid, BPF_CORE_READ(pid, level), &upid))
		record->header.flags |= RECORD_NS_FAILED;
	record->nspid = upid.nr;
	record->cgroup_id = cgroup_id_of_child(child);
	record->creator_pid = bpf_get_current_pid_tgid() >> 32;
	record->reserved = 0;
}

SEC("raw_tp/sched_process_fork")
int process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *child = (struct task_struct *)ctx->args[1];
	struct hook_stats *stats;
	struct fork_record *record;
	__u32 pid = BPF_CORE_READ(child, tgid);

	if ((__u32)BPF_CORE_READ(child, pid) != pid) /* a thread */
		return 0;
	stats = count_sensor_hit(RECORD_FORK);
	if (!stats)
		return 0;
	copy_image(bpf_get_current_pid_tgid() >> 32, pid);
	if (!pass_on_lists(current_task(), pid))
		stats->errors++;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		stats->lost++;
		return 0;
	}
	describe_child(record, child, pid);
	submit(record, sizeof(*record));
	stats->posted++;
	return 0;
}
