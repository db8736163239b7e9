/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Values of arguments: as numbers for filters, as slots of a record for events. */
#ifndef TRIGON_VALUES_H
#define TRIGON_VALUES_H

#include "cred.h"
#include "parameters.h"

#define SLOT_BYTES sizeof(struct arg_slot)
#define STRING_ROOM (MAX_STRING + 2) /* with its NUL, and one byte more that tells whether it goes on */

/* Cuts a register to the width of its type and extends the sign. */
static __always_inline __u64 narrow(__u64 value, __u8 width, __u8 flags)
{
	__u32 unused = 64 - 8 * width;

	value <<= unused;
	return flags & VALUE_SIGNED ? (__u64)((__s64)value >> unused) : value >> unused;
}

/* Integers and capability sets; false when it cannot be read or is no number. */
static __always_inline bool read_number(void *context, __u32 arg, __u64 *number)
{
	const volatile struct value_config *config = &hook_config.arg[arg];
	__u8 kind = config->kind;
	__u64 value;

	if (!read_parameter(context, config->parameter, &value))
		return false;
	if (kind == VALUE_INTEGER) {
		*number = narrow(value, config->width, config->flags);
		return true;
	}
	if (kind == VALUE_CAPABILITY_SET)
		return !bpf_probe_read_kernel(number, sizeof(*number), (const void *)value);
	return false;
}

static __always_inline bool write_cred(void *context, __u8 parameter, struct cred_value *value)
{
	__u64 cred;
	bool read = false;

	if (read_parameter(context, parameter, &cred))
		read = TYPED_PARAMETERS ? load_cred((void *)cred, value) : read_cred((void *)cred, value);
	if (!read)
		__builtin_memset(value, 0, sizeof(*value));
	return read;
}

static __always_inline bool write_user_ns(void *context, __u8 parameter, struct user_ns_value *value)
{
	__u64 ns;
	bool read = false;

	if (read_parameter(context, parameter, &ns))
		read = TYPED_PARAMETERS ? load_user_ns((void *)ns, value) : read_user_ns((void *)ns, value);
	if (!read)
		__builtin_memset(value, 0, sizeof(*value));
	return read;
}

static __always_inline bool write_number(void *context, __u32 arg, __u64 *value)
{
	__u64 number;
	bool read = read_number(context, arg, &number);

	*value = read ? number : 0;
	return read;
}

/* Writes at most MAX_STRING bytes and zeros up to the next multiple of 8; returns the bytes used, which that includes. */
static __always_inline __u32 write_string(void *context, __u8 parameter, __u8 flags, struct arg_slot *slot)
{
	char *text = (char *)slot + SLOT_BYTES;
	__u64 address;
	long size = -1;
	__u64 length;

	if (read_parameter(context, parameter, &address)) {
		/* A kernel function may get a string that still lies in user memory: the upper half tells. */
		if (flags & VALUE_USER || (__s64)address >= 0)
			size = bpf_probe_read_user_str(text, STRING_ROOM, (const void *)address);
		else
			size = bpf_probe_read_kernel_str(text, STRING_ROOM, (const void *)address);
	}
	slot->status = ARG_OK;
	if (size < 0)
		slot->status = ARG_READ_FAILED;
	else if (size == STRING_ROOM)
		slot->status = ARG_TRUNCATED;
	/* The size counts the NUL, except that an empty string of user memory has size 0. */
	length = size > 0 ? at_most(size - 1, MAX_STRING) : 0;
	__builtin_memset(text + length, 0, 8);
	slot->size = length;
	length = (length + 7) & ~7ULL;
	slot->room = length;
	return length;
}

/* Fills the slot of an argument and returns its size with its payload. */
static __always_inline __u32 write_argument(void *context, __u32 arg, struct arg_slot *slot)
{
	const volatile struct value_config *config = &hook_config.arg[arg];
	void *payload = (char *)slot + SLOT_BYTES;
	__u8 kind = config->kind;
	__u16 size = 0;
	bool read = true;

	slot->depth = 0;
	if (kind == VALUE_INTEGER || kind == VALUE_CAPABILITY_SET) {
		read = write_number(context, arg, payload);
		size = sizeof(__u64);
	} else if (kind == VALUE_CRED) {
		read = write_cred(context, config->parameter, payload);
		size = sizeof(struct cred_value);
	} else if (kind == VALUE_USER_NS) {
		read = write_user_ns(context, config->parameter, payload);
		size = sizeof(struct user_ns_value);
	} else if (kind == VALUE_STRING) {
		return SLOT_BYTES + write_string(context, config->parameter, config->flags, slot);
	}
	slot->status = read ? ARG_OK : ARG_READ_FAILED;
	slot->room = size;
	slot->size = size;
	return SLOT_BYTES + size;
}

#endif
