/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Scopes: which processes a hook or one of its selectors is about, by their cgroup. User space knows the pods and
 * decides; here a bit is looked up. A new cgroup gets what its parent has before a process can be in it.
 */
#ifndef TRIGON_SCOPE_H
#define TRIGON_SCOPE_H

#include "maps.h"
#include "process.h"

enum scope_verdict {
	SCOPE_OUTSIDE = 0,
	SCOPE_INSIDE = 1,
	SCOPE_UNDECIDED = 2, /* a pod or container that user space does not know yet: reported, never enforced */
};

/* NULL for a process that is in no pod. */
static __always_inline const struct cgroup_scopes *scopes_of_current(struct task_struct *task)
{
	__u64 cgroup_id = bpf_get_current_cgroup_id();

	return bpf_map_lookup_elem(&cgroup_scopes, &cgroup_id);
}

static __always_inline bool are_scopes_full(void)
{
	__u32 zero = 0, *full = bpf_map_lookup_elem(&scopes_are_full, &zero);

	return full && *full;
}

static __always_inline __u8 scope_verdict(const struct cgroup_scopes *scopes, __u32 scope, __u8 flags)
{
	__u32 word = scope / 64 % SCOPE_WORDS;
	__u64 bit = 1ULL << scope % 64;

	if (!scopes)
		return are_scopes_full() ? SCOPE_UNDECIDED : flags & SCOPE_HOST ? SCOPE_INSIDE : SCOPE_OUTSIDE;
	if (scopes->inside[word] & bit)
		return SCOPE_INSIDE;
	return scopes->undecided[word] & bit ? SCOPE_UNDECIDED : SCOPE_OUTSIDE;
}

#endif
