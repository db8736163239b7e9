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

/* The same of a node that was reached from current_task() by TASK_READ. */
static __always_inline struct kernfs_node *own_kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___since_6_15 *renamed = (void *)node;

	if (bpf_core_field_exists(renamed->__parent))
		return TASK_READ(renamed, __parent);
	return TASK_READ(node, parent);
}

static __always_inline struct cgroup_subsys_state *memory_state(struct css_set *set)
{
	__u64 offset = bpf_core_field_offset(struct css_set, subsys) +
		       sizeof(void *) * bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	struct cgroup_subsys_state **state = (void *)set + offset, *value = NULL;

	if (HAS_CURRENT_TASK_BTF)
		return *state;
	bpf_probe_read_kernel(&value, sizeof(value), state);
	return value;
}

/*
 * The cgroup of the v2 hierarchy. Nodes whose processes live in v1 hierarchies have all of them in the root of v2: there
 * it is the cgroup of the memory controller.
 */
static __always_inline struct kernfs_node *cgroup_node(struct task_struct *task)
{
	struct kernfs_node *node = TASK_READ(task, cgroups, dfl_cgrp, kn);
	struct cgroup_subsys_state *state;

	if (own_kernfs_parent(node) || !bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return node;
	state = memory_state(TASK_READ(task, cgroups));
	return state ? TASK_READ(state, cgroup, kn) : node;
}

/* Writes PARENT/LEAF, or LEAF below the root, nothing for the root itself; returns its size or a negative errno. */
static __always_inline long read_cgroup_names(struct task_struct *task, char *text)
{
	struct kernfs_node *node = cgroup_node(task), *parent = own_kernfs_parent(node);
	long size = 0, leaf;

	if (!node)
		return -1;
	if (!parent)
		return 0;
	if (own_kernfs_parent(parent)) {
		size = bpf_probe_read_kernel_str(text, CGROUP_NAME, TASK_READ(parent, name));
		if (size < 1)
			return -1;
		size = at_most(size - 1, CGROUP_NAME - 1);
		text[size] = '/';
		size++;
	}
	leaf = bpf_probe_read_kernel_str(text + size, CGROUP_NAME, TASK_READ(node, name));
	if (leaf < 1)
		return -1;
	return size + leaf - 1;
}

#endif
