// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Programs to compare the process sensors with: the smallest ones that write the same records, and keep nothing of a
 * process for hooks. Typed tracepoints, because every pointer in them can be followed by loads.
 */
#include "cgroup.h"
#include "cred.h"
#include "namespaces.h"
#include "path.h"

#define KEEP_QUIET 1 /* BPF_RB_NO_WAKEUP */
#define SIGNAL_GROUP_EXIT 0x4

#define FILENAME_BYTES 4096
#define ARGS_BYTES 16384
#define FILENAME_AT sizeof(struct exec_record)
#define ARGS_AT (FILENAME_AT + FILENAME_BYTES)
#define CWD_AT (ARGS_AT + ARGS_BYTES)
#define CGROUP_AT (CWD_AT + PATH_BYTES)
#define EXE_AT (CGROUP_AT + CGROUP_BYTES)
#define EXEC_BYTES (EXE_AT + PATH_BYTES + 8)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

struct scratch {
	union {
		struct exec_record record;
		char bytes[EXEC_BYTES];
	};
	__u64 used; /* in memory for the reason given in struct path_buffer */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch_memory SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct path_buffer);
} path_memory SEC(".maps");

static __always_inline void start(struct record_header *header, __u16 kind, __u32 size)
{
	header->kind = kind;
	header->flags = 0;
	header->size = size;
}

SEC("tp_btf/sched_process_fork")
int smallest_fork(__u64 *context)
{
	struct task_struct *creator = (void *)context[0], *child = (void *)context[1], *parent = child->real_parent;
	struct fork_record *record;
	struct upid upid = {};

	if (child->pid != child->tgid)
		return 0;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record)
		return 0;
	start(&record->header, RECORD_FORK, sizeof(*record));
	record->header.ktime_ns = bpf_ktime_get_boot_ns();
	record->header.pid = record->header.tid = child->tgid;
	record->header.leader_start_ns = child->start_boottime;
	record->header.exec_seq = (__u32)child->self_exec_id;
	record->header.uid = child->cred->euid.val;
	record->parent_pid = parent->tgid;
	record->parent_start_ns = parent->group_leader->start_boottime;
	if (!read_innermost_upid(child->thread_pid, child->thread_pid->level, &upid))
		record->header.flags = RECORD_NS_FAILED;
	record->nspid = upid.nr;
	record->cgroup_id = child->cgroups->dfl_cgrp->kn->id;
	record->creator_pid = creator->tgid;
	record->reserved = 0;
	bpf_ringbuf_submit(record, KEEP_QUIET);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int smallest_exit(__u64 *context)
{
	struct task_struct *task = (void *)context[0];
	struct exit_record *record;

	if (task->signal->live.counter)
		return 0;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record)
		return 0;
	start(&record->header, RECORD_EXIT, sizeof(*record));
	identify_current(&record->header, task);
	if (task->signal->flags & SIGNAL_GROUP_EXIT)
		record->code = task->signal->group_exit_code;
	else
		record->code = task->group_leader->exit_code;
	record->reserved = 0;
	bpf_ringbuf_submit(record, KEEP_QUIET);
	return 0;
}

static __always_inline void describe(struct exec_record *record, struct task_struct *task, struct linux_binprm *bprm)
{
	struct task_struct *parent = task->real_parent;
	struct file *file = task->mm->exe_file;

	start(&record->header, RECORD_EXEC, 0);
	identify_current(&record->header, task);
	if (!load_cred(task->cred, &record->cred))
		record->header.flags |= RECORD_CRED_FAILED;
	if (BPF_CORE_READ_BITFIELD(bprm, secureexec))
		record->header.flags |= RECORD_EXEC_SECURE;
	read_namespaces(task, &record->ns);
	record->nspid = namespace_pid(task);
	record->auid = task->loginuid.val;
	record->parent_pid = parent->tgid;
	record->parent_start_ns = parent->group_leader->start_boottime;
	record->cgroup_id = bpf_get_current_cgroup_id();
	record->exe_links = file->f_inode->i_nlink;
	record->exe_inode = file->f_inode->i_ino;
	record->privileges = 0;
	__builtin_memset(record->reserved16, 0, sizeof(record->reserved16));
}

static __always_inline void add_filename(struct scratch *scratch, struct linux_binprm *bprm)
{
	long size = bpf_probe_read_kernel_str(scratch->bytes + FILENAME_AT, FILENAME_BYTES, bprm->filename);

	scratch->record.filename_size = size > 0 ? size - 1 : 0;
	scratch->used = FILENAME_AT + scratch->record.filename_size;
}

static __always_inline void add_arguments(struct scratch *scratch, struct mm_struct *mm)
{
	__u64 at = at_most(scratch->used, ARGS_AT), size = at_most(mm->arg_end - mm->arg_start, ARGS_BYTES);

	if (bpf_probe_read_user(scratch->bytes + at, size, (const void *)mm->arg_start))
		size = 0;
	scratch->record.args_size = size;
	scratch->used = at + size;
}

static __always_inline void add_path(struct scratch *scratch, struct path_buffer *path, const struct path *from,
				     const struct path *root, __u64 furthest, __u16 *size_out)
{
	__u64 at, size;

	walk_path(path, from, root);
	at = at_most(scratch->used, furthest);
	size = path_size(path);
	if (bpf_probe_read_kernel(scratch->bytes + at, size, path->bytes + PATH_BYTES - size))
		size = 0;
	*size_out = size;
	scratch->used = at + size;
}

static __always_inline void add_cgroup(struct scratch *scratch, struct task_struct *task)
{
	__u64 at = at_most(scratch->used, CGROUP_AT);
	long size = read_cgroup_names(task, scratch->bytes + at);

	scratch->record.cgroup_size = size > 0 ? size : 0;
	scratch->used = at + scratch->record.cgroup_size;
}

SEC("tp_btf/sched_process_exec")
int smallest_exec(__u64 *context)
{
	struct task_struct *task = (void *)context[0];
	struct linux_binprm *bprm = (void *)context[2];
	__u32 zero = 0;
	struct scratch *scratch = bpf_map_lookup_elem(&scratch_memory, &zero);
	struct path_buffer *path = bpf_map_lookup_elem(&path_memory, &zero);
	struct fs_struct *fs = task->fs;
	struct mm_struct *mm = task->mm;

	if (!scratch || !path)
		return 0;
	describe(&scratch->record, task, bprm);
	add_filename(scratch, bprm);
	add_arguments(scratch, mm);
	add_path(scratch, path, &fs->pwd, &fs->root, CWD_AT, &scratch->record.cwd_size);
	add_cgroup(scratch, task);
	add_path(scratch, path, &mm->exe_file->f_path, &fs->root, EXE_AT, &scratch->record.exe_size);
	scratch->record.header.size = at_most((scratch->used + 7) & ~7ULL, EXEC_BYTES);
	bpf_ringbuf_output(&events, scratch, at_most(scratch->record.header.size, EXEC_BYTES), KEEP_QUIET);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
