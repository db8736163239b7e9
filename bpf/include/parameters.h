/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Parameters of the hooked function or system call. A template defines, before it includes this file, where its context
 * holds them (PARAMETER_OFFSET(index)), and whether loads can follow the pointers among them (TYPED_PARAMETERS).
 */
#ifndef TRIGON_PARAMETERS_H
#define TRIGON_PARAMETERS_H

#include "maps.h"
#include "registers.h"

#define NO_ID16 0xffff /* (uid16_t)-1 */

/* An id of 16 bits as the kernel converts it: -1, which means no change, stays -1. */
static __always_inline __u64 widen_id(__u64 id)
{
	id &= NO_ID16;
	return id == NO_ID16 ? -1ULL : id;
}

/* Cuts a register to the width of its type and extends the sign. */
static __always_inline __u64 narrow(__u64 value, __u8 bits, __u8 flags)
{
	__u32 unused = 64 - bits;

	if (flags & VALUE_ID16)
		value = widen_id(value);
	value <<= unused;
	return (flags & (VALUE_SIGNED | VALUE_NO_SIGN)) == VALUE_SIGNED ? (__u64)((__s64)value >> unused)
									: value >> unused;
}

#ifndef PARAMETERS_KEPT
#define PARAMETERS_KEPT 0 /* 1: the context is an array of values, also for system calls */
#endif

/* In assembler: the compiler would merge loads of different offsets into one load of a computed address. */
#define LOAD_AT(base, offset)                                                                              \
	({                                                                                                 \
		__u64 loaded;                                                                              \
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(loaded) : "r"(base), "i"(offset) : "memory"); \
		loaded;                                                                                    \
	})

/* The index is a constant to the verifier: it sees one load, of a value that has that parameter's type. */
#define LOAD_BY_INDEX(base, index, OFFSET)                   \
	({                                                   \
		__u64 selected;                              \
		if ((index) == 0)                            \
			selected = LOAD_AT(base, OFFSET(0)); \
		else if ((index) == 1)                       \
			selected = LOAD_AT(base, OFFSET(1)); \
		else if ((index) == 2)                       \
			selected = LOAD_AT(base, OFFSET(2)); \
		else if ((index) == 3)                       \
			selected = LOAD_AT(base, OFFSET(3)); \
		else if ((index) == 4)                       \
			selected = LOAD_AT(base, OFFSET(4)); \
		else                                         \
			selected = LOAD_AT(base, OFFSET(5)); \
		selected;                                    \
	})

static __always_inline __u32 syscall_offset(__u8 index)
{
	return hook_config.flags & HOOK_IA32 ? SYSCALL_PARAMETER_IA32(index) : SYSCALL_PARAMETER(index);
}

#ifdef FIELD_PARAMETERS
/* Loads from the context need an offset that the compiler knows, so the event is read as memory. */
static __always_inline bool read_parameter(void *context, __u8 index, __u64 *value)
{
	const volatile struct field_config *field = &hook_config.field[index];
	const char *address = (const char *)context + field->offset;
	__u32 unused = 64 - 8 * field->size, location;
	__u64 bytes = 0;

	if (field->kind == FIELD_ARRAY) {
		*value = (__u64)address;
		return true;
	}
	if (field->kind == FIELD_DATA_LOC || field->kind == FIELD_DATA_LOC_SIZE) {
		if (bpf_probe_read_kernel(&location, sizeof(location), address))
			return false;
		*value = field->kind == FIELD_DATA_LOC ? (__u64)context + (location & 0xffff) : location >> 16;
		return true;
	}
	if (bpf_probe_read_kernel(&bytes, field->size, address))
		return false;
	if (field->kind == FIELD_SIGNED)
		bytes = (__s64)(bytes << unused) >> unused;
	*value = bytes;
	return true;
}
#else
/* Parameter `index`; false when it cannot be read. */
static __always_inline bool read_parameter(void *context, __u8 index, __u64 *value)
{
	__u64 regs;

	if (PARAMETERS_KEPT || !(hook_config.flags & HOOK_SYSCALL)) {
		*value = LOAD_BY_INDEX(context, index, PARAMETER_OFFSET);
		return true;
	}
	regs = LOAD_AT(context, PARAMETER_OFFSET(0));
	if (TYPED_PARAMETERS && hook_config.flags & HOOK_IA32)
		*value = LOAD_BY_INDEX(regs, index, SYSCALL_PARAMETER_IA32);
	else if (TYPED_PARAMETERS)
		*value = LOAD_BY_INDEX(regs, index, SYSCALL_PARAMETER);
	else if (bpf_probe_read_kernel(value, sizeof(*value), (const char *)regs + syscall_offset(index)))
		return false;
	if (hook_config.flags & HOOK_IA32)
		*value = (__u32)*value;
	return true;
}
#endif

/* Number of the system call that is entered, without its ABI. */
static __always_inline bool read_syscall_number(void *context, __u64 *number)
{
	__u64 regs = LOAD_AT(context, PARAMETER_OFFSET(0));

	if (!TYPED_PARAMETERS)
		return !bpf_probe_read_kernel(number, sizeof(*number), (const char *)regs + SYSCALL_NUMBER);
	*number = LOAD_AT(regs, SYSCALL_NUMBER);
	return true;
}

/* Address of a struct pt_regs. For a function only a kprobe has one: its context. */
static __always_inline __u64 registers_of(void *context)
{
	if (hook_config.flags & HOOK_SYSCALL)
		return LOAD_AT(context, PARAMETER_OFFSET(0));
	return (__u64)context;
}

#endif
