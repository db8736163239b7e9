/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* For the tests of the addon: an object whose program the verifier refuses. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int reads_wild_pointer(void *ctx)
{
	return *(volatile int *)(long)bpf_get_prandom_u32();
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
