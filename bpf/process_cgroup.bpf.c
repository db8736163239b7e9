// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Cgroups of the v2 hierarchy come and go: one cgroup_record each; a new one belongs to the scopes of its parent. */
#include "cgroup.h"
#include "namespaces.h"
#include "process.h"
#include "ring.h"
#include "stats.h"

/* Those of v1 hierarchies have ids of their own, which may be equal. */
static __always_inline bool is_of_v2(struct cgroup *cgroup)
{
	return BPF_CORE_READ(cgroup, root, hierarchy_id) == 0;
}

/* PROC_CGROUP_INIT_INO: the inode number of the namespace that the kernel starts with. */
#define FIRST_CGROUP_NAMESPACE 0xEFFFFFFBU

/*
 * conmon watches a container of CRI-O from a cgroup of its pod, and is no part of it. Its runtime starts from there, too.
 * A container that makes a cgroup of such a name does not leave its scopes: it sees cgroups in a namespace of its own.
 */
static __always_inline bool is_monitor(struct kernfs_node *node)
{
	const char monitor[] = "crio-conmon-";
	char name[sizeof(monitor)] = {};

	if (namespace_inum(current_task(), NAMESPACE_CGROUP) != FIRST_CGROUP_NAMESPACE)
		return false;
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(node, name));
#pragma unroll
	for (__u32 i = 0; i < sizeof(monitor) - 1; i++)
		if (name[i] != monitor[i])
			return false;
	return true;
}

static __always_inline void inherit_scopes(__u64 parent, __u64 child, struct hook_stats *stats)
{
	struct cgroup_scopes *scopes = bpf_map_lookup_elem(&cgroup_scopes, &parent);

	__u32 zero = 0, full = 1;

	if (!scopes || !bpf_map_update_elem(&cgroup_scopes, &child, scopes, BPF_ANY))
		return;
	stats->errors++;
	bpf_map_update_elem(&scopes_are_full, &zero, &full, BPF_ANY);
}

static __always_inline int report_cgroup(struct kernfs_node *node, __u64 id, __u64 parent_id, bool removed,
					 struct hook_stats *stats)
{
	struct cgroup_record *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	long size;

	if (!record) {
		stats->lost++;
		return 0;
	}
	record->header.kind = RECORD_CGROUP;
	record->header.flags = 0;
	record->header.size = sizeof(*record);
	identify_current(&record->header, current_task());
	record->cgroup_id = id;
	record->parent_id = parent_id;
	record->removed = removed;
	size = bpf_probe_read_kernel_str(record->name, sizeof(record->name), BPF_CORE_READ(node, name));
	if (size < 0)
		record->header.flags |= RECORD_CGROUP_FAILED;
	record->name_size = size < 1 ? 0 : size - 1;
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	stats->posted++;
	return 0;
}

SEC("raw_tp/cgroup_mkdir")
int process_cgroup_mkdir(struct bpf_raw_tracepoint_args *ctx)
{
	struct cgroup *cgroup = (struct cgroup *)ctx->args[0];
	struct kernfs_node *node = BPF_CORE_READ(cgroup, kn);
	__u64 id = BPF_CORE_READ(node, id);
	__u64 parent = BPF_CORE_READ(kernfs_parent(node), id);
	struct hook_stats *stats;

	if (!is_of_v2(cgroup))
		return 0;
	stats = count_sensor_hit(RECORD_CGROUP);
	if (!stats)
		return 0;
	if (!is_monitor(node))
		inherit_scopes(parent, id, stats);
	return report_cgroup(node, id, parent, false, stats);
}

SEC("raw_tp/cgroup_rmdir")
int process_cgroup_rmdir(struct bpf_raw_tracepoint_args *ctx)
{
	struct cgroup *cgroup = (struct cgroup *)ctx->args[0];
	struct kernfs_node *node = BPF_CORE_READ(cgroup, kn);
	__u64 id = BPF_CORE_READ(node, id);
	struct hook_stats *stats;

	if (!is_of_v2(cgroup))
		return 0;
	stats = count_sensor_hit(RECORD_CGROUP);
	if (!stats)
		return 0;
	bpf_map_delete_elem(&cgroup_scopes, &id);
	return report_cgroup(node, id, 0, true, stats);
}
