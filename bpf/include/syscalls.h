/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The system call that a task is in: its number, and the ABI that it was made by. */
#ifndef TRIGON_SYSCALLS_H
#define TRIGON_SYSCALLS_H

#include "parameters.h"

#define SYSCALL_32_BIT (1U << 31)
#define NO_SYSCALL -1U

/* bpf_task_pt_regs: since 5.15, so this goes once 5.10 does. */
#define HAS_TASK_PT_REGS bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)

#ifdef __TARGET_ARCH_arm64

struct pt_regs___arm64_call {
	int syscallno;
} __attribute__((preserve_access_index));

#define TIF_32BIT 22

/* SYSCALL_32_BIT if the current task is in a call of a 32-bit program. */
static __always_inline __u32 syscall_abi(struct task_struct *task)
{
	return TASK_READ(task, thread_info.flags) >> TIF_32BIT & 1 ? SYSCALL_32_BIT : 0;
}

static __always_inline __u32 current_syscall(struct task_struct *task)
{
	struct pt_regs___arm64_call *regs;

	if (!HAS_TASK_PT_REGS)
		return NO_SYSCALL;
	regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	if (regs->syscallno < 0)
		return NO_SYSCALL;
	return regs->syscallno | syscall_abi(task);
}

#else

#define TS_COMPAT 2              /* of thread_info.status: a call by int 0x80 or sysenter */
#define STACK_OF_TASK (16 << 10) /* without KASAN, and the registers at its end are those of user space */

/* SYSCALL_32_BIT if the current task is in a call of the 32-bit ABI. */
static __always_inline __u32 syscall_abi(struct task_struct *task)
{
	__u32 compat = TASK_READ(task, thread_info.status) & TS_COMPAT;

	OPAQUE(compat); /* the compiler would shift first, and then needs a mask of two instructions */
	return compat << 30;
}

/*
 * NO_SYSCALL for a task of the kernel, or of io_uring: such tasks have no address in user space. Bit 30 is set in the
 * numbers of x32.
 */
static __always_inline __u32 current_syscall(struct task_struct *task)
{
	struct pt_regs *regs;
	__u64 address, number;

	if (HAS_TASK_PT_REGS && HAS_CURRENT_TASK_BTF) {
		regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
		address = regs->ip;
		number = regs->orig_ax;
	} else {
		regs = (struct pt_regs *)(BPF_CORE_READ(task, stack) + STACK_OF_TASK) - 1;
		address = BPF_CORE_READ(regs, ip);
		number = BPF_CORE_READ(regs, orig_ax);
	}
	if (!address || (__s64)number < 0)
		return NO_SYSCALL;
	return number | syscall_abi(task);
}

#endif

/* The same at the entry of a system call, whose first parameter are the registers that it came with. */
static __always_inline __u32 entered_syscall(void *context, struct task_struct *task)
{
	__u64 number;

	if (!read_syscall_number(context, &number))
		return NO_SYSCALL;
	return number | syscall_abi(task);
}

/* Kernels that no longer keep this in the task are asked by the name of the call. */
static __always_inline bool is_executing(struct task_struct *task)
{
	if (!bpf_core_field_exists(task->in_execve))
		return false;
	return HAS_CURRENT_TASK_BTF ? BPF_CORE_READ_BITFIELD(task, in_execve)
				    : BPF_CORE_READ_BITFIELD_PROBED(task, in_execve);
}

#endif
