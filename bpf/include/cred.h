/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Credentials and user namespaces can be read in two ways. Typed loads cost a tenth of a helper call, but need a pointer
 * whose type the verifier knows. Bulk reads work from any address. Both return false, and leave the value undefined, if
 * the result cannot be valid: a typed load from a bad address yields 0.
 */
#ifndef TRIGON_CRED_H
#define TRIGON_CRED_H

#include "config.h"

/* A capability set is two __u32 before 6.3 and one __u64 since: the same 8 bytes. */
#define CAPS(cred, set) (*(const __u64 *)__builtin_preserve_access_index(&(cred)->set))

/* The distance is computed apart: pointers to the stack allow additions of constants only. */
static __always_inline __u32 u32_at(const void *bytes, __u64 distance)
{
	OPAQUE(distance);
	return *(const __u32 *)((const char *)bytes + distance);
}

static __always_inline bool load_user_ns(const struct user_namespace *ns, struct user_ns_value *value)
{
	__u32 inum;

	if (!ns)
		return false;
	inum = ns->ns.inum;
	if (!inum) /* every namespace has one: the address is bad */
		return false;
	value->inum = inum;
	value->level = ns->level;
	value->owner = ns->owner.val;
	value->group = ns->group.val;
	return true;
}

static __always_inline bool load_cred(const struct cred *cred, struct cred_value *value)
{
	const struct user_namespace *ns;
	__u32 inum;

	if (!cred)
		return false;
	ns = cred->user_ns;
	if (!ns) /* credentials always have one: the address is bad */
		return false;
	inum = ns->ns.inum;
	if (!inum)
		return false;
	value->uid = cred->uid.val;
	value->gid = cred->gid.val;
	value->suid = cred->suid.val;
	value->sgid = cred->sgid.val;
	value->euid = cred->euid.val;
	value->egid = cred->egid.val;
	value->fsuid = cred->fsuid.val;
	value->fsgid = cred->fsgid.val;
	value->securebits = cred->securebits;
	value->user_ns_level = ns->level;
	value->user_ns_owner = ns->owner.val;
	value->user_ns_group = ns->group.val;
	value->user_ns_inum = inum;
	value->reserved = 0;
	value->cap_permitted = CAPS(cred, cap_permitted);
	value->cap_effective = CAPS(cred, cap_effective);
	value->cap_inheritable = CAPS(cred, cap_inheritable);
	return true;
}

static __always_inline bool read_user_ns(const struct user_namespace *ns, struct user_ns_value *value)
{
	const __u32 start = bpf_core_field_offset(struct user_namespace, level);
	const __u32 span = bpf_core_field_offset(struct user_namespace, group) + sizeof(__u32) - start;
	__u32 ids[4] = {};

	/* level, owner and group have stood side by side since 3.8. */
	if (span > sizeof(ids) || bpf_probe_read_kernel(ids, span, (const char *)ns + start))
		return false;
	if (bpf_core_read(&value->inum, sizeof(value->inum), &ns->ns.inum) || !value->inum)
		return false;
	value->level = ids[0];
	value->owner = u32_at(ids, bpf_core_field_offset(struct user_namespace, owner) - start);
	value->group = u32_at(ids, bpf_core_field_offset(struct user_namespace, group) - start);
	return true;
}

#define CRED_START (bpf_core_field_offset(struct cred, uid) & ~7U)
#define CRED_SPAN (bpf_core_field_offset(struct cred, cap_ambient) + sizeof(__u64) - CRED_START)
#define CRED_U32(bytes, field) u32_at(bytes, bpf_core_field_offset(struct cred, field) - CRED_START)
#define CRED_HIGH(bytes, field) u32_at(bytes, bpf_core_field_offset(struct cred, field) - CRED_START + sizeof(__u32))
#define CRED_CAPS(bytes, field) (CRED_U32(bytes, field) | (__u64)CRED_HIGH(bytes, field) << 32)

static __always_inline bool read_cred_bytes(const struct cred *cred, struct cred_bytes *bytes)
{
	const __u32 span = CRED_SPAN;

	return span <= sizeof(*bytes) && !bpf_probe_read_kernel(bytes, span, (const char *)cred + CRED_START);
}

static __always_inline bool read_cred(const struct cred *cred, struct cred_value *value)
{
	const struct user_namespace *ns = NULL;
	struct cred_bytes bytes = {};
	struct user_ns_value owner;

	if (!read_cred_bytes(cred, &bytes))
		return false;
	if (bpf_core_read(&ns, sizeof(ns), &cred->user_ns) || !read_user_ns(ns, &owner))
		return false;
	value->uid = CRED_U32(&bytes, uid);
	value->gid = CRED_U32(&bytes, gid);
	value->suid = CRED_U32(&bytes, suid);
	value->sgid = CRED_U32(&bytes, sgid);
	value->euid = CRED_U32(&bytes, euid);
	value->egid = CRED_U32(&bytes, egid);
	value->fsuid = CRED_U32(&bytes, fsuid);
	value->fsgid = CRED_U32(&bytes, fsgid);
	value->securebits = CRED_U32(&bytes, securebits);
	value->user_ns_level = owner.level;
	value->user_ns_owner = owner.owner;
	value->user_ns_group = owner.group;
	value->user_ns_inum = owner.inum;
	value->reserved = 0;
	value->cap_permitted = CRED_CAPS(&bytes, cap_permitted);
	value->cap_effective = CRED_CAPS(&bytes, cap_effective);
	value->cap_inheritable = CRED_CAPS(&bytes, cap_inheritable);
	return true;
}

#endif
