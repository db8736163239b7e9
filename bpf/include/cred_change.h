/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Old and new credentials of hooks that receive both. Filters compare them without copying; records contain them. What a
 * hook's filters do not use costs nothing: fields and types of change are constants to the verifier.
 */
#ifndef TRIGON_CRED_CHANGE_H
#define TRIGON_CRED_CHANGE_H

#include "cred.h"
#include "parameters.h"

#define FIRST_USER_ID 1000     /* ids below are of the system */
#define SECUREBITS_LOCKS 0xaaa /* each bit's lock is the next bit */
#define MAX_USER_NS_LEVELS 33
#define GROUP_STEPS 64

/* The old or the new credentials: read by loads if `typed`, else from a copy in `bytes`. */
struct cred_side {
	const struct cred *cred;
	bool typed;
	struct cred_bytes *bytes;
};

/* `source` and `parameter` are constants to the verifier. */
static __always_inline bool find_cred(void *context, struct task_struct *task, __u8 source, __u8 parameter,
				      struct cred_side *side)
{
	__u64 value;

	if (source == CRED_OF_CURRENT) {
		side->typed = HAS_CURRENT_TASK_BTF;
		side->cred = TASK_READ(task, cred);
		return true;
	}
	side->typed = TYPED_PARAMETERS;
	if (!read_parameter(context, parameter, &value))
		return false;
	if (source == CRED_PARAMETER)
		side->cred = (const struct cred *)value;
	else if (TYPED_PARAMETERS)
		side->cred = ((const struct linux_binprm *)value)->cred;
	else
		side->cred = BPF_CORE_READ((const struct linux_binprm *)value, cred);
	return true;
}

static __always_inline bool find_old_cred(void *context, struct task_struct *task, struct cred_side *side)
{
	return find_cred(context, task, hook_config.cred.old_source, hook_config.cred.old_parameter, side);
}

static __always_inline bool find_new_cred(void *context, struct task_struct *task, struct cred_side *side)
{
	return find_cred(context, task, hook_config.cred.new_source, hook_config.cred.new_parameter, side);
}

/* Where typed loads are not possible, copies all that SIDE_U32 and SIDE_CAPS read. */
static __always_inline bool read_side(struct cred_side *side)
{
	if (side->typed)
		return side->cred;
	return read_cred_bytes(side->cred, side->bytes);
}

/* Both sides; false when they cannot be read. */
static __always_inline bool read_sides(void *context, struct task_struct *task, struct cred_side *from,
				       struct cred_side *to)
{
	struct cred_scratch *scratch;
	__u32 zero = 0;

	if (!find_old_cred(context, task, from) || !find_new_cred(context, task, to))
		return false;
	if (!from->typed || !to->typed) {
		scratch = bpf_map_lookup_elem(&hook_scratch, &zero);
		if (!scratch)
			return false;
		from->bytes = &scratch->from;
		to->bytes = &scratch->to;
	}
	return read_side(from) && read_side(to);
}

/* The pointer is taken out first: libbpf would look for struct cred_side in the kernel. */
#define OF_SIDE(side, typed_read, read)                 \
	({                                              \
		const struct cred *cred = (side)->cred; \
		(side)->typed ? (typed_read) : (read);  \
	})
#define SIDE_U32(side, field) OF_SIDE(side, cred->field.val, CRED_U32((side)->bytes, field))
#define SIDE_CAPS(side, set) OF_SIDE(side, CAPS(cred, set), CRED_CAPS((side)->bytes, set))
#define SIDE_POINTER(side, field) OF_SIDE(side, (__u64)cred->field, (__u64)BPF_CORE_READ(cred, field))

static __always_inline bool is_raised_id(__u32 from, __u32 to)
{
	return (from && !to) || (from >= FIRST_USER_ID && to < FIRST_USER_ID);
}

static __always_inline bool id_changed(__u32 from, __u32 to, __u8 change)
{
	if (change == CRED_CHANGED)
		return from != to;
	return change == CRED_RAISED ? is_raised_id(from, to) : is_raised_id(to, from);
}

static __always_inline bool caps_changed(__u64 from, __u64 to, __u8 change)
{
	if (change == CRED_CHANGED)
		return from != to;
	return change == CRED_RAISED ? to & ~from : from & ~to;
}

static __always_inline bool securebits_changed(__u32 from, __u32 to, __u8 change)
{
	if (change == CRED_CHANGED)
		return from != to;
	return (change == CRED_RAISED ? from & ~to : to & ~from) & SECUREBITS_LOCKS;
}

static __always_inline bool is_ancestor(__u64 ns, __u64 of)
{
	int i;

	NOT_UNROLLED
	for (i = 0; i < MAX_USER_NS_LEVELS; i++) {
		of = (__u64)BPF_CORE_READ((const struct user_namespace *)of, parent);
		if (!of)
			return false;
		if (of == ns)
			return true;
	}
	return false;
}

static __always_inline bool user_ns_changed(__u64 from, __u64 to, __u8 change)
{
	if (from == to)
		return false;
	if (change == CRED_CHANGED)
		return true;
	return change == CRED_RAISED ? is_ancestor(to, from) : is_ancestor(from, to);
}

static __always_inline __u32 groups_count(__u64 groups)
{
	return BPF_CORE_READ((const struct group_info *)groups, ngroups);
}

/* The group at an index; behind the last group a value above all groups. */
static __always_inline __u64 group_at(__u64 groups, __u64 count, __u64 index)
{
	__u32 gid = 0;

	if (index >= count)
		return -1ULL;
	bpf_probe_read_kernel(&gid, sizeof(gid),
			      (const char *)groups + bpf_core_field_offset(struct group_info, gid) +
				      index * sizeof(gid));
	return gid;
}

#define GROUP_ADDED 1
#define GROUP_REMOVED 2

/* A zero that the verifier does not know: with a known value it would follow every path through a loop. */
static __always_inline __u64 unknown_zero(__u64 address)
{
	__u64 value = 0, copy;

	bpf_probe_read_kernel(&value, sizeof(value), (const void *)address);
	copy = value;
	OPAQUE(copy);
	return value - copy;
}

/* As a number: the verifier refuses to add an unknown value to a typed pointer. */
static __always_inline __u64 groups_address(const struct cred_side *side)
{
	const struct cred *cred = side->cred;

	return (__u64)BPF_CORE_READ(cred, group_info);
}

/* Both lists are sorted. Groups beyond the last step are compared by their counts alone. */
static __always_inline bool groups_changed(const struct cred_side *old, const struct cred_side *new, __u8 change)
{
	__u64 from, to, old_count, new_count, old_at, new_at, found;
	int step;

	if (SIDE_POINTER(old, group_info) == SIDE_POINTER(new, group_info))
		return false;
	from = groups_address(old);
	to = groups_address(new);
	old_at = new_at = found = unknown_zero(from);
	old_count = groups_count(from);
	new_count = groups_count(to);
	NOT_UNROLLED
	for (step = 0; step < GROUP_STEPS; step++) {
		__u64 old_group = group_at(from, old_count, old_at);
		__u64 new_group = group_at(to, new_count, new_at);

		if (old_group == new_group && old_group == -1ULL)
			break;
		if (old_group <= new_group)
			old_at++;
		if (new_group <= old_group)
			new_at++;
		if (old_group < new_group)
			found |= GROUP_REMOVED;
		if (new_group < old_group)
			found |= GROUP_ADDED;
	}
	if (step == GROUP_STEPS && new_count > old_count)
		found |= GROUP_ADDED;
	if (step == GROUP_STEPS && new_count < old_count)
		found |= GROUP_REMOVED;
	if (change == CRED_CHANGED)
		return found;
	return found & (change == CRED_RAISED ? GROUP_ADDED : GROUP_REMOVED);
}

#define ID_CHANGED(bit, field) (fields & 1 << (bit) && id_changed(SIDE_U32(&from, field), SIDE_U32(&to, field), change))
#define CAPS_CHANGED(bit, set) (fields & 1 << (bit) && caps_changed(SIDE_CAPS(&from, set), SIDE_CAPS(&to, set), change))

/* Did one of the fields change in this way? */
static __always_inline bool cred_changed(void *context, struct task_struct *task, __u32 fields, __u8 change)
{
	struct cred_side from, to;

	if (!read_sides(context, task, &from, &to))
		return false;
	if (ID_CHANGED(CRED_FIELD_UID, uid) || ID_CHANGED(CRED_FIELD_GID, gid) || ID_CHANGED(CRED_FIELD_SUID, suid) ||
	    ID_CHANGED(CRED_FIELD_SGID, sgid) || ID_CHANGED(CRED_FIELD_EUID, euid) ||
	    ID_CHANGED(CRED_FIELD_EGID, egid) || ID_CHANGED(CRED_FIELD_FSUID, fsuid) ||
	    ID_CHANGED(CRED_FIELD_FSGID, fsgid))
		return true;
	if (CAPS_CHANGED(CRED_FIELD_CAP_PERMITTED, cap_permitted) ||
	    CAPS_CHANGED(CRED_FIELD_CAP_EFFECTIVE, cap_effective) ||
	    CAPS_CHANGED(CRED_FIELD_CAP_INHERITABLE, cap_inheritable) ||
	    CAPS_CHANGED(CRED_FIELD_CAP_BOUNDING, cap_bset) || CAPS_CHANGED(CRED_FIELD_CAP_AMBIENT, cap_ambient))
		return true;
	if (fields & 1 << CRED_FIELD_SECUREBITS &&
	    securebits_changed(OF_SIDE(&from, cred->securebits, CRED_U32(from.bytes, securebits)),
			       OF_SIDE(&to, cred->securebits, CRED_U32(to.bytes, securebits)), change))
		return true;
	if (fields & 1 << CRED_FIELD_USER_NS &&
	    user_ns_changed(SIDE_POINTER(&from, user_ns), SIDE_POINTER(&to, user_ns), change))
		return true;
	return fields & 1 << CRED_FIELD_GROUPS && groups_changed(&from, &to, change);
}

#define SIDE_SERIAL(side, keyring)                                                      \
	OF_SIDE(side, bpf_core_field_exists(cred->keyring) ? cred->keyring->serial : 0, \
		bpf_core_field_exists(cred->keyring) ? BPF_CORE_READ(cred, keyring, serial) : 0)

static __always_inline __u64 read_caps(const void *set)
{
	__u64 caps = 0;

	bpf_probe_read_kernel(&caps, sizeof(caps), set);
	return caps;
}

#define GROUPS_COUNT(side) OF_SIDE(side, cred->group_info->ngroups, BPF_CORE_READ(cred, group_info, ngroups))
#define RECORD_CAPS(side, set) OF_SIDE(side, CAPS(cred, set), read_caps(__builtin_preserve_access_index(&cred->set)))

static __always_inline void write_cred_rest(const struct cred_side *side, struct task_struct *task,
					    struct cred_rest_value *rest)
{
	__u64 groups = SIDE_POINTER(side, group_info);
	__u64 size;

	rest->cap_bounding = RECORD_CAPS(side, cap_bset);
	rest->cap_ambient = RECORD_CAPS(side, cap_ambient);
	rest->no_new_privs = TASK_READ(task, atomic_flags) & 1; /* PFA_NO_NEW_PRIVS is bit 0 */
	rest->groups_count = GROUPS_COUNT(side);
	__builtin_memset(rest->groups, 0, sizeof(rest->groups));
	size = at_most((__u64)rest->groups_count * sizeof(__u32), sizeof(rest->groups));
	if (size)
		bpf_probe_read_kernel(rest->groups, size,
				      (const char *)groups + bpf_core_field_offset(struct group_info, gid));
	rest->thread_keyring = SIDE_SERIAL(side, thread_keyring);
	rest->process_keyring = SIDE_SERIAL(side, process_keyring);
	rest->session_keyring = SIDE_SERIAL(side, session_keyring);
	rest->reserved = 0;
}

/* `known`: the same credentials, where they have been read already. */
static __always_inline bool write_side(const struct cred_side *side, struct task_struct *task,
				       const struct cred_value *known, struct cred_value *cred,
				       struct cred_rest_value *rest)
{
	bool read = true;

	if (known)
		*cred = *known;
	else
		read = side->typed ? load_cred(side->cred, cred) : read_cred(side->cred, cred);
	if (read)
		write_cred_rest(side, task, rest);
	return read;
}

/* Without a jump: the verifier would follow each combination of fields. */
static __always_inline __u32 bit_if_different(__u32 bit, __u64 from, __u64 to)
{
	__u64 difference = from ^ to;

	OPAQUE(difference);
	return (difference | -difference) >> 63 << bit;
}

#define PAIR_OF_IDS(cred, index) (((const __u64 *)&(cred)->uid)[index])
#define IDS_DIFFER(index) (PAIR_OF_IDS(&value->old, index) ^ PAIR_OF_IDS(&value->new, index))
#define DIFFER(member) (value->old.member ^ value->new.member)
#define REST_DIFFER(member) (value->old_rest.member ^ value->new_rest.member)
_Static_assert(__builtin_offsetof(struct cred_value, fsgid) - __builtin_offsetof(struct cred_value, uid) == 28,
	       "four pairs of ids");

/* Most commits change nothing: execs of the same user. */
static __always_inline bool is_any_different(const struct cred_change_value *value)
{
	__u64 differences = IDS_DIFFER(0) | IDS_DIFFER(1) | IDS_DIFFER(2) | IDS_DIFFER(3) | DIFFER(cap_permitted) |
			    DIFFER(cap_effective) | DIFFER(cap_inheritable) | DIFFER(securebits) |
			    DIFFER(user_ns_inum) | REST_DIFFER(cap_bounding) | REST_DIFFER(cap_ambient);

	OPAQUE(differences);
	return differences;
}

#define FIELD_BIT(bit, member) bit_if_different(bit, value->old.member, value->new.member)

static __always_inline __u32 changed_fields(const struct cred_change_value *value)
{
	__u32 changed = FIELD_BIT(CRED_FIELD_UID, uid) | FIELD_BIT(CRED_FIELD_GID, gid) |
			FIELD_BIT(CRED_FIELD_SUID, suid) | FIELD_BIT(CRED_FIELD_SGID, sgid) |
			FIELD_BIT(CRED_FIELD_EUID, euid) | FIELD_BIT(CRED_FIELD_EGID, egid) |
			FIELD_BIT(CRED_FIELD_FSUID, fsuid) | FIELD_BIT(CRED_FIELD_FSGID, fsgid) |
			FIELD_BIT(CRED_FIELD_CAP_PERMITTED, cap_permitted) |
			FIELD_BIT(CRED_FIELD_CAP_EFFECTIVE, cap_effective) |
			FIELD_BIT(CRED_FIELD_CAP_INHERITABLE, cap_inheritable) |
			FIELD_BIT(CRED_FIELD_SECUREBITS, securebits) | FIELD_BIT(CRED_FIELD_USER_NS, user_ns_inum);

	changed |= bit_if_different(CRED_FIELD_CAP_BOUNDING, value->old_rest.cap_bounding,
				    value->new_rest.cap_bounding);
	return changed |
	       bit_if_different(CRED_FIELD_CAP_AMBIENT, value->old_rest.cap_ambient, value->new_rest.cap_ambient);
}

/* False, and all zeros, if the old or the new credentials cannot be read. */
static __always_inline bool write_cred_change(void *context, struct task_struct *task, const struct cred_value *known,
					      struct cred_change_value *value)
{
	struct cred_side from, to;

	value->reserved = 0;
	if (find_old_cred(context, task, &from) && find_new_cred(context, task, &to) &&
	    write_side(&from, task, NULL, &value->old, &value->old_rest) &&
	    write_side(&to, task, known, &value->new, &value->new_rest)) {
		value->changed = is_any_different(value) ? changed_fields(value) : 0;
		if (groups_changed(&from, &to, CRED_CHANGED))
			value->changed |= 1 << CRED_FIELD_GROUPS;
		return true;
	}
	__builtin_memset(value, 0, sizeof(*value));
	return false;
}

#endif
