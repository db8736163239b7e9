/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The base of every program: kernel types, libbpf's macros, and reads that differ between kernels. */
#ifndef TRIGON_CORE_H
#define TRIGON_CORE_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "event.h"

#define NOT_UNROLLED _Pragma("clang loop unroll(disable)")

/* Hides a value's history from the compiler, so that the bounds just checked are those that the verifier sees. */
#define OPAQUE(value) asm volatile("" : "+r"(value))

/* For a store of several members at once. */
typedef __u64 __attribute__((may_alias)) several_u64;

/* kernfs_node.parent was renamed to __parent in 6.15. */
struct kernfs_node___since_6_15 {
	struct kernfs_node *__parent;
} __attribute__((preserve_access_index));

/*
 * At most `max`, written so that the verifier can follow it. It is 64 bits wide, since a shift would separate the checked
 * copy from the used one, and the compiler cannot remove a check that it finds unnecessary.
 */
static __always_inline __u64 at_most(__u64 value, __u64 max)
{
	OPAQUE(value);
	if (value > max)
		value = max;
	OPAQUE(value);
	return value;
}

/*
 * The low half of an address, as a number.
 * An instruction on 32-bit registers: the one way to turn a pointer into a number that every kernel's verifier accepts.
 */
#define LOW_HALF(pointer)                                                        \
	({                                                                       \
		__u64 low;                                                       \
		asm volatile("r1 = %1\n\t.8byte 0x11bc\n\t%0 = r1" /* w1 = w1 */ \
			     : "=r"(low)                                         \
			     : "r"(pointer)                                      \
			     : "r1");                                            \
		low & 0xffffffff;                                                \
	})

static __always_inline __u64 address_of(const void *structure)
{
	__u64 address = (__u64)structure;

	OPAQUE(address); /* as a number: the verifier keeps typed pointers out of map keys */
	return address;
}

/* bpf_get_current_task_btf exists since 5.11: remove this with support for 5.10. It is a constant once loaded. */
#define HAS_CURRENT_TASK_BTF bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)

/* The current task: a pointer that can be followed by loads (HAS_CURRENT_TASK_BTF), or else only by probe reads. */
static __always_inline struct task_struct *current_task(void)
{
	if (HAS_CURRENT_TASK_BTF)
		return bpf_get_current_task_btf();
	return (struct task_struct *)bpf_get_current_task();
}

/*
 * The current task for programs with many paths, which are verified faster (decision-task-pointer.md). Helpers do not take
 * the pointer. The call is one of bpf_rdonly_cast(pointer, type), once the addon has put its id in.
 */
static __always_inline struct task_struct *without_trust(struct task_struct *task)
{
	struct task_struct *result;

	if (!HAS_CURRENT_TASK_BTF)
		return task;
	asm volatile("r1 = %1\n\tr2 = %2\n\t.8byte 0x2085\n\t%0 = r0"
		     : "=r"(result)
		     : "r"(task), "r"(bpf_core_type_id_kernel(struct task_struct))
		     : "r0", "r1", "r2", "r3", "r4", "r5");
	return result;
}

#define FOLLOW1(p, a) (p)->a
#define FOLLOW2(p, a, b) (p)->a->b
#define FOLLOW3(p, a, b, c) (p)->a->b->c
#define FOLLOW4(p, a, b, c, d) (p)->a->b->c->d
#define FOLLOW_BY_COUNT(_1, _2, _3, _4, NAME, ...) NAME
#define FOLLOW(p, ...) FOLLOW_BY_COUNT(__VA_ARGS__, FOLLOW4, FOLLOW3, FOLLOW2, FOLLOW1)(p, __VA_ARGS__)

/*
 * TASK_READ(task, group_leader, start_boottime) is task->group_leader->start_boottime. `task` is from current_task() or
 * was reached from it by TASK_READ. Where a pointer on the way is bad, the value is 0.
 */
#define TASK_READ(p, ...) (HAS_CURRENT_TASK_BTF ? FOLLOW(p, __VA_ARGS__) : BPF_CORE_READ(p, __VA_ARGS__))

#endif
