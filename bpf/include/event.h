/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Ring-buffer records: the contract between the BPF programs and agent/events/decode.ts.
 *
 * Every record starts with struct record_header; sizes and offsets are multiples of 8, integers are little-endian.
 * All times are CLOCK_BOOTTIME nanoseconds. A value that could not be read is marked as such, never zero.
 */
#ifndef TRIGON_EVENT_H
#define TRIGON_EVENT_H

enum record_kind {
	RECORD_EXEC = 1,
	RECORD_FORK = 2,
	RECORD_EXIT = 3,
	RECORD_HOOK = 4,
};

struct record_header {
	__u16 kind;		/* enum record_kind */
	__u16 flags;		/* enum record_flags */
	__u32 size;		/* bytes of the whole record, this header included */
	__u64 ktime_ns;		/* when it happened */
	__u32 pid;		/* user-space PID (kernel tgid) of the task */
	__u32 tid;		/* thread */
	__u64 leader_start_ns;	/* start_boottime of the thread group leader: tells pid reuse apart */
	__u32 exec_seq;		/* low 32 bits of task->self_exec_id: tells images of one pid apart */
	__u32 uid;		/* effective uid of the task at this moment */
};

/* enum record_flags: what could not be read or had to be cut */
enum record_flags {
	RECORD_ARGS_TRUNCATED = 1 << 0,
	RECORD_ARGS_FAILED = 1 << 1,
	RECORD_FILENAME_FAILED = 1 << 2,
	RECORD_CWD_FAILED = 1 << 3,
	RECORD_CGROUP_FAILED = 1 << 4,
	RECORD_CRED_FAILED = 1 << 5,
	RECORD_CWD_TRUNCATED = 1 << 6,
	RECORD_CWD_ROOT = 1 << 7,	/* cwd is the root directory of the process */
	RECORD_EXEC_SECURE = 1 << 8,	/* the kernel set AT_SECURE: privileges changed at exec */
	RECORD_NS_FAILED = 1 << 9,
};

/* A struct cred. Ids are kuids: as the initial user namespace sees them. */
struct cred_value {
	__u32 uid, gid, suid, sgid, euid, egid, fsuid, fsgid;
	__u32 securebits;
	__u32 user_ns_level;
	__u32 user_ns_owner;	/* kuid of the creator */
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
	__u32 nspid;		/* pid in the innermost pid namespace */
	__u32 auid;		/* loginuid, 4294967295 when unset */
	__u32 parent_pid;	/* tgid of real_parent */
	__u32 exe_links;	/* i_nlink of the executed file */
	__u64 parent_start_ns;	/* start_boottime of the parent's leader */
	__u64 exe_inode;
	__u64 cgroup_id;
	__u16 filename_size, args_size, cwd_size, cgroup_size, exe_size, reserved16[3];
};

/* sched_process_fork of a new thread group; header.pid and tid are the child's, ktime_ns the fork. */
struct fork_record {
	struct record_header header;
	__u32 parent_pid;
	__u32 nspid;		/* of the child */
	__u64 parent_start_ns;
	__u64 cgroup_id;
	__u32 creator_pid;	/* tgid of the task that forked: not the parent's with CLONE_PARENT */
	__u32 reserved;
};

/* sched_process_exit of the last thread of a group. */
struct exit_record {
	struct record_header header;
	__u32 code;		/* wait status: exit code << 8, or the signal in the low 7 bits */
	__u32 reserved;
};

/*
 * A hit of a hook. After the struct: one struct arg_slot per argument in the order of the policy, each followed by
 * its payload, padded to 8. `nop` arguments have a slot with size 0.
 */
struct hook_record {
	struct record_header header;
	__u32 hook_id;		/* given by the agent when it attached the hook */
	__u16 selector;		/* index of the selector that matched; 0xffff: the hook has none */
	__u8 action;		/* KprobeAction number: 1 post */
	__u8 args;		/* number of slots */
	__u64 cgroup_id;
};

/* Status of an argument slot. */
enum arg_status {
	ARG_OK = 0,
	ARG_READ_FAILED = 1,	/* payload is undefined */
	ARG_TRUNCATED = 2,	/* payload is the beginning of the value */
};

/*
 * Payload by type: integers, capability and capability sets: one __u64 (sign-extended for signed types); cred:
 * struct cred_value; user_namespace: struct user_ns_value; strings: their bytes. `room` is what the slot takes up
 * after its header (a multiple of 8), `size` the bytes of it that are the value.
 */
struct arg_slot {
	__u16 status;		/* enum arg_status */
	__u16 reserved;
	__u16 room;
	__u16 size;
};

/* Counters of one hook, in a per-CPU array of one element that belongs to the hook. */
struct hook_stats {
	__u64 hits;		/* the program ran */
	__u64 posted;		/* records written */
	__u64 lost;		/* records that found the ring full */
	__u64 rate_limited;	/* hits that matched and were inside the window */
	__u64 errors;		/* helper failures that cost a record, or an exec its entry for matchBinaries */
};

#endif
