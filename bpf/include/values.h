/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Values of arguments: as numbers for filters, as slots of a record for events. */
#ifndef TRIGON_VALUES_H
#define TRIGON_VALUES_H

#include "buffer.h"
#include "cred.h"
#include "module.h"
#include "parameters.h"
#include "path.h"
#include "syscalls.h"

#define SLOT_BYTES sizeof(struct arg_slot)
#define STRING_ROOM (MAX_STRING + 2) /* with its NUL, and one byte more that shows whether the string continues */

/* Whether the array has the element; false, and `depth` says so, if it has not. */
static __always_inline bool has_element(const volatile struct bound_config *bound, __u64 structure, __u16 *depth)
{
	__u64 length = 0;

	if (bpf_probe_read_kernel(&length, bound->width, (const void *)(structure + bound->offset))) {
		*depth = bound->step;
		return false;
	}
	if (bound->index < length && (!bound->most || length <= bound->most))
		return true;
	*depth = DEPTH_BEYOND_END;
	return false;
}

/* Follows the steps from an address; false, and the level in `depth`, where one cannot be read. */
static __always_inline bool take_steps(__u32 arg, __u64 *value, __u16 *depth)
{
	const volatile struct bound_config *bound = &hook_config.bound[arg];
	const volatile struct value_config *config = &hook_config.arg[arg];
	__u32 steps = config->steps, i;
	__u64 at = *value, next;

	NOT_UNROLLED
	for (i = 0; i < MAX_STEPS_OF_VALUE && i < steps; i++) {
		__u8 load = i + 1 < steps ? sizeof(next) : config->load;

		if (bound->step == i + 1 && !has_element(bound, at, depth))
			return false;
		at += hook_config.step[arg][i];
		if (!load)
			break;
		next = 0;
		if (bpf_probe_read_kernel(&next, load, (const void *)at)) {
			*depth = i + 1;
			return false;
		}
		at = next;
	}
	/* The address of a structure stays as it is: the verifier lets no program shift one, by 0 neither. */
	if (config->shift)
		at >>= config->shift;
	*value = at;
	return true;
}

/* The value as a function gets it: a number, or the address of a structure. */
static __always_inline bool read_value(void *context, __u32 arg, __u64 *value, __u16 *depth)
{
	const volatile struct value_config *config = &hook_config.arg[arg];

	*depth = 0;
	if (config->source == SOURCE_CURRENT_TASK)
		*value = bpf_get_current_task();
	else if (config->source == SOURCE_REGISTERS)
		*value = registers_of(context);
	else if (!read_parameter(context, config->parameter, value))
		return false;
	return arg >= MAX_ARGS || !config->steps || take_steps(arg, value, depth);
}

/* Whether loads can follow a value that is an address. */
static __always_inline bool is_typed(__u32 arg)
{
	return TYPED_PARAMETERS && hook_config.arg[arg].source == SOURCE_PARAMETER && !hook_config.arg[arg].steps;
}

/* Integers and capability sets; false when it cannot be read or is no number. */
static __always_inline bool read_number_at(void *context, __u32 arg, __u64 *number, __u16 *depth)
{
	const volatile struct value_config *config = &hook_config.arg[arg];
	__u8 kind = config->kind;
	__u64 value;

	if (!read_value(context, arg, &value, depth))
		return false;
	if (kind == VALUE_INTEGER) {
		*number = narrow(value, config->bits, config->flags);
		if (config->flags & VALUE_SYSCALL)
			*number = (__u32)*number | syscall_abi(current_task());
		return true;
	}
	if (kind == VALUE_CAPABILITY_SET)
		return !bpf_probe_read_kernel(number, sizeof(*number), (const void *)value);
	return false;
}

static __always_inline bool read_number(void *context, __u32 arg, __u64 *number)
{
	__u16 depth;

	return read_number_at(context, arg, number, &depth);
}

static __always_inline bool write_cred(void *context, __u32 arg, struct cred_value *value, __u16 *depth)
{
	__u64 cred;
	bool read = false;

	if (read_value(context, arg, &cred, depth))
		read = is_typed(arg) ? load_cred((void *)cred, value) : read_cred((void *)cred, value);
	if (!read)
		__builtin_memset(value, 0, sizeof(*value));
	return read;
}

static __always_inline bool write_user_ns(void *context, __u32 arg, struct user_ns_value *value, __u16 *depth)
{
	__u64 ns;
	bool read = false;

	if (read_value(context, arg, &ns, depth))
		read = is_typed(arg) ? load_user_ns((void *)ns, value) : read_user_ns((void *)ns, value);
	if (!read)
		__builtin_memset(value, 0, sizeof(*value));
	return read;
}

static __always_inline bool write_number(void *context, __u32 arg, __u64 *value, __u16 *depth)
{
	__u64 number;
	bool read = read_number_at(context, arg, &number, depth);

	*value = read ? number : 0;
	return read;
}

static __always_inline bool is_path_kind(__u8 kind)
{
	return kind >= VALUE_FILE && kind <= VALUE_BINPRM;
}

static __always_inline struct file *file_of_fd(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file *file = NULL;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd);
	return file;
}

/* Puts the path of an argument into the buffer, and the file's mode into `mode`; false if there is none. */
static __always_inline bool read_path(void *context, __u32 arg, struct path_buffer *buffer, __u32 *mode, __u16 *depth)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	__u8 kind = hook_config.arg[arg].kind;
	struct inode *inode;
	struct file *file;
	__u64 value;

	if (!read_value(context, arg, &value, depth))
		return false;
	if (kind == VALUE_DENTRY) {
		walk_dentry(buffer, (struct dentry *)value);
		inode = BPF_CORE_READ((struct dentry *)value, d_inode);
	} else if (kind == VALUE_PATH) {
		walk_path(buffer, (const struct path *)value, &fs->root);
		inode = BPF_CORE_READ((const struct path *)value, dentry, d_inode);
	} else {
		file = (struct file *)value;
		if (kind == VALUE_FD)
			file = file_of_fd(task, value);
		else if (kind == VALUE_BINPRM)
			file = BPF_CORE_READ((struct linux_binprm *)value, file);
		if (!file)
			return false;
		walk_path(buffer, &file->f_path, &fs->root);
		inode = BPF_CORE_READ(file, f_inode);
	}
	*mode = BPF_CORE_READ(inode, i_mode);
	return !(buffer->flags & WALK_FAILED);
}

static __always_inline struct text_scratch *text_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hook_text, &zero);
}

/* A struct path_value, the path and zeros up to the next multiple of 8; returns the bytes used. */
static __always_inline __u32 write_path(void *context, __u32 arg, struct arg_slot *slot)
{
	struct path_value *value = (struct path_value *)((char *)slot + SLOT_BYTES);
	struct text_scratch *scratch = text_scratch();
	char *text = (char *)(value + 1);
	__u64 size = 0;

	slot->status = ARG_READ_FAILED;
	value->flags = 0;
	value->mode = 0;
	if (scratch && read_path(context, arg, &scratch->path, &value->mode, &slot->depth)) {
		size = at_most(path_size(&scratch->path), PATH_BYTES - 1);
		value->flags = scratch->path.flags;
		slot->status = scratch->path.flags & WALK_TRUNCATED ? ARG_TRUNCATED : ARG_OK;
		if (bpf_probe_read_kernel(text, size, scratch->path.bytes + PATH_BYTES - size))
			slot->status = ARG_READ_FAILED;
	}
	__builtin_memset(text + size, 0, 8);
	slot->size = sizeof(*value) + size;
	size = sizeof(*value) + ((size + 7) & ~7ULL);
	slot->room = size;
	return size;
}

/* At most `room` bytes with the NUL; the size counts it, except that an empty string of user memory has size 0. */
static __always_inline long read_string(void *context, __u32 arg, char *text, __u32 room, __u16 *depth)
{
	__u32 limit = arg < MAX_ARGS ? hook_config.buffer[arg].limit : 0;
	__u64 address;

	if (limit && limit < room)
		room = limit + 1;
	if (!read_value(context, arg, &address, depth))
		return -1;
	if (is_user_memory(arg, address))
		return bpf_probe_read_user_str(text, room, (const void *)address);
	return bpf_probe_read_kernel_str(text, room, (const void *)address);
}

/* Writes at most MAX_STRING bytes and zeros up to the next multiple of 8; returns the bytes used, which that includes. */
static __always_inline __u32 write_string(void *context, __u32 arg, struct arg_slot *slot)
{
	char *text = (char *)slot + SLOT_BYTES;
	long size = read_string(context, arg, text, STRING_ROOM, &slot->depth);
	__u64 length;

	slot->status = ARG_OK;
	if (size < 0)
		slot->status = ARG_READ_FAILED;
	else if (size == STRING_ROOM)
		slot->status = ARG_TRUNCATED;
	length = size > 0 ? at_most(size - 1, MAX_STRING) : 0;
	__builtin_memset(text + length, 0, 8);
	slot->size = length;
	length = (length + 7) & ~7ULL;
	slot->room = length;
	return length;
}

/* A struct buffer_value, the bytes and zeros up to the next multiple of 8; returns the bytes used. */
static __always_inline __u32 write_buffer(void *context, __u32 arg, struct arg_slot *slot)
{
	struct buffer_value *value = (struct buffer_value *)((char *)slot + SLOT_BYTES);
	char *bytes = (char *)(value + 1);
	__u64 address, size = 0, read = 0;

	slot->status = ARG_READ_FAILED;
	if (read_value(context, arg, &address, &slot->depth) && read_buffer_size(context, arg, &size)) {
		read = at_most(size, hook_config.buffer[arg].limit);
		if (read_memory(arg, bytes, read, address))
			slot->status = size > read ? ARG_TRUNCATED : ARG_OK;
	}
	value->size = size;
	read = at_most(read, hook_config.buffer[arg].limit); /* again: 5.10 forgets the bounds of spilled registers */
	__builtin_memset(bytes + read, 0, 8);
	slot->size = sizeof(*value) + read;
	read = sizeof(*value) + ((read + 7) & ~7ULL);
	slot->room = read;
	return read;
}

static __always_inline bool write_module(void *context, __u32 arg, struct module_value *value, __u16 *depth)
{
	__u64 address;

	if (!read_value(context, arg, &address, depth))
		return false;
	return hook_config.arg[arg].kind == VALUE_MODULE ? read_module((const struct module *)address, value)
							 : read_load_info((const struct load_info *)address, value);
}

/* Fills the slot of an argument and returns its size with its payload. The head of a slot is one store. */
static __always_inline __u32 write_argument(void *context, __u32 arg, struct arg_slot *slot)
{
	const volatile struct value_config *config = &hook_config.arg[arg];
	void *payload = (char *)slot + SLOT_BYTES;
	__u8 kind = config->kind;
	__u16 size = 0, depth = 0;
	bool read = true;

	if (kind == VALUE_STRING || is_path_kind(kind) || kind == VALUE_BUFFER)
		slot->depth = 0;
	if (kind == VALUE_INTEGER || kind == VALUE_CAPABILITY_SET) {
		read = write_number(context, arg, payload, &depth);
		size = sizeof(__u64);
	} else if (kind == VALUE_CRED) {
		read = write_cred(context, arg, payload, &depth);
		size = sizeof(struct cred_value);
	} else if (kind == VALUE_USER_NS) {
		read = write_user_ns(context, arg, payload, &depth);
		size = sizeof(struct user_ns_value);
	} else if (kind == VALUE_STRING) {
		return SLOT_BYTES + write_string(context, arg, slot);
	} else if (is_path_kind(kind)) {
		return SLOT_BYTES + write_path(context, arg, slot);
	} else if (kind == VALUE_BUFFER) {
		return SLOT_BYTES + write_buffer(context, arg, slot);
	} else if (kind == VALUE_MODULE || kind == VALUE_LOAD_INFO) {
		read = write_module(context, arg, payload, &depth);
		size = sizeof(struct module_value) + MODULE_NAME_BYTES;
	}
	*(several_u64 *)slot = (read ? ARG_OK : ARG_READ_FAILED) | (__u64)depth << 16 | (__u64)size << 32 |
			       (__u64)size << 48;
	return SLOT_BYTES + size;
}

#endif
