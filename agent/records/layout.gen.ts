// Generated from bpf/layouts.bpf.c by `npm run generate`; do not edit.

/** Size and offsets of each struct, in bytes. */
export const STRUCTS = {
  exec_record: { size: 216, members: { header: 0, cred: 40, ns: 120, nspid: 160, auid: 164, parent_pid: 168, exe_links: 172, parent_start_ns: 176, exe_inode: 184, cgroup_id: 192, filename_size: 200, args_size: 202, cwd_size: 204, cgroup_size: 206, exe_size: 208, privileges: 210, reserved16: 212 } },
  record_header: { size: 40, members: { kind: 0, flags: 2, size: 4, ktime_ns: 8, pid: 16, tid: 20, leader_start_ns: 24, exec_seq: 32, uid: 36 } },
  cred_value: { size: 80, members: { uid: 0, gid: 4, suid: 8, sgid: 12, euid: 16, egid: 20, fsuid: 24, fsgid: 28, securebits: 32, user_ns_level: 36, user_ns_owner: 40, user_ns_group: 44, user_ns_inum: 48, reserved: 52, cap_permitted: 56, cap_effective: 64, cap_inheritable: 72 } },
  ns_value: { size: 40, members: { uts: 0, ipc: 4, mnt: 8, pid: 12, pid_for_children: 16, net: 20, time: 24, time_for_children: 28, cgroup: 32, user: 36 } },
  fork_record: { size: 72, members: { header: 0, parent_pid: 40, nspid: 44, parent_start_ns: 48, cgroup_id: 56, creator_pid: 64, reserved: 68 } },
  exit_record: { size: 48, members: { header: 0, code: 40, reserved: 44 } },
  cgroup_record: { size: 320, members: { header: 0, cgroup_id: 40, parent_id: 48, removed: 56, name_size: 60, name: 64 } },
  hook_record: { size: 64, members: { header: 0, hook_id: 40, selector: 44, action: 46, args: 47, cgroup_id: 48, syscall: 56, in_exec: 60 } },
  arg_slot: { size: 8, members: { status: 0, depth: 2, room: 4, size: 6 } },
  user_ns_value: { size: 16, members: { level: 0, owner: 4, group: 8, inum: 12 } },
  path_value: { size: 8, members: { flags: 0, mode: 4 } },
  buffer_value: { size: 8, members: { size: 0 } },
  module_value: { size: 16, members: { taints: 0, signature_ok: 8, reserved: 12 } },
  cred_change_value: { size: 504, members: { changed: 0, reserved: 4, old: 8, new: 88, old_rest: 168, new_rest: 336 } },
  cred_rest_value: { size: 168, members: { cap_bounding: 0, cap_ambient: 8, no_new_privs: 16, groups_count: 20, groups: 24, thread_keyring: 152, process_keyring: 156, session_keyring: 160, reserved: 164 } },
  hash_value: { size: 72, members: { algorithm: 0, reserved: 4, digest: 8 } },
} as const;

/** Enumerators of each enum. */
export const ENUMS = {
  record_limit: { CGROUP_NAME_BYTES: 256, MAX_GROUPS: 32, STACK_FRAMES: 64, MODULE_NAME_BYTES: 64, NO_SELECTOR: 65535 },
  record_kind: { RECORD_EXEC: 1, RECORD_FORK: 2, RECORD_EXIT: 3, RECORD_HOOK: 4, RECORD_CGROUP: 5, SENSOR_DRIFT: 6 },
  record_flags: { RECORD_ARGS_TRUNCATED: 1, RECORD_ARGS_FAILED: 2, RECORD_FILENAME_FAILED: 4, RECORD_CWD_FAILED: 8, RECORD_CGROUP_FAILED: 16, RECORD_CRED_FAILED: 32, RECORD_CWD_TRUNCATED: 64, RECORD_CWD_ROOT: 128, RECORD_EXEC_SECURE: 256, RECORD_NS_FAILED: 512, RECORD_RETURN: 1024, RECORD_CRED_CHANGE: 2048, RECORD_KERNEL_STACK: 4096, RECORD_USER_STACK: 8192, RECORD_HASH: 16384, RECORD_SCOPE_UNDECIDED: 32768 },
  exec_privileges: { EXEC_SETUID: 1, EXEC_SETGID: 2, EXEC_FILE_CAPS: 4, EXEC_SETUID_ROOT: 8, EXEC_SETGID_ROOT: 16, EXEC_PRIVILEGES_KNOWN: 32768 },
  cred_field: { CRED_FIELD_UID: 0, CRED_FIELD_GID: 1, CRED_FIELD_SUID: 2, CRED_FIELD_SGID: 3, CRED_FIELD_EUID: 4, CRED_FIELD_EGID: 5, CRED_FIELD_FSUID: 6, CRED_FIELD_FSGID: 7, CRED_FIELD_CAP_PERMITTED: 8, CRED_FIELD_CAP_EFFECTIVE: 9, CRED_FIELD_CAP_INHERITABLE: 10, CRED_FIELD_CAP_BOUNDING: 11, CRED_FIELD_CAP_AMBIENT: 12, CRED_FIELD_SECUREBITS: 13, CRED_FIELD_USER_NS: 14, CRED_FIELD_GROUPS: 15, CRED_FIELD_NO_NEW_PRIVS: 16 },
  walk_flags: { WALK_TRUNCATED: 1, WALK_FAILED: 2 },
  signature_state: { SIGNATURE_BAD: 0, SIGNATURE_OK: 1, SIGNATURE_UNKNOWN: 2 },
  drift_id: { DRIFT_OF_HOOK: 1073741824, DRIFT_AT_COMMIT: 2147483633, DRIFT_AT_FORK: 2147483634, DRIFT_AT_EXIT: 2147483635 },
  arg_status: { ARG_OK: 0, ARG_READ_FAILED: 1, ARG_TRUNCATED: 2 },
  failed_depth: { DEPTH_BEYOND_END: 65535 },
} as const;

/** All enumerators by name. */
export const ENUMERATORS = {
  ...ENUMS.record_limit,
  ...ENUMS.record_kind,
  ...ENUMS.record_flags,
  ...ENUMS.exec_privileges,
  ...ENUMS.cred_field,
  ...ENUMS.walk_flags,
  ...ENUMS.signature_state,
  ...ENUMS.drift_id,
  ...ENUMS.arg_status,
  ...ENUMS.failed_depth,
} as const;
