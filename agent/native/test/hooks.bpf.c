/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* For the tests of the addon: programs that count and record system calls of one process. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define SYS_GETUID 102
#define BIG_RECORD_BYTES 1000

struct layout_sample {
	__u32 first;
	union {
		__u64 second;
		__u32 third;
	};
	__u16 list[3];
	__u8 low : 3, high : 5;
} __attribute__((aligned(8)));

struct layout_sample layout_sample; /* a global, or the struct is not in BTF */

struct record {
	__u32 size;
	__u32 tag;
	__u64 number;
};

struct hook_config {
	__u32 tag;
	__u32 pid;
	__u32 big;       /* bytes of a record, BIG_RECORD_BYTES at most; 0: a struct record */
	__u32 forbidden; /* makes the verifier refuse, when it reads it as a constant */
};

const volatile __u32 target_pid = 0;
const volatile __u32 target_tag = 7;
const volatile __u32 target_big = 0; /* bytes of a record; 0: a struct record */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");

/* Not 0: the reader of the ring sleeps. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} reader_sleeps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hook_config);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 100);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, char[BIG_RECORD_BYTES]);
} scratch SEC(".maps");

static __always_inline __u64 count(void)
{
	__u32 zero = 0;
	__u64 *counter = bpf_map_lookup_elem(&hits, &zero);

	return counter ? (*counter)++ : 0;
}

static __always_inline __u64 wake_up_flags(void)
{
	__u32 zero = 0;
	volatile __u32 *sleeps = bpf_map_lookup_elem(&reader_sleeps, &zero);

	return sleeps && *sleeps ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

static __always_inline void post(__u32 tag, __u64 number, bool discard)
{
	struct record *r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);

	if (!r)
		return;
	r->size = sizeof(*r);
	r->tag = tag;
	r->number = number;
	if (discard)
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
	else
		bpf_ringbuf_submit(r, wake_up_flags());
}

/* Discards one of five records: readers must skip it. */
static __always_inline void post_counted(__u32 tag)
{
	__u64 number = count();

	post(tag, number, number % 5 == 4);
}

static __always_inline void post_big(__u32 tag, __u32 size)
{
	__u32 zero = 0;
	struct record *r = bpf_map_lookup_elem(&scratch, &zero);

	if (!r || size < sizeof(*r) || size > BIG_RECORD_BYTES)
		return;
	r->size = size;
	r->tag = tag;
	r->number = count();
	bpf_ringbuf_output(&events, r, size, wake_up_flags());
}

SEC("raw_tp/sys_enter")
int on_getuid(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[1] != SYS_GETUID || bpf_get_current_pid_tgid() >> 32 != target_pid)
		return 0;
	if (target_big)
		post_big(target_tag, target_big);
	else
		post_counted(target_tag);
	return 0;
}

/* Like every template: records the hit with the values of its own config. */
static __always_inline int hook(void)
{
	__u32 zero = 0;
	struct hook_config *c = bpf_map_lookup_elem(&settings, &zero);

	if (!c || bpf_get_current_pid_tgid() >> 32 != c->pid)
		return 0;
	if (c->forbidden)
		return *(volatile int *)(long)bpf_get_prandom_u32();
	if (c->big)
		post_big(c->tag, c->big);
	else
		post_counted(c->tag);
	return 0;
}

SEC("fentry")
int hook_fentry(void *ctx)
{
	return hook();
}

SEC("fexit")
int hook_fexit(void *ctx)
{
	return hook();
}

SEC("lsm")
int hook_lsm(void *ctx)
{
	return hook();
}

SEC("kprobe")
int hook_kprobe(void *ctx)
{
	return hook();
}

/* Ends, but not before the verifier gives up. */
SEC("kprobe")
int hook_long(void *ctx)
{
	__u32 i;

#pragma clang loop unroll(disable)
	for (i = 0; i < 1 << 20; i++)
		count();
	return 0;
}

/* A relocated read: its offset comes from the running kernel's BTF. */
SEC("kprobe")
int hook_task(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 zero = 0;
	struct hook_config *c = bpf_map_lookup_elem(&settings, &zero);

	if (!c || bpf_get_current_pid_tgid() >> 32 != c->pid)
		return 0;
	post(c->tag, BPF_CORE_READ(task, real_parent, tgid), false);
	return 0;
}

SEC("raw_tp")
int difference(struct bpf_raw_tracepoint_args *ctx)
{
	return ctx->args[0] - ctx->args[1];
}

SEC("raw_tp/sys_enter")
int left_out(void *ctx)
{
	count();
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
