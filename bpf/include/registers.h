/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where the registers of a function and of a system call lie. Their layout is the architecture's ABI, so offsets need no
 * relocation. The names __PT_* are libbpf's, behind its macros PT_REGS_*: these read through a pointer, and what is
 * needed here are offsets that the compiler knows.
 */
#ifndef TRIGON_REGISTERS_H
#define TRIGON_REGISTERS_H

#include "core.h"

#ifdef __TARGET_ARCH_arm64
/* vmlinux.h is of x86-64. This is the part of struct pt_regs that user space knows, from <asm/ptrace.h> of arm64. */
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};
#endif

#include <bpf/bpf_tracing.h>

#ifdef __TARGET_ARCH_arm64
#define SIXTH_PARAMETER regs[5]
#define FOURTH_SYSCALL_PARAMETER regs[3]
#define SYSCALL_PARAMETER_IA32 SYSCALL_PARAMETER /* calls of both ABIs use the same registers */
#define RETURN_ADDRESS_BYTES 0
#define SYSCALL_NUMBER REGISTER(regs[8])
#else
#define SIXTH_PARAMETER r9
#define FOURTH_SYSCALL_PARAMETER r10 /* the instruction `syscall` overwrites cx */
#define RETURN_ADDRESS_BYTES 8       /* that a call leaves on the stack */
#define SYSCALL_NUMBER REGISTER(orig_ax)
#endif

/* The registers of `int 0x80`. The kernel's wrapper takes their lower halves. */
#ifndef __TARGET_ARCH_arm64
#define SYSCALL_PARAMETER_IA32(index)  \
	((index) == 0   ? REGISTER(bx) \
	 : (index) == 1 ? REGISTER(cx) \
	 : (index) == 2 ? REGISTER(dx) \
	 : (index) == 3 ? REGISTER(si) \
	 : (index) == 4 ? REGISTER(di) \
			: REGISTER(bp))
#endif

#define REGISTER(name) __builtin_offsetof(__typeof__(*__PT_REGS_CAST((struct pt_regs *)NULL)), name)

#define FUNCTION_PARAMETER(index)                  \
	((index) == 0   ? REGISTER(__PT_PARM1_REG) \
	 : (index) == 1 ? REGISTER(__PT_PARM2_REG) \
	 : (index) == 2 ? REGISTER(__PT_PARM3_REG) \
	 : (index) == 3 ? REGISTER(__PT_PARM4_REG) \
	 : (index) == 4 ? REGISTER(__PT_PARM5_REG) \
			: REGISTER(SIXTH_PARAMETER))

/*
 * As the kernel's own wrapper of a system call takes them out. On arm64 that is regs[0] too, and not orig_x0: the result
 * replaces it only when the call returns.
 */
#define SYSCALL_PARAMETER(index)                             \
	((index) == 0   ? REGISTER(__PT_PARM1_REG)           \
	 : (index) == 1 ? REGISTER(__PT_PARM2_REG)           \
	 : (index) == 2 ? REGISTER(__PT_PARM3_REG)           \
	 : (index) == 3 ? REGISTER(FOURTH_SYSCALL_PARAMETER) \
	 : (index) == 4 ? REGISTER(__PT_PARM5_REG)           \
			: REGISTER(SIXTH_PARAMETER))

#endif
