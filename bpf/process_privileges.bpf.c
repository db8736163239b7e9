// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Privileges that an exec gains, found just before process_exec, where old and new credentials are both present. Nothing
 * is found for most: process_exec sees by itself that the kernel saw no change. Templates, so that the object loads on
 * kernels that refuse such programs.
 */
#include "maps.h"
#include "registers.h"

#define MAP_EXTENTS 5 /* larger maps are sorted arrays of their own */
#define SECUREBIT_NOROOT 1

struct gained {
	__u32 old_id, id, effective, root;
};

/* The id that is 0 inside a user namespace; -1 if there is none. */
#define ROOT_OF(ns, map)                                                                                            \
	({                                                                                                          \
		struct uid_gid_extent extent = {};                                                                  \
		__u32 extents = BPF_CORE_READ(ns, map.nr_extents), root = -1, i;                                    \
		for (i = 0; i < MAP_EXTENTS && i < extents; i++) {                                                  \
			if (extents > MAP_EXTENTS)                                                                  \
				bpf_probe_read_kernel(&extent, sizeof(extent), BPF_CORE_READ(ns, map.forward) + i); \
			else                                                                                        \
				bpf_core_read(&extent, sizeof(extent), &(ns)->map.extent[i]);                       \
			if (!extent.first) {                                                                        \
				root = extent.lower_first;                                                          \
				break;                                                                              \
			}                                                                                           \
		}                                                                                                   \
		root;                                                                                               \
	})

static __always_inline __u16 gained_id(const struct gained *ids, __u16 changed, __u16 root)
{
	if (ids->effective == ids->old_id)
		return 0;
	return changed | (ids->id != ids->root && ids->effective == ids->root ? root : 0);
}

static __always_inline __u64 caps_at(const void *set)
{
	__u64 caps = 0;

	bpf_probe_read_kernel(&caps, sizeof(caps), set);
	return caps;
}

#define CAPS_OF(cred, set) caps_at(__builtin_preserve_access_index(&(cred)->set))

static __always_inline __u16 exec_privileges(struct linux_binprm *bprm)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	const struct cred *old = BPF_CORE_READ(task, cred), *new = BPF_CORE_READ(bprm, cred);
	struct user_namespace *ns = BPF_CORE_READ(new, user_ns);
	struct gained user = {.old_id = BPF_CORE_READ(old, uid.val), .id = BPF_CORE_READ(new, uid.val)};
	struct gained group = {.old_id = BPF_CORE_READ(old, gid.val), .id = BPF_CORE_READ(new, gid.val)};
	__u16 found = EXEC_PRIVILEGES_KNOWN;
	bool by_root;

	user.effective = BPF_CORE_READ(new, euid.val);
	user.root = ROOT_OF(ns, uid_map);
	group.effective = BPF_CORE_READ(new, egid.val);
	group.root = ROOT_OF(ns, gid_map);
	found |= gained_id(&user, EXEC_SETUID, EXEC_SETUID_ROOT);
	found |= gained_id(&group, EXEC_SETGID, EXEC_SETGID_ROOT);
	/* Root gains capabilities without the file's, and ambient capabilities do not come from the file. */
	by_root = user.effective == user.root && !(BPF_CORE_READ(new, securebits) & SECUREBIT_NOROOT);
	/* A setuid file with capabilities of its own makes a user root, and gives no others than these. */
	if (user.id != user.root &&
	    CAPS_OF(new, cap_permitted) != (CAPS_OF(new, cap_bset) | CAPS_OF(old, cap_inheritable)))
		by_root = false;
	if (CAPS_OF(new, cap_permitted) & ~CAPS_OF(old, cap_permitted) && !CAPS_OF(new, cap_ambient) && !by_root)
		found |= EXEC_FILE_CAPS;
	return found;
}

static __always_inline void keep_gains(struct linux_binprm *bprm)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u16 found = exec_privileges(bprm);

	bpf_map_update_elem(&exec_gains, &pid, &found, BPF_ANY);
}

/* Both are on security_bprm_committing_creds. The second one is loaded where the kernel refuses tracing programs. */
SEC("fentry")
int process_privileges_typed(__u64 *ctx)
{
	struct linux_binprm *bprm = (struct linux_binprm *)ctx[0];

	if (bprm->per_clear)
		keep_gains(bprm);
	return 0;
}

SEC("kprobe")
int process_privileges(struct pt_regs *ctx)
{
	struct linux_binprm *bprm = (struct linux_binprm *)PT_REGS_PARM1(ctx);

	if (BPF_CORE_READ(bprm, per_clear))
		keep_gains(bprm);
	return 0;
}
