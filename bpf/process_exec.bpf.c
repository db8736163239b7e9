// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A process executes a file: one exec_record, and the new path in process_images. */
#include "cgroup.h"
#include "cred.h"
#include "follow.h"
#include "maps.h"
#include "namespaces.h"
#include "path.h"
#include "ring.h"
#include "stats.h"

#define FILENAME_BYTES 4096
#define ARGS_BYTES 16384
/* The highest offset at which each part of the record can begin. */
#define FILENAME_AT sizeof(struct exec_record)
#define ARGS_AT (FILENAME_AT + FILENAME_BYTES)
#define CWD_AT (ARGS_AT + ARGS_BYTES)
#define CGROUP_AT (CWD_AT + PATH_BYTES)
#define EXE_AT (CGROUP_AT + CGROUP_BYTES)
#define EXEC_BYTES (EXE_AT + PATH_BYTES + 8)

struct exec_scratch {
	union {
		struct exec_record record;
		char bytes[EXEC_BYTES];
	};
	/* Bytes of the record so far; in memory for the reason given in struct path_buffer. */
	__u64 used;
};
_Static_assert(sizeof(struct exec_scratch) <= 32 << 10, "a per-CPU value has at most 32 KiB");

struct image_scratch {
	struct path_buffer path;
	struct process_image image;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exec_scratch);
} exec_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct image_scratch);
} image_scratch SEC(".maps");

static __always_inline void describe_process(struct exec_record *record, struct task_struct *task)
{
	struct task_struct *parent = TASK_READ(task, real_parent);

	if (!read_cred(TASK_READ(task, cred), &record->cred)) {
		__builtin_memset(&record->cred, 0, sizeof(record->cred));
		record->header.flags |= RECORD_CRED_FAILED;
	}
	read_namespaces(task, &record->ns);
	record->nspid = namespace_pid(task);
	if (!record->ns.pid || !record->ns.user || !record->nspid)
		record->header.flags |= RECORD_NS_FAILED;
	record->auid = bpf_core_field_exists(task->loginuid) ? TASK_READ(task, loginuid.val) : -1U;
	record->parent_pid = TASK_READ(parent, tgid);
	record->parent_start_ns = TASK_READ(parent, group_leader, start_boottime);
	record->cgroup_id = cgroup_id_of_current(task);
}

static __always_inline void add_filename(struct exec_scratch *scratch, struct linux_binprm *bprm)
{
	long size = bpf_probe_read_kernel_str(scratch->bytes + FILENAME_AT, FILENAME_BYTES,
					      BPF_CORE_READ(bprm, filename));

	if (size < 1) {
		scratch->record.header.flags |= RECORD_FILENAME_FAILED;
		size = 1;
	}
	scratch->record.filename_size = size - 1;
	scratch->used = FILENAME_AT + size - 1;
}

static __always_inline void add_arguments(struct exec_scratch *scratch, struct mm_struct *mm)
{
	__u64 at = at_most(scratch->used, ARGS_AT);
	__u64 start = BPF_CORE_READ(mm, arg_start);
	__u64 size = BPF_CORE_READ(mm, arg_end) - start;

	if (size > ARGS_BYTES)
		scratch->record.header.flags |= RECORD_ARGS_TRUNCATED;
	size = at_most(size, ARGS_BYTES);
	if (bpf_probe_read_user(scratch->bytes + at, size, (const void *)start)) {
		scratch->record.header.flags |= RECORD_ARGS_FAILED;
		size = 0;
	}
	scratch->record.args_size = size;
	scratch->used = at + size;
}

/* Appends the path that walk_path() left in the buffer. */
static __always_inline void add_path(struct exec_scratch *scratch, __u64 at, struct path_buffer *path, __u16 *size_out)
{
	__u64 size = path_size(path);

	if (bpf_probe_read_kernel(scratch->bytes + at, size, path->bytes + PATH_BYTES - size))
		size = 0;
	*size_out = size;
	scratch->used = at + size;
}

static __always_inline void add_cwd(struct exec_scratch *scratch, struct path_buffer *path, struct fs_struct *fs)
{
	walk_path(path, &fs->pwd, &fs->root);
	if (path->flags & WALK_FAILED) {
		scratch->record.header.flags |= RECORD_CWD_FAILED;
		path->start = PATH_BYTES;
	} else if (path->flags & WALK_TRUNCATED) {
		scratch->record.header.flags |= RECORD_CWD_TRUNCATED;
	} else if (path_size(path) == 1) {
		scratch->record.header.flags |= RECORD_CWD_ROOT;
	}
	add_path(scratch, at_most(scratch->used, CWD_AT), path, &scratch->record.cwd_size);
}

static __always_inline void add_cgroup(struct exec_scratch *scratch, struct task_struct *task)
{
	__u64 at = at_most(scratch->used, CGROUP_AT);
	long size = read_cgroup_names(task, scratch->bytes + at);

	if (size < 0) {
		scratch->record.header.flags |= RECORD_CGROUP_FAILED;
		size = 0;
	}
	scratch->record.cgroup_size = size;
	scratch->used = at + size;
}

/* Changes are compared with the state of the process when it executed. */
static __always_inline void keep_state(struct process_image *image, const struct exec_record *record)
{
	image->exec_ns = record->header.ktime_ns;
	if (record->header.flags & (RECORD_CRED_FAILED | RECORD_NS_FAILED))
		return;
	image->state.caps[CAPABILITIES_EFFECTIVE] = record->cred.cap_effective;
	image->state.caps[CAPABILITIES_INHERITABLE] = record->cred.cap_inheritable;
	image->state.caps[CAPABILITIES_PERMITTED] = record->cred.cap_permitted;
	_Static_assert(sizeof(image->state.ns) == sizeof(record->ns), "in the order of enum namespace_kind");
	__builtin_memcpy(image->state.ns, &record->ns, sizeof(record->ns));
	image->flags = IMAGE_STATE_KNOWN;
}

/* Stores the path in the buffer as the process's executable. */
static __always_inline void keep_image(struct image_scratch *scratch, const struct exec_record *record,
				       struct hook_stats *stats)
{
	__u32 pid = record->header.pid;
	struct process_image *image = &scratch->image;
	const char *end = scratch->path.bytes + PATH_BYTES;
	__u64 size = path_size(&scratch->path);
	__u64 head = at_most(size, EXE_PATH - 1);
	__u64 tail = at_most(size, EXE_TAIL);

	__builtin_memset(image, 0, sizeof(*image));
	if (!(scratch->path.flags & WALK_TRUNCATED)) /* otherwise the beginning is not known */
		bpf_probe_read_kernel(image->path, head, end - size);
	bpf_probe_read_kernel(image->tail + at_most(EXE_TAIL - tail, EXE_TAIL), tail, end - tail);
	image->path_size = scratch->path.flags & WALK_TRUNCATED ? PATH_BYTES : size;
	keep_state(image, record);
	if (bpf_map_update_elem(&process_images, &pid, image, BPF_ANY))
		stats->errors++;
}

static __always_inline void add_exe(struct exec_scratch *scratch, struct image_scratch *image, struct mm_struct *mm,
				    struct fs_struct *fs, struct hook_stats *stats)
{
	struct file *file = BPF_CORE_READ(mm, exe_file);

	walk_path(&image->path, &file->f_path, &fs->root);
	scratch->record.exe_size = 0;
	scratch->record.exe_links = BPF_CORE_READ(file, f_inode, i_nlink);
	scratch->record.exe_inode = BPF_CORE_READ(file, f_inode, i_ino);
	if (image->path.flags & WALK_FAILED)
		return;
	keep_image(image, &scratch->record, stats);
	if (image->path.flags & WALK_TRUNCATED)
		return;
	add_path(scratch, at_most(scratch->used, EXE_AT), &image->path, &scratch->record.exe_size);
}

/* Takes the result of process_privileges, if the kernel allowed that program. */
static __always_inline void add_privileges(struct exec_record *record)
{
	__u32 pid = record->header.pid;
	__u16 *gains = bpf_map_lookup_elem(&exec_gains, &pid);

	record->privileges = 0;
	if (!gains)
		return;
	record->privileges = *gains;
	bpf_map_delete_elem(&exec_gains, &pid);
}

SEC("raw_tp/sched_process_exec")
int process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	struct task_struct *task = current_task();
	struct hook_stats *stats = count_sensor_hit(RECORD_EXEC);
	struct exec_scratch *scratch;
	struct image_scratch *image;
	struct mm_struct *mm;
	struct fs_struct *fs;
	__u32 zero = 0;
	__u64 size;

	scratch = bpf_map_lookup_elem(&exec_scratch, &zero);
	image = bpf_map_lookup_elem(&image_scratch, &zero);
	if (!stats || !scratch || !image)
		return 0;

	scratch->record.header.kind = RECORD_EXEC;
	scratch->record.header.flags = 0;
	identify_current(&scratch->record.header, task);
	describe_process(&scratch->record, task);
	if (BPF_CORE_READ_BITFIELD_PROBED(bprm, secureexec))
		scratch->record.header.flags |= RECORD_EXEC_SECURE;

	mm = TASK_READ(task, mm);
	fs = TASK_READ(task, fs);
	add_filename(scratch, bprm);
	add_arguments(scratch, mm);
	add_cwd(scratch, &image->path, fs);
	add_cgroup(scratch, task);
	if (!pass_on_lists(task, scratch->record.header.pid))
		stats->errors++;
	add_exe(scratch, image, mm, fs, stats);
	size = at_most((scratch->used + 7) & ~7ULL, EXEC_BYTES);
	add_privileges(&scratch->record);
	__builtin_memset(scratch->record.reserved16, 0, sizeof(scratch->record.reserved16));
	scratch->record.header.size = size;
	if (bpf_ringbuf_output(&events, scratch, size, wake_up_flags()))
		stats->lost++;
	else
		stats->posted++;
	return 0;
}
