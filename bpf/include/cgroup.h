/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Names of a task's cgroup, from which user space reads the container. */
#ifndef TRIGON_CGROUP_H
#define TRIGON_CGROUP_H

#include "core.h"

#define CGROUP_NAME 256
#define CGROUP_BYTES (2 * CGROUP_NAME)

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___since_6_15 *renamed = (void *)node;

	if (bpf_core_field_exists(renamed->__parent))
		return BPF_CORE_READ(renamed, __parent);
	return BPF_CORE_READ(node, parent);
}

/*
 * The cgroup of the v2 hierarchy. Nodes whose processes live in v1 hierarchies have all of them in the root of v2: there
 * it is the cgroup of the memory controller.
 */
static __always_inline struct kernfs_node *cgroup_node(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct kernfs_node *node = BPF_CORE_READ(set, dfl_cgrp, kn);

	if (!kernfs_parent(node) && bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) {
		struct cgroup_subsys_state *state = NULL;

		bpf_core_read(&state, sizeof(state),
			      &set->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id)]);
		if (state)
			node = BPF_CORE_READ(state, cgroup, kn);
	}
	return node;
}

/* Writes PARENT/LEAF, or LEAF below the root, nothing for the root itself; returns its size or a negative errno. */
static __always_inline long read_cgroup_names(struct task_struct *task, char *text)
{
	struct kernfs_node *node = cgroup_node(task), *parent = kernfs_parent(node);
	long size = 0, leaf;

	if (!node)
		return -1;
	if (!parent)
		return 0;
	if (kernfs_parent(parent)) {
		size = bpf_probe_read_kernel_str(text, CGROUP_NAME, BPF_CORE_READ(parent, name));
		if (size < 1)
			return -1;
		size = at_most(size - 1, CGROUP_NAME - 1);
		text[size] = '/';
		size++;
	}
	leaf = bpf_probe_read_kernel_str(text + size, CGROUP_NAME, BPF_CORE_READ(node, name));
	if (leaf < 1)
		return -1;
	return size + leaf - 1;
}

#endif
