// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Reads kernel memory. User space runs it with addresses from kallsyms. */
#include "core.h"

/* The integer at args[0]; -1 if it cannot be read. */
SEC("raw_tp")
int read_int(struct bpf_raw_tracepoint_args *ctx)
{
	__s32 value;

	return bpf_probe_read_kernel(&value, sizeof(value), (const void *)ctx->args[0]) ? -1 : value;
}
