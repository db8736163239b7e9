/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Capabilities and namespaces of the current task, and what they were when its process executed or was reported. */
#ifndef TRIGON_STATE_H
#define TRIGON_STATE_H

#include "cred.h"
#include "image.h"
#include "maps.h"
#include "namespaces.h"

#define REPORT_GENERATIONS 4

#define READ_CAPS(cred, set)                                                                                       \
	({                                                                                                         \
		__u64 caps = 0;                                                                                    \
		if (HAS_CURRENT_TASK_BTF)                                                                          \
			caps = CAPS(cred, set);                                                                    \
		else                                                                                               \
			bpf_probe_read_kernel(&caps, sizeof(caps), __builtin_preserve_access_index(&(cred)->set)); \
		caps;                                                                                              \
	})

/* `set` is a constant to the verifier. */
static __always_inline __u64 current_caps(struct task_struct *task, __u8 set)
{
	const struct cred *cred = TASK_READ(task, cred);

	if (set == CAPABILITIES_EFFECTIVE)
		return READ_CAPS(cred, cap_effective);
	if (set == CAPABILITIES_INHERITABLE)
		return READ_CAPS(cred, cap_inheritable);
	return READ_CAPS(cred, cap_permitted);
}

/* The hook's last report on the process, or on the one that it was forked from after the report. */
static __always_inline struct state_report *find_report(struct task_struct *task, __u64 exec_ns)
{
	__u64 start_ns = -1ULL;
	int i;

	NOT_UNROLLED
	for (i = 0; i < REPORT_GENERATIONS; i++) {
		struct report_key key = {.exec_ns = exec_ns, .pid = TASK_READ(task, tgid)};
		struct state_report *report = bpf_map_lookup_elem(&hook_reports, &key);

		if (report)
			return report->ktime_ns < start_ns ? report : NULL;
		start_ns = TASK_READ(task, group_leader, start_boottime);
		task = TASK_READ(task, real_parent);
	}
	return NULL;
}

/* The state that the current one is compared with; NULL if none is known. */
static __always_inline const struct process_state *remembered_state(struct task_struct *task)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct process_image *image = find_image(pid);
	struct state_report *report;

	if (!image || !(image->flags & IMAGE_STATE_KNOWN))
		return NULL;
	if (image->flags & IMAGE_STATE_REPORTED) {
		report = find_report(task, image->exec_ns);
		if (report)
			return &report->state;
	}
	return &image->state;
}

/* `kinds` is a constant to the verifier. */
static __always_inline bool is_namespace_changed(struct task_struct *task, __u32 kinds)
{
	const struct process_state *state = remembered_state(task);
	__u32 kind;

	if (!state)
		return false;
#pragma unroll
	for (kind = 0; kind < NAMESPACE_KINDS; kind++) {
		__u32 inum = kinds & 1 << kind ? namespace_inum(task, kind) : 0;

		if (inum && inum != state->ns[kind])
			return true;
	}
	return false;
}

/* Makes the current state the one that this hook compares with. */
static __always_inline void remember_state(struct task_struct *task)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct process_image *image = find_image(pid);
	struct state_report report = {.ktime_ns = bpf_ktime_get_boot_ns()};
	struct report_key key = {.pid = pid};

	if (!image)
		return;
	key.exec_ns = image->exec_ns;
	report.state.caps[CAPABILITIES_EFFECTIVE] = current_caps(task, CAPABILITIES_EFFECTIVE);
	report.state.caps[CAPABILITIES_INHERITABLE] = current_caps(task, CAPABILITIES_INHERITABLE);
	report.state.caps[CAPABILITIES_PERMITTED] = current_caps(task, CAPABILITIES_PERMITTED);
	read_namespaces(task, (struct ns_value *)report.state.ns);
	if (!bpf_map_update_elem(&hook_reports, &key, &report, BPF_ANY))
		image->flags |= IMAGE_STATE_REPORTED;
}

/* `field` is a constant to the verifier. */
static __always_inline __u32 current_cred_field(struct task_struct *task, __u8 field)
{
	if (field == CURRENT_UID)
		return TASK_READ(task, cred, uid.val);
	if (field == CURRENT_EUID)
		return TASK_READ(task, cred, euid.val);
	if (field == CURRENT_SUID)
		return TASK_READ(task, cred, suid.val);
	if (field == CURRENT_FSUID)
		return TASK_READ(task, cred, fsuid.val);
	if (field == CURRENT_GID)
		return TASK_READ(task, cred, gid.val);
	if (field == CURRENT_EGID)
		return TASK_READ(task, cred, egid.val);
	if (field == CURRENT_SGID)
		return TASK_READ(task, cred, sgid.val);
	if (field == CURRENT_FSGID)
		return TASK_READ(task, cred, fsgid.val);
	if (field == CURRENT_AUID)
		return bpf_core_field_exists(task->loginuid) ? TASK_READ(task, loginuid.val) : -1U;
	if (field == CURRENT_SECUREBITS)
		return TASK_READ(task, cred, securebits);
	if (field == CURRENT_NO_NEW_PRIVS)
		return TASK_READ(task, atomic_flags) & 1; /* PFA_NO_NEW_PRIVS is bit 0 */
	return TASK_READ(task, cred, user_ns, level);
}

#endif
