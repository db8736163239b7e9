// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Programs to compare hooks with: one that does nothing, and the smallest ones that write the record of one argument
 * like the engine does, each for one function only.
 */
#include "core.h"
#include "cred.h"
#include "process.h"
#include "registers.h"

#define KEEP_QUIET 1 /* BPF_RB_NO_WAKEUP */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

struct cred_hit {
	struct hook_record head;
	struct arg_slot slot;
	struct cred_value value;
	struct cred_change_value change;
};

struct integer_hit {
	struct hook_record head;
	struct arg_slot slot;
	__u64 value;
};

static __always_inline void fill(struct hook_record *record, struct arg_slot *slot, __u32 size, __u16 value_size)
{
	struct task_struct *task = current_task();

	record->header.kind = RECORD_HOOK;
	record->header.flags = 0;
	record->header.size = size;
	identify_current(&record->header, task);
	record->hook_id = 1;
	record->selector = 0xffff;
	record->action = 1;
	record->args = 1;
	record->cgroup_id = bpf_get_current_cgroup_id();
	slot->depth = 0;
	slot->room = value_size;
	slot->size = value_size;
}

static __always_inline void fill_rest(struct cred_rest_value *rest, const struct cred *cred, struct task_struct *task)
{
	const struct group_info *groups = cred->group_info;
	__u64 size = groups->ngroups * sizeof(__u32);

	rest->cap_bounding = CAPS(cred, cap_bset);
	rest->cap_ambient = CAPS(cred, cap_ambient);
	rest->no_new_privs = task->atomic_flags & 1;
	rest->groups_count = groups->ngroups;
	__builtin_memset(rest->groups, 0, sizeof(rest->groups));
	size = at_most(size, sizeof(rest->groups));
	if (size)
		bpf_probe_read_kernel(rest->groups, size, groups->gid);
	rest->thread_keyring = cred->thread_keyring->serial;
	rest->process_keyring = cred->process_keyring->serial;
	rest->session_keyring = cred->session_keyring->serial;
	rest->reserved = 0;
}

#define DIFFERS(field, member) ((__u32)(change->old.member != change->new.member) << (field))
#define REST_DIFFERS(field, member) ((__u32)(change->old_rest.member != change->new_rest.member) << (field))

static __always_inline void fill_change(struct cred_change_value *change, const struct cred *new)
{
	struct task_struct *task = current_task();
	const struct cred *old = task->cred;

	load_cred(old, &change->old);
	load_cred(new, &change->new);
	fill_rest(&change->old_rest, old, task);
	fill_rest(&change->new_rest, new, task);
	change->reserved = 0;
	change->changed = DIFFERS(CRED_FIELD_UID, uid) | DIFFERS(CRED_FIELD_GID, gid) | DIFFERS(CRED_FIELD_SUID, suid) |
			  DIFFERS(CRED_FIELD_SGID, sgid) | DIFFERS(CRED_FIELD_EUID, euid) |
			  DIFFERS(CRED_FIELD_EGID, egid) | DIFFERS(CRED_FIELD_FSUID, fsuid) |
			  DIFFERS(CRED_FIELD_FSGID, fsgid) | DIFFERS(CRED_FIELD_CAP_PERMITTED, cap_permitted) |
			  DIFFERS(CRED_FIELD_CAP_EFFECTIVE, cap_effective) |
			  DIFFERS(CRED_FIELD_CAP_INHERITABLE, cap_inheritable) |
			  DIFFERS(CRED_FIELD_SECUREBITS, securebits) | DIFFERS(CRED_FIELD_USER_NS, user_ns_inum) |
			  REST_DIFFERS(CRED_FIELD_CAP_BOUNDING, cap_bounding) |
			  REST_DIFFERS(CRED_FIELD_CAP_AMBIENT, cap_ambient);
}

SEC("fentry")
int nothing(void *context)
{
	return 0;
}

SEC("fentry")
int smallest_commit_creds(const struct cred **parameters)
{
	struct cred_hit *hit = bpf_ringbuf_reserve(&events, sizeof(*hit), 0);

	if (!hit)
		return 0;
	fill(&hit->head, &hit->slot, sizeof(*hit), sizeof(hit->value));
	hit->head.header.flags = RECORD_CRED_CHANGE;
	hit->slot.status = load_cred(parameters[0], &hit->value) ? ARG_OK : ARG_READ_FAILED;
	fill_change(&hit->change, parameters[0]);
	bpf_ringbuf_submit(hit, KEEP_QUIET);
	return 0;
}

SEC("fentry")
int smallest_setuid(const struct pt_regs **parameters)
{
	struct integer_hit *hit = bpf_ringbuf_reserve(&events, sizeof(*hit), 0);

	if (!hit)
		return 0;
	fill(&hit->head, &hit->slot, sizeof(*hit), sizeof(hit->value));
	hit->value = (__s64)(__s32)PT_REGS_PARM1_SYSCALL(parameters[0]);
	hit->slot.status = ARG_OK;
	bpf_ringbuf_submit(hit, KEEP_QUIET);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
