/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The identity of a task: ids, namespaces, cgroup. */
#ifndef TRIGON_PROCESS_H
#define TRIGON_PROCESS_H

#include "core.h"

/* The innermost pid namespace's view of a process; false when it cannot be read. */
static __always_inline bool read_innermost_upid(struct pid *pid, __u32 level, struct upid *upid)
{
	/* The index varies, which typed loads do not allow. */
	return !bpf_probe_read_kernel(upid, sizeof(*upid),
				      (char *)pid + bpf_core_field_offset(struct pid, numbers) + level * sizeof(*upid));
}

/* tgid of a process, reached from current_task(), in its innermost pid namespace; 0 when it cannot be read. */
static __always_inline __u32 namespace_pid(struct task_struct *task)
{
	struct pid *pid = TASK_READ(task, group_leader, thread_pid);
	struct upid upid = {};

	if (!pid || !read_innermost_upid(pid, TASK_READ(pid, level), &upid)) /* !pid: the task is being reaped */
		return 0;
	return upid.nr;
}

#define INITIAL_PID_NS 0xEFFFFFFCU /* PROC_PID_INIT_INO: user space relies on it */

static __always_inline __u32 pid_ns_inum(struct task_struct *task)
{
	struct pid *pid = TASK_READ(task, thread_pid);
	struct upid upid = {};

	if (!pid)
		return 0;
	/* Most hits on a node come from processes of the host: there is one namespace of level 0. */
	if (TASK_READ(pid, level) == 0)
		return INITIAL_PID_NS;
	if (!read_innermost_upid(pid, TASK_READ(pid, level), &upid))
		return 0;
	return BPF_CORE_READ(upid.ns, ns.inum);
}

/* Everything of the header but kind, flags and size. `task` is from current_task(). */
static __always_inline void identify_current(struct record_header *header, struct task_struct *task)
{
	header->ktime_ns = bpf_ktime_get_boot_ns();
	if (HAS_CURRENT_TASK_BTF) {
		header->pid = task->tgid;
		header->tid = task->pid;
	} else {
		__u64 pid_tgid = bpf_get_current_pid_tgid();

		header->pid = pid_tgid >> 32;
		header->tid = (__u32)pid_tgid;
	}
	header->leader_start_ns = TASK_READ(task, group_leader, start_boottime);
	header->exec_seq = (__u32)TASK_READ(task, self_exec_id);
	header->uid = TASK_READ(task, cred, euid.val);
}

#endif
