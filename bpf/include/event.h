/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Ring-buffer records: the contract between the BPF programs and agent/records/decode.ts.
 *
 * Every record starts with struct record_header; sizes and offsets are multiples of 8, integers are little-endian.
 * All times are CLOCK_BOOTTIME nanoseconds. A value that could not be read is marked as such, never zero.
 */
#ifndef TRIGON_EVENT_H
#define TRIGON_EVENT_H

/* Enumerators and not macros: user space reads them from BTF, see layouts.bpf.c. */
enum record_limit {
	CGROUP_NAME_BYTES = 256,
	MAX_GROUPS = 32, /* supplementary groups that a record has room for */
	STACK_FRAMES = 64,
	MODULE_NAME_BYTES = 64,
	NO_SELECTOR = 0xffff, /* hook_record.selector of a hook without selectors */
};

enum record_kind {
	RECORD_EXEC = 1,
	RECORD_FORK = 2,
	RECORD_EXIT = 3,
	RECORD_HOOK = 4,
	RECORD_CGROUP = 5,
	SENSOR_DRIFT = 6, /* in sensor_stats: its records are those of hooks */
};

struct record_header {
	__u16 kind;            /* enum record_kind */
	__u16 flags;           /* enum record_flags */
	__u32 size;            /* bytes of the whole record, this header included */
	__u64 ktime_ns;        /* when it happened */
	__u32 pid;             /* user-space PID (kernel tgid) of the task */
	__u32 tid;             /* thread */
	__u64 leader_start_ns; /* start_boottime of the thread group leader: distinguishes reuses of a pid */
	__u32 exec_seq;        /* low 32 bits of task->self_exec_id: distinguishes images of one pid */
	__u32 uid;             /* effective uid of the task at this moment */
};

/* Parts that could not be read or were truncated, and parts that follow. */
enum record_flags {
	RECORD_ARGS_TRUNCATED = 1 << 0,
	RECORD_ARGS_FAILED = 1 << 1,
	RECORD_FILENAME_FAILED = 1 << 2,
	RECORD_CWD_FAILED = 1 << 3,
	RECORD_CGROUP_FAILED = 1 << 4,
	RECORD_CRED_FAILED = 1 << 5,
	RECORD_CWD_TRUNCATED = 1 << 6,
	RECORD_CWD_ROOT = 1 << 7,    /* cwd is the root directory of the process */
	RECORD_EXEC_SECURE = 1 << 8, /* the kernel set AT_SECURE: privileges changed at exec */
	RECORD_NS_FAILED = 1 << 9,
	/* In hook records: the parts that follow the arguments. */
	RECORD_RETURN = 1 << 10,          /* one slot with the return value */
	RECORD_CRED_CHANGE = 1 << 11,     /* struct cred_change_value */
	RECORD_KERNEL_STACK = 1 << 12,    /* one slot of addresses, innermost first */
	RECORD_USER_STACK = 1 << 13,      /* the same */
	RECORD_HASH = 1 << 14,            /* one slot with struct hash_value */
	RECORD_SCOPE_UNDECIDED = 1 << 15, /* of a pod or container that the agent does not know yet: it decides later */
};

/* A struct cred. Ids are kuids: as the initial user namespace sees them. */
struct cred_value {
	__u32 uid, gid, suid, sgid, euid, egid, fsuid, fsgid;
	__u32 securebits;
	__u32 user_ns_level;
	__u32 user_ns_owner; /* kuid of the creator */
	__u32 user_ns_group;
	__u32 user_ns_inum;
	__u32 reserved;
	__u64 cap_permitted, cap_effective, cap_inheritable;
};

struct user_ns_value {
	__u32 level, owner, group, inum;
};

/* Namespace inode numbers; 0 where the kernel has no such namespace. */
struct ns_value {
	__u32 uts, ipc, mnt, pid, pid_for_children, net, time, time_for_children, cgroup, user;
};

/*
 * sched_process_exec. After the struct, in this order and without terminators: filename (as given to exec),
 * arguments (argv with its NULs, argv[0] included), cwd (absolute), cgroup (leaf name, or PARENT/LEAF), exe (the
 * resolved path of the executed file; may be empty); the record is padded to 8.
 */
struct exec_record {
	struct record_header header;
	struct cred_value cred;
	struct ns_value ns;
	__u32 nspid;           /* pid in the innermost pid namespace */
	__u32 auid;            /* loginuid, 4294967295 when unset */
	__u32 parent_pid;      /* tgid of real_parent */
	__u32 exe_links;       /* i_nlink of the executed file */
	__u64 parent_start_ns; /* start_boottime of the parent's leader */
	__u64 exe_inode;
	__u64 cgroup_id;
	__u16 filename_size, args_size, cwd_size, cgroup_size, exe_size;
	__u16 privileges; /* enum exec_privileges */
	__u16 reserved16[2];
};

/* Privileges that an exec gained. */
enum exec_privileges {
	EXEC_SETUID = 1 << 0, /* by the file's setuid bit another effective uid than the caller's uid */
	EXEC_SETGID = 1 << 1,
	EXEC_FILE_CAPS = 1 << 2,   /* permitted capabilities by the file's own */
	EXEC_SETUID_ROOT = 1 << 3, /* the setuid bit made it root of its user namespace, or of the initial one */
	EXEC_SETGID_ROOT = 1 << 4,
	EXEC_PRIVILEGES_KNOWN = 1 << 15, /* else nobody looked: the kernel refuses such programs */
};

/* sched_process_fork of a new thread group; header.pid and tid are the child's, ktime_ns the fork. */
struct fork_record {
	struct record_header header;
	__u32 parent_pid;
	__u32 nspid; /* of the child */
	__u64 parent_start_ns;
	__u64 cgroup_id;
	__u32 creator_pid; /* tgid of the task that forked: not the parent's with CLONE_PARENT */
	__u32 reserved;
};

/* sched_process_exit of the last thread of a group. */
struct exit_record {
	struct record_header header;
	__u32 code; /* wait status: exit code << 8, or the signal in the low 7 bits */
	__u32 reserved;
};

/* A cgroup of the v2 hierarchy was made or removed. */
struct cgroup_record {
	struct record_header header; /* of the process that did it */
	__u64 cgroup_id;
	__u64 parent_id; /* 0 when removed */
	__u32 removed;
	__u32 name_size;
	char name[CGROUP_NAME_BYTES]; /* of the directory */
};

/* Bits of cred_change_value.changed and of filters on changes. */
enum cred_field {
	CRED_FIELD_UID = 0,
	CRED_FIELD_GID = 1,
	CRED_FIELD_SUID = 2,
	CRED_FIELD_SGID = 3,
	CRED_FIELD_EUID = 4,
	CRED_FIELD_EGID = 5,
	CRED_FIELD_FSUID = 6,
	CRED_FIELD_FSGID = 7,
	CRED_FIELD_CAP_PERMITTED = 8,
	CRED_FIELD_CAP_EFFECTIVE = 9,
	CRED_FIELD_CAP_INHERITABLE = 10,
	CRED_FIELD_CAP_BOUNDING = 11,
	CRED_FIELD_CAP_AMBIENT = 12,
	CRED_FIELD_SECUREBITS = 13,
	CRED_FIELD_USER_NS = 14,
	CRED_FIELD_GROUPS = 15,
	CRED_FIELD_NO_NEW_PRIVS = 16,
};

/* The rest of the credentials, which struct cred_value does not have. */
struct cred_rest_value {
	__u64 cap_bounding, cap_ambient;
	__u32 no_new_privs;       /* of the task: 0 or 1 */
	__u32 groups_count;       /* of all supplementary groups */
	__u32 groups[MAX_GROUPS]; /* the first of them, as kgids; zeros behind the last */
	/* Serials of keyrings; 0: none. */
	__u32 thread_keyring, process_keyring, session_keyring;
	__u32 reserved;
};

/* Old and new credentials where a function replaces ones by the others; all zeros with RECORD_CRED_FAILED. */
struct cred_change_value {
	__u32 changed; /* 1 << enum cred_field */
	__u32 reserved;
	struct cred_value old;
	struct cred_value new;
	struct cred_rest_value old_rest;
	struct cred_rest_value new_rest;
};

/* What is missing of a path. */
enum walk_flags {
	WALK_TRUNCATED = 1 << 0, /* its beginning */
	WALK_FAILED = 1 << 1,
};

/* Payload of file, path, dentry, fd and linux_binprm; the path's bytes follow. */
struct path_value {
	__u32 flags; /* enum walk_flags */
	__u32 mode;  /* i_mode */
};

/* Payload of char_buf and const_buf; the bytes that were read follow. */
struct buffer_value {
	__u64 size; /* of the whole buffer */
};

enum signature_state {
	SIGNATURE_BAD = 0,
	SIGNATURE_OK = 1,
	SIGNATURE_UNKNOWN = 2, /* the kernel does not say */
};

/* Payload of module and load_info; the name's bytes follow. */
struct module_value {
	__u64 taints;       /* bits of struct module.taints; 0 for load_info */
	__u32 signature_ok; /* enum signature_state */
	__u32 reserved;
};

/* Hash of a file; its length is the algorithm's. */
struct hash_value {
	__u32 algorithm; /* of the kernel's enum hash_algo */
	__u32 reserved;
	__u8 digest[64];
};

/*
 * A hit of a hook. After the struct: one struct arg_slot per argument in the order of the policy (args, then data),
 * each followed by its payload, padded to 8; then the parts that the flags name. `nop` arguments have a slot with size 0.
 */
struct hook_record {
	struct record_header header;
	__u32 hook_id;  /* given by the agent when it attached the hook */
	__u16 selector; /* index of the selector that matched, or NO_SELECTOR */
	__u8 action; /* KprobeAction number: 1 post, or the enforcing one that was done: 3 sigkill, 5 override, 10 signal */
	__u8 args; /* number of slots */
	__u64 cgroup_id;
	__u32 syscall; /* number of the system call that the task is in, with bit 31 for the 32-bit ABI; -1: none */
	__u32 in_exec; /* 1: the task is executing a file; 0 also in hooks without HOOK_IN_SYSCALL */
};

/* Ids of the records of credential_drift, in hook_record.hook_id. A hook that notices it sets a bit of its own id. */
enum drift_id {
	DRIFT_OF_HOOK = 0x40000000,
	DRIFT_AT_COMMIT = 0x7ffffff1,
	DRIFT_AT_FORK = 0x7ffffff2,
	DRIFT_AT_EXIT = 0x7ffffff3,
};

/* Status of an argument slot. */
enum arg_status {
	ARG_OK = 0,
	ARG_READ_FAILED = 1, /* payload is undefined */
	ARG_TRUNCATED = 2,   /* payload is the beginning of the value */
};

enum failed_depth {
	DEPTH_BEYOND_END = 0xffff, /* arg_slot.depth: nothing failed, but the array has no such element */
};

/*
 * Payload by type: integers, capability and capability sets: one __u64 (sign-extended for signed types); cred:
 * struct cred_value; user_namespace: struct user_ns_value; strings: their bytes. `room` is what the slot takes up
 * after its header (a multiple of 8), `size` the bytes of it that are the value.
 */
struct arg_slot {
	__u16 status; /* enum arg_status */
	__u16 depth;  /* of a failed read in a field path, from 1; 0: the value itself */
	__u16 room;
	__u16 size;
};

/* Counters of one hook, in a per-CPU array of one element that belongs to the hook. */
struct hook_stats {
	__u64 hits;         /* the program ran */
	__u64 posted;       /* records written */
	__u64 lost;         /* records that found the ring full */
	__u64 rate_limited; /* hits that matched and were inside the window */
	__u64 errors;       /* helper failures that cost a record, or an exec its entry for matchBinaries */
};

#endif
