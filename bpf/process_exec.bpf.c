// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A process executes a file: one exec_record, and the new path in process_images. */
#include "cgroup.h"
#include "cred.h"
#include "follow.h"
#include "image.h"
#include "maps.h"
#include "namespaces.h"
#include "path.h"
#include "registers.h"
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
	__u64 cwd_at; /* where the current directory begins */
};
_Static_assert(sizeof(struct exec_scratch) <= 32 << 10, "a per-CPU value has at most 32 KiB");

struct image_scratch {
	struct path_buffer path;
	struct process_image image;
	struct asked_names asked;
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

static __always_inline bool read_own_cred(struct task_struct *task, struct cred_value *value)
{
	return HAS_CURRENT_TASK_BTF ? load_cred(task->cred, value) : read_cred(BPF_CORE_READ(task, cred), value);
}

static __always_inline void describe_process(struct exec_record *record, struct task_struct *task)
{
	struct task_struct *parent = TASK_READ(task, real_parent);

	if (!read_own_cred(task, &record->cred)) {
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
	record->cgroup_id = bpf_get_current_cgroup_id();
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
	__u64 start = TASK_READ(mm, arg_start);
	__u64 size = TASK_READ(mm, arg_end) - start;

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
	scratch->cwd_at = scratch->used;
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

/*
 * Changes are compared with the state at the first exec of a process, or with the one that a hook reported since then. A
 * later exec keeps it, so that a change that the exec itself makes is found.
 */
static __always_inline void keep_state(struct process_image *image, const struct process_image *before,
				       const struct exec_record *record)
{
	image->pid = record->header.pid;
	if (before && before->pid == record->header.pid && before->flags & IMAGE_STATE_KNOWN) {
		image->exec_ns = before->exec_ns;
		image->flags = before->flags & (IMAGE_STATE_KNOWN | IMAGE_STATE_REPORTED);
		image->state = before->state;
		return;
	}
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

/* The size anew from memory: the verifier knows no bounds of it, so all rounds of a loop end in one state. */
static __always_inline __u32 any_size(const struct text_ends *name)
{
	return *(const volatile __u32 *)&name->path_size;
}

#define EACH_BYTE(byte) (0x0101010101010101ULL * (byte))

/* The highest bit of each byte of the word that is this character. */
static __always_inline __u64 where_is(__u64 word, __u8 character)
{
	__u64 other = word ^ EACH_BYTE(character);

	return ~((other & EACH_BYTE(0x7f)) + EACH_BYTE(0x7f) | other | EACH_BYTE(0x7f));
}

/*
 * Whether each name of the path leads down: there is no empty one, no . and no .. in it. Eight bytes at a time and without
 * a branch between them, because the verifier follows each branch in each round. Behind the path there are zeros.
 */
static __always_inline bool leads_down(const struct text_ends *name)
{
	const __u64 *words = (const __u64 *)name->path;
	__u64 slashes = 0, dots = 0, leads_up = 0;
	__u32 i;

	NOT_UNROLLED
	for (i = 0; i < EXE_PATH / 8 && i * 8 < any_size(name); i++) {
		__u64 slash = where_is(words[i], '/'), dot = where_is(words[i], '.');
		/* In the place of each byte, what is one, two and three before it. */
		__u64 slash1 = slash << 8 | slashes >> 56, slash2 = slash << 16 | slashes >> 48;
		__u64 slash3 = slash << 24 | slashes >> 40;
		__u64 dot1 = dot << 8 | dots >> 56, dot2 = dot << 16 | dots >> 48;

		leads_up |= slash & (slash1 | (dot1 & slash2) | (dot1 & dot2 & slash3));
		slashes = slash;
		dots = dot;
	}
	return name->path[0] == '/' && !leads_up;
}

/* Whether these bytes are the whole path. Behind their end there are zeros up to the end of a word, as behind the path. */
static __always_inline bool is_path(const char *bytes, __u64 size, const struct text_ends *exe)
{
	const __u64 *words = (const __u64 *)bytes, *others = (const __u64 *)exe->path;
	__u64 differences = size ^ exe->path_size;
	__u32 i;

	NOT_UNROLLED
	for (i = 0; i < EXE_PATH / 8 && i * 8 < any_size(exe); i++)
		differences |= words[i] ^ others[i];
	return !differences;
}

/*
 * Puts a path that was asked for, behind the directory that begins the buffer, into `name`. True if it is another one
 * than the executed file's. One that leads up again could claim to be anywhere, and a longer one equals no other, so
 * neither is kept.
 */
static __always_inline bool set_asked(struct text_ends *name, const struct text_ends *exe, struct path_buffer *buffer,
				      __u64 at, const char *from)
{
	char *bytes = buffer->bytes;
	long length = bpf_probe_read_kernel_str(bytes + at_most(at, EXE_PATH), EXE_PATH + 1, from);
	__u64 size = at_most(at, EXE_PATH) + length - 1, tail;

	if (length < 2 || size >= EXE_PATH)
		return false;
	size = at_most(size, EXE_PATH - 1);
	__builtin_memset(bytes + size, 0, sizeof(__u64));
	if (is_path(bytes, size, exe))
		return false;
	__builtin_memset(name, 0, sizeof(*name));
	tail = at_most(size, EXE_TAIL);
	bpf_probe_read_kernel(name->path, size, bytes);
	bpf_probe_read_kernel(name->tail + at_most(EXE_TAIL - tail, EXE_TAIL), tail,
			      bytes + at_most(size - tail, EXE_PATH));
	name->path_size = size;
	return leads_down(name);
}

/* Puts the directory before a relative name into the buffer, and skips its ./ at the beginning; returns its size. */
static __always_inline __u64 put_directory(struct exec_scratch *scratch, struct path_buffer *buffer, const char **name)
{
	__u64 size = at_most(scratch->record.cwd_size, EXE_PATH - 1);
	char first[2] = {};

	bpf_probe_read_kernel(first, sizeof(first), *name);
	if (first[0] == '/' || scratch->record.header.flags & (RECORD_CWD_FAILED | RECORD_CWD_TRUNCATED))
		return 0;
	if (first[0] == '.' && first[1] == '/')
		*name += 2;
	if (scratch->record.header.flags & RECORD_CWD_ROOT)
		size = 0;
	bpf_probe_read_kernel(buffer->bytes, size, scratch->bytes + at_most(scratch->cwd_at, CWD_AT));
	buffer->bytes[size] = '/';
	return size + 1;
}

/* The path that exec was given, as an event shows it, and that of an interpreter: links are not resolved in them. */
static __always_inline bool find_asked(struct exec_scratch *scratch, struct image_scratch *image,
				       struct linux_binprm *bprm)
{
	const char *filename = BPF_CORE_READ(bprm, filename), *interpreter = BPF_CORE_READ(bprm, interp);
	struct asked_names *asked = &image->asked;
	const char *name = filename;
	__u64 at = put_directory(scratch, &image->path, &name);
	bool has_first = set_asked(&asked->name[0], &image->image.exe, &image->path, at, name), has_second = false;

	if (interpreter != filename)
		has_second = set_asked(&asked->name[1], &image->image.exe, &image->path, 0, interpreter);
	if (!has_first)
		asked->name[0].path_size = 0;
	if (!has_second)
		asked->name[1].path_size = 0;
	return has_first || has_second;
}

/* Puts the path in the buffer where the process's executable stands. */
static __always_inline void set_exe(struct text_ends *exe, const struct path_buffer *path)
{
	const char *end = path->bytes + PATH_BYTES;
	__u64 size = path_size(path);
	__u64 head = at_most(size, EXE_PATH - 1);
	__u64 tail = at_most(size, EXE_TAIL);

	if (!(path->flags & WALK_TRUNCATED)) /* otherwise the beginning is not known */
		bpf_probe_read_kernel(exe->path, head, end - size);
	bpf_probe_read_kernel(exe->tail + at_most(EXE_TAIL - tail, EXE_TAIL), tail, end - tail);
	exe->path_size = path->flags & WALK_TRUNCATED ? PATH_BYTES : size;
}

static __always_inline void add_exe(struct exec_scratch *scratch, struct image_scratch *image,
				    struct linux_binprm *bprm, struct mm_struct *mm, struct fs_struct *fs,
				    struct hook_stats *stats)
{
	struct file *file = TASK_READ(mm, exe_file);
	__u32 pid = scratch->record.header.pid;
	struct image_slot *slot = find_slot(pid);
	struct process_image *before = slot ? image_of_slot(slot) : NULL;
	struct asked_names *asked;

	walk_path(&image->path, &file->f_path, &fs->root);
	scratch->record.exe_size = 0;
	scratch->record.exe_links = TASK_READ(file, f_inode, i_nlink);
	scratch->record.exe_inode = TASK_READ(file, f_inode, i_ino);
	if (image->path.flags & WALK_FAILED) {
		if (slot)
			free_slot(slot);
		return;
	}
	__builtin_memset(&image->image, 0, sizeof(image->image));
	set_exe(&image->image.exe, &image->path);
	keep_state(&image->image, before, &scratch->record);
	if (!(image->path.flags & WALK_TRUNCATED))
		add_path(scratch, at_most(scratch->used, EXE_AT), &image->path, &scratch->record.exe_size);
	asked = find_asked(scratch, image, bprm) ? &image->asked : NULL;
	if (!change_image(slot, &image->image, asked, scratch->record.header.ktime_ns))
		stats->errors++;
}

/* Where the kernel itself saw a change, takes the result of process_privileges, if the kernel allowed that program. */
static __always_inline void add_privileges(struct exec_record *record, struct linux_binprm *bprm)
{
	__u32 pid = record->header.pid;
	__u16 *gains;

	record->privileges = EXEC_PRIVILEGES_KNOWN;
	if (!BPF_CORE_READ(bprm, per_clear))
		return;
	gains = bpf_map_lookup_elem(&exec_gains, &pid);
	record->privileges = 0;
	if (!gains)
		return;
	record->privileges = *gains;
	bpf_map_delete_elem(&exec_gains, &pid);
}

static __always_inline int report_exec(struct linux_binprm *bprm)
{
	struct task_struct *task = without_trust(current_task());
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
	add_exe(scratch, image, bprm, mm, fs, stats);
	size = at_most((scratch->used + 7) & ~7ULL, EXEC_BYTES);
	add_privileges(&scratch->record, bprm);
	__builtin_memset(scratch->record.reserved16, 0, sizeof(scratch->record.reserved16));
	scratch->record.header.size = size;
	if (copy_to_ring(scratch, size))
		stats->posted++;
	else
		stats->lost++;
	return 0;
}

/* Both are templates. On sched_process_exec. */
SEC("raw_tp")
int process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	return report_exec((struct linux_binprm *)ctx->args[2]);
}

/* On finalize_exec(), the last call before it, where the kernel preempts tasks in programs of raw tracepoints. */
SEC("kprobe")
int process_exec_kprobe(struct pt_regs *ctx)
{
	return report_exec((struct linux_binprm *)PT_REGS_PARM1(ctx));
}
