/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Lists that processes pass on to the processes that they start. Those keep the lists when their creator has ended. */
#ifndef TRIGON_FOLLOW_H
#define TRIGON_FOLLOW_H

#include "image.h"
#include "maps.h"
#include "process.h"

#define TICK_NS 10000000ULL /* of /proc: USER_HZ is 100 */

/* The lists of a process: from its ancestors, from a file that it has executed before, or from user space. */
static __always_inline __u64 lists_followed(struct task_struct *task, __u32 pid)
{
	__u64 *given = bpf_map_lookup_elem(&followed, &pid);
	struct follow_seed *seed = bpf_map_lookup_elem(&follow_seeds, &pid);
	__u64 lists = given ? *given : 0;

	/* Otherwise the seed belongs to an earlier process with this pid, which ended while the seed was written. */
	if (seed && TASK_READ(task, group_leader, start_boottime) - seed->start_ns < TICK_NS)
		lists |= seed->lists;
	return lists;
}

static __always_inline __u64 lists_of_pid(__u32 pid, __u32 in_namespace)
{
	struct follow_pid key = {.pid = pid, .in_namespace = in_namespace};
	__u64 *lists = bpf_map_lookup_elem(&follow_pids, &key);

	return lists ? *lists : 0;
}

static __always_inline __u64 lists_of_path(struct text_ends *name)
{
	__u64 *lists;

	if (!name->path_size || name->path_size >= EXE_PATH) /* the map has no longer paths */
		return 0;
	lists = bpf_map_lookup_elem(&follow_paths, name->path);
	return lists ? *lists : 0;
}

static __always_inline __u64 lists_of_exe(__u32 pid)
{
	struct process_image *image = find_image(pid);
	struct asked_names *asked;
	__u64 lists;

	if (!image)
		return 0;
	lists = lists_of_path(&image->exe);
	asked = find_asked_names(image);
	if (asked)
		lists |= lists_of_path(&asked->name[0]) | lists_of_path(&asked->name[1]);
	return lists;
}
_Static_assert(ASKED_NAMES == 2, "lists_of_exe() names them");

static __always_inline bool are_lists_used(void)
{
	__u32 zero = 0, *count = bpf_map_lookup_elem(&follow_count, &zero);

	return count && *count;
}

/* Passes lists to a child, or to the process itself before it runs another file. False if there is no room. */
static __always_inline bool pass_on_lists(struct task_struct *task, __u32 to)
{
	__u32 pid;
	__u64 lists;

	if (!are_lists_used())
		return true;
	pid = TASK_READ(task, tgid);
	lists = lists_followed(task, pid) | lists_of_exe(pid) | lists_of_pid(pid, 0) |
		lists_of_pid(namespace_pid(task), 1);
	return !lists || !bpf_map_update_elem(&followed, &to, &lists, BPF_ANY);
}

#endif
