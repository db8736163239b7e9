/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* For the test of waiting for programs: one that takes milliseconds each time that a child of a process calls kill(). */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define SYS_KILL 62
#define ROUNDS 100000

struct runs {
	__u32 begun;
	__u32 ended;
};

const volatile int target_parent = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct runs);
} progress SEC(".maps");

SEC("raw_tp/sys_enter")
int linger(struct bpf_raw_tracepoint_args *context)
{
	__u32 zero = 0;
	struct runs *runs = bpf_map_lookup_elem(&progress, &zero);
	struct task_struct *task = (void *)bpf_get_current_task();

	if (!runs || context->args[1] != SYS_KILL || BPF_CORE_READ(task, real_parent, tgid) != target_parent)
		return 0;
	__sync_fetch_and_add(&runs->begun, 1);
	for (int round = 0; round < ROUNDS; round++)
		bpf_ktime_get_ns();
	__sync_fetch_and_add(&runs->ended, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
