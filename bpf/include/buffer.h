/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Buffers of memory: how many bytes there are, and where they lie. */
#ifndef TRIGON_BUFFER_H
#define TRIGON_BUFFER_H

#include "parameters.h"

/* A kernel function may get the address of user memory: the sign of the address distinguishes the two. */
static __always_inline bool is_user_memory(__u32 arg, __u64 address)
{
	return hook_config.arg[arg].flags & VALUE_USER || (__s64)address >= 0;
}

static __always_inline bool read_memory(__u32 arg, void *to, __u64 size, __u64 address)
{
	if (!size)
		return true;
	if (is_user_memory(arg, address))
		return !bpf_probe_read_user(to, size, (const void *)address);
	return !bpf_probe_read_kernel(to, size, (const void *)address);
}

/* Bytes of the whole buffer; 0 if the function returned an error. False if the size cannot be read or is negative. */
static __always_inline bool read_buffer_size(void *context, __u32 arg, __u64 *size)
{
	const volatile struct buffer_config *config = &hook_config.buffer[arg];
	__u64 value;

	*size = config->limit;
	if (!config->bits)
		return true;
	*size = 0;
	if (!read_parameter(context, config->parameter, &value))
		return false;
	value = narrow(value, config->bits, config->flags);
	if ((__s64)value < 0)
		return config->parameter == RETURN_ARG;
	*size = value;
	return true;
}

#endif
