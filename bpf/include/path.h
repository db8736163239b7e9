/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Paths by a bounded walk from dentry to root; bpf_d_path is refused in most places that need one. */
#ifndef TRIGON_PATH_H
#define TRIGON_PATH_H

#include "config.h"

#define MAX_STEPS 128 /* components and mount points */

/* Prepends a slash and a name to the path. */
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

/* Goes from the root of a mount to its mount point; false at the root of all mounts. */
static __always_inline bool leave_mount(struct path_buffer *buffer)
{
	struct mount *here = (void *)buffer->mount - bpf_core_field_offset(struct mount, mnt);
	struct mount *above = BPF_CORE_READ(here, mnt_parent);

	if (!above || above == here)
		return false;
	enter_mount(buffer, (void *)above + bpf_core_field_offset(struct mount, mnt),
		    BPF_CORE_READ(here, mnt_mountpoint));
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

/* The path of a directory entry within its file system. The mount is not known. */
static __always_inline void walk_dentry(struct path_buffer *buffer, struct dentry *dentry)
{
	int step;

	buffer->dentry = dentry;
	buffer->mount_root = NULL;
	buffer->start = PATH_BYTES;
	buffer->flags = dentry ? 0 : WALK_FAILED;
	NOT_UNROLLED
	for (step = 0; step < MAX_STEPS; step++) {
		struct dentry *at = buffer->dentry;

		if (!at || BPF_CORE_READ(at, d_parent) == at)
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
