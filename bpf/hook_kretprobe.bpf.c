// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Template of the second half of hook_kprobe. */
#include "exit.h"

/*
 * At entry the stack pointer points to the return address. At return it points there or just above, depending on the
 * kernel's version. Calls with lower frames have returned already, so the first entry that is found is this call's.
 */
SEC("kretprobe")
int hook_kretprobe(struct pt_regs *context)
{
	__u32 frame = PT_REGS_SP(context);
	struct call_key key = call_key(frame - RETURN_ADDRESS_BYTES);

	if (!(hook_config.flags & HOOK_SYSCALL) && bpf_map_lookup_elem(&hook_calls, &key))
		frame -= RETURN_ADDRESS_BYTES;
	return run_exit(frame, PT_REGS_RC(context));
}
