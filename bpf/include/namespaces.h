/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Inode numbers of a task's namespaces. */
#ifndef TRIGON_NAMESPACES_H
#define TRIGON_NAMESPACES_H

#include "config.h"
#include "process.h"

/* 0 when it cannot be read or the kernel has no such namespace. `kind` is a constant to the verifier. */
static __always_inline __u32 namespace_inum(struct task_struct *task, __u8 kind)
{
	struct nsproxy *proxy;

	if (kind == NAMESPACE_PID)
		return pid_ns_inum(task);
	if (kind == NAMESPACE_USER)
		return TASK_READ(task, cred, user_ns, ns.inum);
	proxy = TASK_READ(task, nsproxy);
	if (!proxy) /* the task is exiting */
		return 0;
	if (kind == NAMESPACE_UTS)
		return TASK_READ(proxy, uts_ns, ns.inum);
	if (kind == NAMESPACE_IPC)
		return TASK_READ(proxy, ipc_ns, ns.inum);
	if (kind == NAMESPACE_MNT)
		return TASK_READ(proxy, mnt_ns, ns.inum);
	if (kind == NAMESPACE_PID_FOR_CHILDREN)
		return TASK_READ(proxy, pid_ns_for_children, ns.inum);
	if (kind == NAMESPACE_NET)
		return TASK_READ(proxy, net_ns, ns.inum);
	if (kind == NAMESPACE_CGROUP)
		return TASK_READ(proxy, cgroup_ns, ns.inum);
	if (kind == NAMESPACE_TIME && bpf_core_field_exists(proxy->time_ns))
		return TASK_READ(proxy, time_ns, ns.inum);
	if (kind == NAMESPACE_TIME_FOR_CHILDREN && bpf_core_field_exists(proxy->time_ns_for_children))
		return TASK_READ(proxy, time_ns_for_children, ns.inum);
	return 0;
}

static __always_inline void read_namespaces(struct task_struct *task, struct ns_value *value)
{
	value->uts = namespace_inum(task, NAMESPACE_UTS);
	value->ipc = namespace_inum(task, NAMESPACE_IPC);
	value->mnt = namespace_inum(task, NAMESPACE_MNT);
	value->pid = namespace_inum(task, NAMESPACE_PID);
	value->pid_for_children = namespace_inum(task, NAMESPACE_PID_FOR_CHILDREN);
	value->net = namespace_inum(task, NAMESPACE_NET);
	value->time = namespace_inum(task, NAMESPACE_TIME);
	value->time_for_children = namespace_inum(task, NAMESPACE_TIME_FOR_CHILDREN);
	value->cgroup = namespace_inum(task, NAMESPACE_CGROUP);
	value->user = namespace_inum(task, NAMESPACE_USER);
}

#endif
