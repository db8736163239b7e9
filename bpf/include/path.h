/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Paths by a bounded walk from dentry to root; bpf_d_path is refused in most places that need one. */
#ifndef TRIGON_PATH_H
#define TRIGON_PATH_H

#include "core.h"

#define PATH_BYTES 4096
#define NAME_BYTES 256
#define MAX_STEPS 128 /* components and mount points */

enum walk_flags {
	WALK_TRUNCATED = 1 << 0,	/* the beginning is missing */
	WALK_FAILED = 1 << 1,
};

struct path_buffer {
	/* Filled from the end of PATH_BYTES; the rest is slack, which the verifier wants behind a masked offset. */
	char bytes[PATH_BYTES + NAME_BYTES];
	/*
	 * The walk's state is here and not in registers: what comes from memory is unknown to the verifier, so that its
	 * states after 1, 2, 3 ... steps, and after each way to make one, are one and the same.
	 */
	__u64 start;	/* the path goes from here to PATH_BYTES */
	struct dentry *dentry;
	struct vfsmount *mount;
	struct dentry *mount_root;
	__u32 flags;	/* enum walk_flags */
	__u32 reserved;
};

/* Puts a name and the slash before it in front of what is there. */
static __always_inline bool prepend_name(struct path_buffer *buffer, const struct qstr *name)
{
	__u64 length = at_most(name->len, NAME_BYTES - 1);
	__u64 start = buffer->start;

	if (start <= length) { /* not `< length + 1`: 6.12 then forgets the bounds of length */
		buffer->flags |= WALK_TRUNCATED;
		return false;
	}
	start -= length;
	if (bpf_probe_read_kernel(&buffer->bytes[start & (PATH_BYTES - 1)], length, name->name)) {
		buffer->flags |= WALK_FAILED;
		return false;
	}
	start -= 1;
	buffer->bytes[start & (PATH_BYTES - 1)] = '/';
	buffer->start = start;
	return true;
}

static __always_inline void enter_mount(struct path_buffer *buffer, struct vfsmount *mount, struct dentry *dentry)
{
	buffer->mount = mount;
	buffer->mount_root = BPF_CORE_READ(mount, mnt_root);
	buffer->dentry = dentry;
}

/* From the root of a mount to where it is mounted; false at the root of everything. */
static __always_inline bool leave_mount(struct path_buffer *buffer)
{
	struct mount *here = (void *)buffer->mount - bpf_core_field_offset(struct mount, mnt);
	struct mount *above = BPF_CORE_READ(here, mnt_parent);

	if (!above || above == here)
		return false;
	enter_mount(buffer, (void *)above + bpf_core_field_offset(struct mount, mnt), BPF_CORE_READ(here, mnt_mountpoint));
	return true;
}

/* Goes one step up; false at the end. */
static __always_inline bool step_up(struct path_buffer *buffer)
{
	struct dentry *dentry = buffer->dentry;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct qstr name;

	if (dentry == buffer->mount_root)
		return leave_mount(buffer);
	bpf_core_read(&name, sizeof(name), &dentry->d_name);
	buffer->dentry = parent;
	return prepend_name(buffer, &name) && dentry != parent; /* memfd files are in no directory */
}

/* Leaves the path of `path` as seen from `root`, both in kernel memory, in the buffer. A path at the root is "/". */
static __always_inline void walk_path(struct path_buffer *buffer, const struct path *path, const struct path *root)
{
	struct dentry *root_dentry = BPF_CORE_READ(root, dentry);
	struct vfsmount *root_mount = BPF_CORE_READ(root, mnt);
	int step;

	enter_mount(buffer, BPF_CORE_READ(path, mnt), BPF_CORE_READ(path, dentry));
	buffer->start = PATH_BYTES;
	buffer->flags = buffer->dentry && buffer->mount ? 0 : WALK_FAILED;
	NOT_UNROLLED
	for (step = 0; step < MAX_STEPS; step++) {
		if (buffer->dentry == root_dentry && buffer->mount == root_mount)
			break;
		if (!step_up(buffer))
			break;
	}
	if (step == MAX_STEPS)
		buffer->flags |= WALK_TRUNCATED;
	if (buffer->start == PATH_BYTES) {
		buffer->start = PATH_BYTES - 1;
		buffer->bytes[PATH_BYTES - 1] = '/';
	}
}

static __always_inline __u64 path_size(const struct path_buffer *buffer)
{
	return at_most(PATH_BYTES - buffer->start, PATH_BYTES);
}

#endif
