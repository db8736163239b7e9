/**
 * Where the fields of bpf/include/event.h stand, in bytes from the start of their struct. The one table that
 * TypeScript reads records by; a test compares it with what a C compiler makes of the header.
 */

/** Record kinds, enum record_kind. */
export const RECORD_EXEC = 1;
export const RECORD_FORK = 2;
export const RECORD_EXIT = 3;
export const RECORD_HOOK = 4;

/** Bits of record_header.flags, enum record_flags. */
export const RECORD_ARGS_TRUNCATED = 1 << 0;
export const RECORD_ARGS_FAILED = 1 << 1;
export const RECORD_FILENAME_FAILED = 1 << 2;
export const RECORD_CWD_FAILED = 1 << 3;
export const RECORD_CGROUP_FAILED = 1 << 4;
export const RECORD_CRED_FAILED = 1 << 5;
export const RECORD_CWD_TRUNCATED = 1 << 6;
export const RECORD_CWD_ROOT = 1 << 7;
export const RECORD_EXEC_SECURE = 1 << 8;
export const RECORD_NS_FAILED = 1 << 9;
/** Bits of a hook record's flags: what follows its arguments, in this order. */
export const RECORD_RETURN = 1 << 10;
export const RECORD_CRED_CHANGE = 1 << 11;
export const RECORD_KERNEL_STACK = 1 << 12;
export const RECORD_USER_STACK = 1 << 13;
export const RECORD_HASH = 1 << 14;

/** Status of an argument slot, enum arg_status. */
export const ARG_OK = 0;
export const ARG_READ_FAILED = 1;
export const ARG_TRUNCATED = 2;

/** hook_record.selector of a hook without selectors. */
export const NO_SELECTOR = 0xffff;

/** struct record_header: the beginning of every record. */
export const HEADER = {
  kind: 0,
  flags: 2,
  size: 4,
  ktime_ns: 8,
  pid: 16,
  tid: 20,
  leader_start_ns: 24,
  exec_seq: 32,
  uid: 36,
} as const;
export const HEADER_SIZE = 40;

/** struct cred_value. */
export const CRED = {
  uid: 0,
  gid: 4,
  suid: 8,
  sgid: 12,
  euid: 16,
  egid: 20,
  fsuid: 24,
  fsgid: 28,
  securebits: 32,
  user_ns_level: 36,
  user_ns_owner: 40,
  user_ns_group: 44,
  user_ns_inum: 48,
  reserved: 52,
  cap_permitted: 56,
  cap_effective: 64,
  cap_inheritable: 72,
} as const;
export const CRED_SIZE = 80;

/** struct user_ns_value. */
export const USER_NS = { level: 0, owner: 4, group: 8, inum: 12 } as const;
export const USER_NS_SIZE = 16;

/** struct ns_value. */
export const NS = {
  uts: 0,
  ipc: 4,
  mnt: 8,
  pid: 12,
  pid_for_children: 16,
  net: 20,
  time: 24,
  time_for_children: 28,
  cgroup: 32,
  user: 36,
} as const;
export const NS_SIZE = 40;

/** struct exec_record; its texts follow. */
export const EXEC = {
  header: 0,
  cred: 40,
  ns: 120,
  nspid: 160,
  auid: 164,
  parent_pid: 168,
  exe_links: 172,
  parent_start_ns: 176,
  exe_inode: 184,
  cgroup_id: 192,
  filename_size: 200,
  args_size: 202,
  cwd_size: 204,
  cgroup_size: 206,
  exe_size: 208,
  privileges: 210,
  reserved16: 212,
} as const;
export const EXEC_SIZE = 216;

/** Bits of exec_record.privileges, enum exec_privileges. */
export const EXEC_SETUID = 1 << 0;
export const EXEC_SETGID = 1 << 1;
export const EXEC_FILE_CAPS = 1 << 2;
export const EXEC_SETUID_ROOT = 1 << 3;
export const EXEC_SETGID_ROOT = 1 << 4;
export const EXEC_PRIVILEGES_KNOWN = 1 << 15;

/** struct fork_record. */
export const FORK = {
  header: 0,
  parent_pid: 40,
  nspid: 44,
  parent_start_ns: 48,
  cgroup_id: 56,
  creator_pid: 64,
  reserved: 68,
} as const;
export const FORK_SIZE = 72;

/** struct exit_record. */
export const EXIT = { header: 0, code: 40, reserved: 44 } as const;
export const EXIT_SIZE = 48;

/** struct hook_record; its argument slots follow. */
export const HOOK = { header: 0, hook_id: 40, selector: 44, action: 46, args: 47, cgroup_id: 48 } as const;
export const HOOK_SIZE = 56;

/** enum cred_field by number, as events name what changed. */
export const CRED_FIELD_NAMES = [
  "uid",
  "gid",
  "suid",
  "sgid",
  "euid",
  "egid",
  "fsuid",
  "fsgid",
  "cap_permitted",
  "cap_effective",
  "cap_inheritable",
  "cap_bounding",
  "cap_ambient",
  "securebits",
  "user_ns",
  "groups",
  "no_new_privs",
] as const;

/** Supplementary groups that a record has room for. */
export const MAX_GROUPS = 32;

/** struct cred_rest_value. */
export const CRED_REST = {
  cap_bounding: 0,
  cap_ambient: 8,
  no_new_privs: 16,
  groups_count: 20,
  groups: 24,
  thread_keyring: 152,
  process_keyring: 156,
  session_keyring: 160,
  reserved: 164,
} as const;
export const CRED_REST_SIZE = 168;

/** struct cred_change_value. */
export const CRED_CHANGE = {
  changed: 0,
  reserved: 4,
  old: 8,
  new: 88,
  old_rest: 168,
  new_rest: 336,
} as const;
export const CRED_CHANGE_SIZE = 504;

/** struct path_value; the path follows. */
export const PATH = { flags: 0, mode: 4 } as const;
export const PATH_SIZE = 8;
/** Bits of path_value.flags, enum walk_flags of bpf/include/path.h: what is missing of the path. */
export const WALK_TRUNCATED = 1 << 0;
export const WALK_FAILED = 1 << 1;

/** struct buffer_value; the bytes that were read follow. */
export const BUFFER = { size: 0 } as const;
export const BUFFER_SIZE = 8;

/** struct module_value; the name follows. */
export const MODULE = { taints: 0, signature_ok: 8, reserved: 12 } as const;
export const MODULE_SIZE = 16;

/** struct hash_value. */
export const HASH = { algorithm: 0, reserved: 4, digest: 8 } as const;
export const HASH_SIZE = 72;

/** struct arg_slot; `room` bytes of payload follow. */
export const SLOT = { status: 0, depth: 2, room: 4, size: 6 } as const;
export const SLOT_SIZE = 8;

/** Every struct of the contract by its C name, for the check against the compiler's layout. */
export const STRUCTS: Record<string, { size: number; members: Record<string, number> }> = {
  record_header: { size: HEADER_SIZE, members: HEADER },
  cred_value: { size: CRED_SIZE, members: CRED },
  user_ns_value: { size: USER_NS_SIZE, members: USER_NS },
  ns_value: { size: NS_SIZE, members: NS },
  exec_record: { size: EXEC_SIZE, members: EXEC },
  fork_record: { size: FORK_SIZE, members: FORK },
  exit_record: { size: EXIT_SIZE, members: EXIT },
  hook_record: { size: HOOK_SIZE, members: HOOK },
  cred_rest_value: { size: CRED_REST_SIZE, members: CRED_REST },
  cred_change_value: { size: CRED_CHANGE_SIZE, members: CRED_CHANGE },
  path_value: { size: PATH_SIZE, members: PATH },
  buffer_value: { size: BUFFER_SIZE, members: BUFFER },
  module_value: { size: MODULE_SIZE, members: MODULE },
  hash_value: { size: HASH_SIZE, members: HASH },
  arg_slot: { size: SLOT_SIZE, members: SLOT },
};
