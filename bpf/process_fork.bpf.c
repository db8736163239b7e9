// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A new process is created: one fork_record. The child runs its creator's file. */
#include "follow.h"
#include "image.h"
#include "process.h"
#include "registers.h"
#include "ring.h"
#include "stats.h"

/*
 * Reads what the child points to. The child has not run yet and current is its creator, so only a program whose context is
 * typed can follow the pointer by loads. `typed` is a constant.
 */
#define CHILD_READ(typed, p, ...) ((typed) ? FOLLOW(p, __VA_ARGS__) : BPF_CORE_READ(p, __VA_ARGS__))

/* The parent is the creator or, with CLONE_PARENT, the creator's. Of the creator nothing needs a probe read. */
static __always_inline void describe_parent(struct fork_record *record, struct task_struct *child, bool typed)
{
	struct task_struct *parent = CHILD_READ(typed, child, real_parent), *creator = current_task();

	if (!typed && (__u64)parent == address_of(creator)) {
		record->parent_pid = TASK_READ(creator, tgid);
		record->parent_start_ns = TASK_READ(creator, group_leader, start_boottime);
	} else {
		record->parent_pid = CHILD_READ(typed, parent, tgid);
		record->parent_start_ns = CHILD_READ(typed, parent, group_leader, start_boottime);
	}
}

/* The child is in its creator's cgroup, unless clone3 was asked for another one. */
static __always_inline __u64 cgroup_id_of_child(struct task_struct *child, bool typed)
{
	struct css_set *set = CHILD_READ(typed, child, cgroups);

	if (!typed && (__u64)set == address_of(TASK_READ(current_task(), cgroups)))
		return bpf_get_current_cgroup_id();
	return CHILD_READ(typed, set, dfl_cgrp, kn, id);
}

static __always_inline void describe_child(struct fork_record *record, struct task_struct *child, __u32 child_pid,
					   __u32 creator_pid, bool typed)
{
	struct pid *pid = CHILD_READ(typed, child, thread_pid);
	struct upid upid = {};

	record->header.kind = RECORD_FORK;
	record->header.flags = 0;
	record->header.size = sizeof(*record);
	record->header.ktime_ns = bpf_ktime_get_boot_ns();
	record->header.pid = child_pid;
	record->header.tid = child_pid; /* of its only thread */
	record->header.leader_start_ns = CHILD_READ(typed, child, start_boottime);
	record->header.exec_seq = (__u32)CHILD_READ(typed, child, self_exec_id);
	record->header.uid = CHILD_READ(typed, child, cred, euid.val);
	describe_parent(record, child, typed);
	if (!read_innermost_upid(pid, CHILD_READ(typed, pid, level), &upid))
		record->header.flags |= RECORD_NS_FAILED;
	record->nspid = upid.nr;
	record->cgroup_id = cgroup_id_of_child(child, typed);
	record->creator_pid = creator_pid;
	record->reserved = 0;
}

static __always_inline int report_fork(struct task_struct *child, bool typed)
{
	__u32 pid = CHILD_READ(typed, child, tgid), creator_pid = TASK_READ(current_task(), tgid);
	struct hook_stats *stats;
	struct fork_record *record;

	if ((__u32)CHILD_READ(typed, child, pid) != pid) /* a thread */
		return 0;
	stats = count_sensor_hit(RECORD_FORK);
	if (!stats)
		return 0;
	if (!share_image(creator_pid, pid))
		stats->errors++;
	if (!pass_on_lists(current_task(), pid))
		stats->errors++;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		stats->lost++;
		return 0;
	}
	describe_child(record, child, pid, creator_pid, typed);
	submit(record, sizeof(*record));
	stats->posted++;
	return 0;
}

/* All are templates. Two on sched_process_fork: the second one is loaded where the kernel refuses tracing programs. */
SEC("fentry")
int process_fork_typed(__u64 *ctx)
{
	return report_fork((struct task_struct *)ctx[1], true);
}

SEC("raw_tp")
int process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	return report_fork((struct task_struct *)ctx->args[1], false);
}

/* On wake_up_new_task(), the next call, where the kernel preempts tasks in the programs above. */
SEC("kprobe")
int process_fork_kprobe(struct pt_regs *ctx)
{
	return report_fork((struct task_struct *)PT_REGS_PARM1(ctx), false);
}
