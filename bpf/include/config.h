/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * One struct hook_config, in a frozen map, turns a template into a hook. The verifier treats its fields as constants and
 * removes code that the hook does not use. agent/hooks/config/encode.ts writes it, byte for byte.
 */
#ifndef TRIGON_CONFIG_H
#define TRIGON_CONFIG_H

#include "core.h"

/* Enumerators and not macros: user space reads them from BTF, see layouts.bpf.c. */
enum config_limit {
	SCOPE_WORDS = 8, /* of 64 scopes each */
	MAX_ARGS = 5,
	MAX_FIELDS = 10,
	RETURN_ARG = MAX_ARGS, /* index of the return value among the values */
	MAX_SELECTORS = 5,
	MAX_FILTERS = 96,
	INLINE_RANGES = 160, /* room for a mask per filter, and then for small sets */
	SEARCH_STEPS = 17,   /* of a binary search in hook_ranges: 65536 ranges */
	MAX_PATTERNS = 256,
	MAX_EXPRESSION_STEPS = 64,
	MAX_EXPRESSION_DEPTH = 8,
	MAX_STRING = 4096,
	MAX_DATA = 16384, /* of a buffer with maxData */
	MAX_STEPS_OF_VALUE = 11,
	EXE_PATH = 256,
	EXE_TAIL = 128,
	ASKED_NAMES = 2,
	IMAGE_BITS = 15,
	IMAGE_SLOTS = 1 << IMAGE_BITS, /* of processes */
	IMAGE_ASKED = 1 << IMAGE_BITS, /* in an image's id: asked_names has other paths of the file */
};

/* An automaton of hook_automata, see substring.h. */
enum automaton_layout {
	AUTOMATON_FOUND = 1, /* in an entry; rows begin at multiples of 4 */
	ENTRY_BYTES = 4,
	CLASS_BYTES = 256,
};

/* How an argument is read; the types of policies that differ in name only share one. */
enum value_kind {
	VALUE_NOP = 0,
	VALUE_INTEGER = 1,        /* the parameter itself, `width` bytes of it */
	VALUE_CAPABILITY_SET = 2, /* the 8 bytes it points to */
	VALUE_CRED = 3,
	VALUE_USER_NS = 4,
	VALUE_STRING = 5,
	VALUE_FILE = 6, /* struct file */
	VALUE_PATH = 7, /* struct path */
	VALUE_DENTRY = 8,
	VALUE_FD = 9,         /* number of an open file of the current task */
	VALUE_BINPRM = 10,    /* struct linux_binprm: its file */
	VALUE_BUFFER = 11,    /* bytes of memory: see struct buffer_config */
	VALUE_MODULE = 12,    /* struct module */
	VALUE_LOAD_INFO = 13, /* struct load_info: what a module is loaded from */
};

enum value_source {
	SOURCE_PARAMETER = 0,
	SOURCE_CURRENT_TASK = 1,
	SOURCE_REGISTERS = 2, /* of the function, or those that a system call came with */
};

enum value_flags {
	VALUE_SIGNED = 1 << 0,
	VALUE_USER = 1 << 1,      /* the string is in user memory */
	VALUE_ID16 = 1 << 2,      /* a user or group id of 16 bits */
	VALUE_SYSCALL = 1 << 3,   /* the number of a system call, without its ABI */
	VALUE_NO_SIGN = 1 << 4,   /* with VALUE_SIGNED: the field that it comes from has no sign */
	VALUE_AT_RETURN = 1 << 7, /* read when the function returns */
};

struct value_config {
	__u8 kind;      /* enum value_kind */
	__u8 parameter; /* of the function or system call, from 0 */
	__u8 bits;      /* of an integer */
	__u8 flags;     /* enum value_flags */
	__u8 source;    /* enum value_source */
	__u8 steps;     /* of the field path from there: used elements of hook_config.step */
	__u8 load;      /* bytes at its end, 1 to 8; 0: the value is the address */
	__u8 shift;     /* of a bit-field: bits of the loaded bytes that are below it */
};

/*
 * How many bytes a buffer has: `limit`, or what a parameter says, of which no more than `limit` are read. `limit` is also
 * the size of the array that a string is in; 0: a NUL ends it.
 */
struct buffer_config {
	__u32 limit;
	__u8 parameter; /* RETURN_ARG: what the function returned */
	__u8 bits;      /* of the size, an integer; 0: there are `limit` bytes */
	__u8 flags;     /* VALUE_SIGNED */
	__u8 reserved;
};

/*
 * The array that a field path leads into has as many elements as another field of its structure says, or one more. The
 * element is read only if `index` is below that number.
 */
struct bound_config {
	__u32 offset; /* of the number, from where step `step` starts */
	__u32 index;
	__u32 most; /* of elements that are stored there; larger arrays are elsewhere; 0: there is no such limit */
	__u8 step;  /* from 1; 0: there is no such array */
	__u8 width; /* of the number, in bytes */
	__u8 reserved8[2];
};

/* What stands in the field of a trace event. */
enum field_kind {
	FIELD_UNSIGNED = 0,
	FIELD_SIGNED = 1,
	FIELD_ARRAY = 2,         /* the value is its address */
	FIELD_DATA_LOC = 3,      /* size << 16 | offset: the value is that address in the event */
	FIELD_DATA_LOC_SIZE = 4, /* of the same: the value is the size */
};

struct field_config {
	__u16 offset;
	__u8 size;
	__u8 kind; /* enum field_kind */
};

/* A value that is read at return: its slot is set aside before. */
struct late_config {
	__u16 limit; /* the furthest that the slot can stand in the record */
	__u16 room;
};

/* The value that a filter compares. */
enum filter_operand {
	OPERAND_PID = 0,             /* tgid */
	OPERAND_NAMESPACE_PID = 1,   /* tgid in the innermost pid namespace */
	OPERAND_PID_OR_ANCESTOR = 2, /* tgid, or that of a process it descends from; `index` is the list's bit of 64 */
	OPERAND_NAMESPACE_PID_OR_ANCESTOR = 3,
	OPERAND_NAMESPACE = 4,         /* inode number of namespace `index` (enum namespace_kind) */
	OPERAND_ARG = 5,               /* value of argument `index` */
	OPERAND_EXE = 6,               /* path of the executed file */
	OPERAND_CAPABILITY = 7,        /* current set `index` (enum capability_set, IN_NAMESPACE) */
	OPERAND_CAPABILITY_CHANGE = 8, /* bits of set `index` that differ from the remembered state */
	OPERAND_NAMESPACE_CHANGE =
		9,                /* `first`: 1 << enum namespace_kind; does one differ from the remembered state? */
	OPERAND_CRED = 10,        /* `index` of the current credentials (enum current_cred_field) */
	OPERAND_CRED_CHANGE = 11, /* `first`: 1 << enum cred_field; did one change as enum cred_change `index`? */
	OPERAND_GAINED = 12,      /* bits of argument `first` that argument `index` lacks */
	OPERAND_TEXT = 13,        /* string or path of argument `index` */
	OPERAND_FILE_TYPE = 14,   /* 1 << S_IFMT of argument `index` >> 12 */
	OPERAND_EXPRESSION = 15,  /* the steps from `first` on, `count` of them, leave 1 */
};

/* Beside OPERAND_EXE: whose file. */
enum exe_flags {
	EXE_OF_PARENT = 1 << 0,
	EXE_OR_ANCESTOR = 1 << 1,
};

enum capability_set {
	CAPABILITIES_EFFECTIVE = 0,
	CAPABILITIES_INHERITABLE = 1,
	CAPABILITIES_PERMITTED = 2,
	CAPABILITY_SET_COUNT = 3,
};

/* Beside a capability set. */
enum capability_set_flags {
	IN_NAMESPACE = 128, /* only in a user namespace other than the initial one */
};

enum current_cred_field {
	CURRENT_UID = 0,
	CURRENT_EUID = 1,
	CURRENT_SUID = 2,
	CURRENT_FSUID = 3,
	CURRENT_GID = 4,
	CURRENT_EGID = 5,
	CURRENT_SGID = 6,
	CURRENT_FSGID = 7,
	CURRENT_AUID = 8,
	CURRENT_SECUREBITS = 9,
	CURRENT_NO_NEW_PRIVS = 10,
	CURRENT_USER_NS_LEVEL = 11,
};

enum cred_change {
	CRED_CHANGED = 0,
	CRED_RAISED = 1,
	CRED_DROPPED = 2,
};

enum filter_compare {
	COMPARE_RANGES = 0,      /* in ranges[first..first+count] of the config */
	COMPARE_MANY_RANGES = 1, /* in the same of the map hook_ranges, sorted and disjoint */
	COMPARE_MASKS = 2,       /* a bit in common with a range's `low` */
	COMPARE_PATHS = 3,    /* in hook_paths with bit `first`; with EXE_OR_ANCESTOR `count` is the list's bit of 64 */
	COMPARE_PATTERNS = 4, /* like one of hook_patterns[first..first+count], from the start of the path */
	COMPARE_TAIL_PATTERNS = 5, /* the same from its end */
	COMPARE_SUBSTRINGS = 6,    /* by the automaton that begins at byte `first` of hook_automata */
};

enum namespace_kind {
	NAMESPACE_UTS = 0,
	NAMESPACE_IPC = 1,
	NAMESPACE_MNT = 2,
	NAMESPACE_PID = 3,
	NAMESPACE_PID_FOR_CHILDREN = 4,
	NAMESPACE_NET = 5,
	NAMESPACE_TIME = 6,
	NAMESPACE_TIME_FOR_CHILDREN = 7,
	NAMESPACE_CGROUP = 8,
	NAMESPACE_USER = 9,
	NAMESPACE_KINDS = 10,
};

struct filter_config {
	__u8 operand; /* enum filter_operand */
	__u8 index;
	__u8 compare; /* enum filter_compare */
	__u8 negate;
	__u32 first;
	__u32 count;
};

/* Both ends included. Signed values have their top bit flipped, so that they compare as unsigned ones. */
struct value_range {
	__u64 low;
	__u64 high;
};

/* Operations of a stack machine: push a value, or replace one or two by the result. */
enum expression_op {
	EXPRESSION_CONST = 0,
	EXPRESSION_ARG = 1,
	EXPRESSION_ADD = 2,
	EXPRESSION_SUB = 3,
	EXPRESSION_MUL = 4,
	EXPRESSION_DIV = 5,
	EXPRESSION_MOD = 6,
	EXPRESSION_SDIV = 7, /* signed, by a positive number */
	EXPRESSION_SMOD = 8,
	EXPRESSION_NEG = 9,
	EXPRESSION_EQ = 10,
	EXPRESSION_LT = 11,
	EXPRESSION_LE = 12,
	EXPRESSION_SLT = 13,
	EXPRESSION_SLE = 14,
	EXPRESSION_AND = 15,
	EXPRESSION_OR = 16,
	EXPRESSION_NOT = 17,
};

struct expression_step {
	__u64 value; /* EXPRESSION_CONST */
	__u8 op;     /* enum expression_op */
	__u8 arg;    /* EXPRESSION_ARG */
	__u8 reserved8[2];
	__u32 reserved;
};

enum selector_flags {
	SELECTOR_NO_POST = 1 << 0,
	SELECTOR_KERNEL_STACK = 1 << 1,
	SELECTOR_USER_STACK = 1 << 2,
	SELECTOR_OVERRIDE = 1 << 3,
	SELECTOR_NO_POST_AT_RETURN = 1 << 4,
	SELECTOR_REMEMBERS = 1 << 5,           /* later states are compared with the state at a match */
	SELECTOR_HASH = 1 << 6,                /* of a file, with HOOK_HASH */
	SELECTOR_REMEMBERS_AT_RETURN = 1 << 7, /* the same for filters that are compared at return */
};

enum limit_scope {
	LIMIT_NONE = 0,
	LIMIT_THREAD = 1,
	LIMIT_PROCESS = 2,
	LIMIT_GLOBAL = 3,
};

/* Which processes count, see scope.h. */
enum scope_flags {
	SCOPE_LIMITED = 1 << 0, /* not all of the node */
	SCOPE_HOST = 1 << 1,    /* those that are in no pod, too */
};

struct selector_config {
	__u16 first_filter;
	__u16 filters;
	__u16 flags;       /* enum selector_flags */
	__u16 limit_scope; /* enum limit_scope */
	__u64 limit_ns;
	__u16 first_return_filter;
	__u16 return_filters;
	__u8 signal; /* to send; 0: none */
	__u8 signal_at_return;
	__u8 action; /* KprobeAction number of the last enforcing action; 0: none */
	__u8 action_at_return;
	__s32 error;      /* that the call returns instead, with SELECTOR_OVERRIDE */
	__u16 scope;      /* bit of struct cgroup_scopes */
	__u8 scope_flags; /* enum scope_flags */
	__u8 reserved;
};

enum hook_flags {
	HOOK_SYSCALL = 1 << 0,      /* the first parameter is the struct pt_regs that holds the arguments */
	HOOK_SCRATCH = 1 << 1,      /* build the record aside: its size varies, or it may be held back */
	HOOK_RETURN = 1 << 2,       /* the record is kept until the function returns */
	HOOK_CRED_CHANGE = 1 << 3,  /* records carry struct cred_change_value */
	HOOK_HASH = 1 << 4,         /* records may be kept until hook_ima has the hash of a file */
	HOOK_HASH_OF_BPRM = 1 << 5, /* the parameter is a linux_binprm: its file */
	HOOK_SCOPED = 1 << 6,       /* the hook or one of its selectors is not about all processes */
	HOOK_IA32 = 1 << 7,         /* with HOOK_SYSCALL: arguments are in the registers of the 32-bit ABI */
	HOOK_IN_SYSCALL = 1 << 8,   /* records have the system call that the task is in */
	HOOK_GATE = 1 << 9,         /* filter 0 and range 0 are compared first: the only selector begins behind */
};

/* Where a hook finds credentials. */
enum cred_source {
	CRED_NONE = 0,
	CRED_PARAMETER = 1,
	CRED_OF_BPRM = 2, /* the `cred` of a parameter that is a linux_binprm */
	CRED_OF_CURRENT = 3,
};

/* Old and new credentials of a hook that receives both. */
struct cred_hook_config {
	__u8 old_source, old_parameter;
	__u8 new_source, new_parameter;
	__u32 reserved;
};

struct hook_config {
	__u32 hook_id;
	__u32 flags;       /* enum hook_flags */
	__u32 record_size; /* the most that a record takes; exactly what one takes that is built in place */
	__u16 args;
	__u16 selectors;
	__u64 limit_seed[2]; /* random: keys of the rate limit cannot be made to collide */
	__u16 parameters;    /* of the function: where a trampoline's context has its return value */
	__u8 hash_parameter; /* whose file is hashed, with HOOK_HASH */
	__u8 scope_flags;    /* enum scope_flags */
	__u32 automata_mask; /* of offsets of entries: bytes of hook_automata, a power of two, less 4 */
	struct field_config field[MAX_FIELDS]; /* of a trace event; the second half are sizes of buffers */
	struct late_config late[MAX_ARGS + 1];
	struct cred_hook_config cred;
	struct value_config arg[MAX_ARGS + 1];
	struct selector_config selector[MAX_SELECTORS];
	struct filter_config filter[MAX_FILTERS];
	struct value_range range[INLINE_RANGES];
	struct expression_step expression[MAX_EXPRESSION_STEPS];
	struct buffer_config buffer[MAX_ARGS];
	__u32 step[MAX_ARGS][MAX_STEPS_OF_VALUE]; /* bytes to add; between two of them the pointer there is followed */
	struct bound_config bound[MAX_ARGS];
	__u16 scope;    /* bit of struct cgroup_scopes */
	__u16 cpu_mask; /* hook_stats has one element more: a power of two */
};

/* Values of hook_mode. */
enum hook_mode_value {
	MODE_ENFORCE = 0,
	MODE_MONITOR = 1, /* enforcing actions are counted, not done */
	MODE_COUNT = 2,   /* the same, and what would be posted is counted, too */
	MODE_OFF = 3,     /* the hook is about to be detached: only calls that have begun are posted, at their return */
};

/* How often each action was done. In monitor mode actions count under monitor_ and are not done. */
struct action_stats {
	__u64 post;
	__u64 nopost;
	__u64 signal;
	__u64 monitor_signal;
	__u64 override;
	__u64 monitor_override;
	__u64 count;
};

/* Key of hit_counts: a process and the file that it executes, and the hook that counts. */
struct count_key {
	__u32 hook_id;
	__u32 pid;      /* tgid */
	__u32 exec_seq; /* as in struct record_header */
};

/* Value of hook_stats. A hook without selectors counts for the first. hook.posted is not used: it is the sum of `post`. */
struct hook_counters {
	struct hook_stats hook;
	struct action_stats selector[MAX_SELECTORS];
};

/*
 * Key of hook_calls: a thread, and the frame of the call, since a function may call itself. The task's address identifies
 * the thread, not its id: a thread that executes a file takes the id of its process.
 */
struct call_key {
	__u64 task;  /* address */
	__u32 frame; /* low half of an address in its stack; 0 for system calls */
	__u32 reserved;
};

/* Value of hook_calls: a call in flight. The record follows, without the values that are read at return. */
struct call_head {
	__u64 parameter[MAX_ARGS + 1]; /* to be read at return; the last is the return value */
	__u16 slot[MAX_ARGS + 1];      /* where in the record their slots are */
	__u16 values_size;             /* of the record with its arguments and return value */
	__u16 size;                    /* of the whole record */
	__u64 candidates;              /* a bit for each selector that matched at entry */
};

/* Key of hook_limits. The digest covers selector and argument bytes. */
struct limit_key {
	__u64 digest[2];
	__u64 start_ns; /* of the process: distinguishes reuses of a pid */
	__u32 id;       /* thread or process; 0 for the global scope */
	__u32 reserved;
};

/* An element of hook_patterns: matches when (path & mask) == data over all words. */
struct path_pattern {
	__u64 mask[EXE_PATH / 8];
	__u64 data[EXE_PATH / 8];
};

/* Credentials from uid to cap_ambient, as the kernel has them; starts at a multiple of 8 so that alignment is kept. */
struct cred_bytes {
	__u64 words[12];
};

/* Credentials as they are compared: the ids and sets, and the addresses of what else belongs to them. */
struct cred_raw {
	struct cred_bytes bytes;
	__u64 user_ns;
	__u64 group_info;
};

/* Value of cred_states: the credentials that the kernel last gave a task. */
struct cred_state {
	__u64 start_ns; /* of the task: distinguishes reuses of an address */
	__u32 known;    /* 0: the rest is not filled in */
	__u32 has_next; /* a commit has begun, of `next` */
	struct cred_raw raw;
	struct cred_raw next;
	struct cred_value cred;
	struct cred_rest_value rest;
};

/* Beginning of hook_scratch while filters compare credentials that loads cannot follow. */
struct cred_scratch {
	struct cred_bytes from, to;
};

/* The state that changes are compared with. */
struct process_state {
	__u64 caps[CAPABILITY_SET_COUNT];
	__u32 ns[NAMESPACE_KINDS];
};

enum image_flags {
	IMAGE_STATE_KNOWN = 1 << 0,
	IMAGE_STATE_REPORTED = 1 << 1, /* a hook has found the state changed: see its hook_reports */
};

/* What process_seed returns. */
enum seed_result {
	SEED_TAKEN = 0,
	SEED_KNOWN = 1, /* the process has an image: it has executed or was forked under the sensors */
	SEED_NO_ROOM = 2,
};

/* Key of hook_reports. A process that has forked and not executed has its creator's exec_ns. */
struct report_key {
	__u64 exec_ns;
	__u32 pid;
	__u32 reserved;
};

/* The state that a hook has reported last. */
struct state_report {
	__u64 ktime_ns;
	struct process_state state;
};

/* A path or another string as filters compare it. */
struct text_ends {
	char tail[EXE_TAIL]; /* the end of the path, flush right, zeros before it */
	char path[EXE_PATH]; /* its beginning, zeros after it */
	__u32 path_size;     /* of the whole path; paths longer than EXE_PATH - 1 equal no other */
	__u32 reserved;
};

/* Value of process_images, by id: a file that processes run, as it was executed. */
struct process_image {
	struct text_ends exe;       /* the executed file */
	__u64 id;                   /* no other image had it */
	__u64 exec_ns;              /* when it executed first, or the process that it was forked from */
	__u32 flags;                /* enum image_flags */
	__u32 pid;                  /* of the process that executed */
	struct process_state state; /* as it was at exec_ns */
};

/* Value of image_slots: see image.h. */
struct image_slot {
	__u32 claims;
	__u32 pid; /* tgid; 0: free */
	__u64 image;
};

/*
 * Value of asked_names, by the image's id: other paths that led to the file, with links in them. The first
 * is the one that exec was given, the second that of the interpreter in the first line of a script. Size 0: there is none.
 */
struct asked_names {
	struct text_ends name[ASKED_NAMES];
};

/* Value of cgroup_scopes, by cgroup id: a bit for each scope. */
struct cgroup_scopes {
	__u64 inside[SCOPE_WORDS];
	__u64 undecided[SCOPE_WORDS];
};

/* Key of follow_pids. */
struct follow_pid {
	__u32 pid;
	__u32 in_namespace; /* 1: tgid in the innermost pid namespace */
};

/* Value of follow_seeds. */
struct follow_seed {
	__u64 start_ns; /* of the process, rounded down to a tick of /proc: distinguishes reuses of a pid */
	__u64 lists;
};

#define PATH_BYTES 4096
#define NAME_BYTES 256

struct path_buffer {
	/* Filled from the end of PATH_BYTES; the rest is slack, which the verifier requires behind a masked offset. */
	char bytes[PATH_BYTES + NAME_BYTES];
	/*
	 * The walk's state is in memory and not in registers. The verifier does not know values from memory, so its states
	 * after 1, 2, 3 ... steps are equal, whichever branch made the step.
	 */
	__u64 start; /* the path goes from here to PATH_BYTES */
	struct dentry *dentry;
	struct vfsmount *mount;
	struct dentry *mount_root;
	__u32 flags; /* enum walk_flags */
	__u32 reserved;
};

/* Progress of search_text(): in memory for the same reason as the state of a walk. */
struct text_search {
	__u32 at;    /* the next byte of path.bytes */
	__u32 end;   /* of the text */
	__u32 entry; /* of the automaton: the current state */
	__u32 reserved;
};

/* Value of hook_text. */
struct text_scratch {
	struct path_buffer path;
	struct text_ends text;
	struct text_search search;
};

#endif
