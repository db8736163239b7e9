// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Keeps the credentials that the kernel gives to each task, and compares before it gives others and when it ends.
 * All are templates: what the verifier takes for them, a second in emulation, is spent where drift is looked for. */
#define PARAMETER_OFFSET(index) ((index) * 8)
#define TYPED_PARAMETERS 0
#include "drift.h"

#define PF_KTHREAD 0x00200000

/* commit_creds(new) begins: an exec too comes by here. */
SEC("kprobe")
int drift_commit(struct pt_regs *ctx)
{
	const struct cred *new = (const struct cred *)PT_REGS_PARM1(ctx);
	struct cred_state *state = check_drift(current_task(), DRIFT_AT_COMMIT);

	if (state)
		state->has_next = read_raw(new, &state->next);
	return 0;
}

/* It has returned: the new ones are the task's. */
SEC("kprobe")
int drift_committed(struct pt_regs *ctx)
{
	struct task_struct *task = current_task();
	const struct cred *cred = TASK_READ(task, real_cred);
	struct cred_state *state = find_state(address_of(task), TASK_READ(task, start_boottime));
	struct cred_raw raw;

	if (state && read_raw(cred, &raw) && (!state->has_next || is_same_raw(&raw, &state->next)))
		accept(state, cred, &raw, task);
	return 0;
}

/* A hook that asks for it has this program beside its own, of the same type: it looks at no parameter. */
SEC("fentry")
long drift_hook(void *ctx)
{
	check_drift(current_task(), DRIFT_OF_HOOK | hook_config.hook_id);
	return 0;
}

/* On sched_process_fork. A child has its creator's, but for those of a user namespace that is made for it. */
SEC("raw_tp")
int drift_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = current_task(), *child = (struct task_struct *)ctx->args[1];
	const struct cred *cred = BPF_CORE_READ(child, real_cred);
	__u64 address = address_of(child), start_ns = BPF_CORE_READ(child, start_boottime);
	struct cred_state *own = check_drift(task, DRIFT_AT_FORK), *state;
	struct cred_raw raw;

	if (!own || !read_raw(cred, &raw))
		return 0;
	if (bpf_map_update_elem(&cred_states, &address, own, BPF_ANY))
		return 0;
	state = bpf_map_lookup_elem(&cred_states, &address);
	if (!state)
		return 0;
	state->start_ns = start_ns;
	if (raw.user_ns != state->raw.user_ns)
		accept(state, cred, &raw, task);
	return 0;
}

/* On sched_process_exit. A thread ends. It may only act with other credentials here if it is the kernel's own. */
SEC("raw_tp")
int drift_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = current_task();
	__u64 address = address_of(task);

	if (find_state(address, TASK_READ(task, start_boottime))) {
		check_drift(task, DRIFT_AT_EXIT);
		if (!(TASK_READ(task, flags) & PF_KTHREAD))
			check_cred(task, TASK_READ(task, cred), DRIFT_AT_EXIT);
	}
	bpf_map_delete_elem(&cred_states, &address);
	return 0;
}
