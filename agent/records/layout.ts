/**
 * Short names for what records are read by: layout.gen.ts has the values, as bpf/include/event.h declares them. Offsets
 * are bytes from the start of the struct.
 */
import { ENUMERATORS, ENUMS, STRUCTS } from "./layout.gen.ts";

export const {
  RECORD_EXEC,
  RECORD_FORK,
  RECORD_EXIT,
  RECORD_HOOK,
  RECORD_CGROUP,
  RECORD_ARGS_TRUNCATED,
  RECORD_ARGS_FAILED,
  RECORD_FILENAME_FAILED,
  RECORD_CWD_FAILED,
  RECORD_CGROUP_FAILED,
  RECORD_CRED_FAILED,
  RECORD_CWD_TRUNCATED,
  RECORD_CWD_ROOT,
  RECORD_NS_FAILED,
  RECORD_RETURN,
  RECORD_CRED_CHANGE,
  RECORD_KERNEL_STACK,
  RECORD_USER_STACK,
  RECORD_HASH,
  /** Whether the process is in the scope of the policy was not known when the program ran. */
  RECORD_SCOPE_UNDECIDED,
  ARG_READ_FAILED,
  DEPTH_BEYOND_END,
  DRIFT_AT_COMMIT,
  DRIFT_AT_EXIT,
  DRIFT_AT_FORK,
  DRIFT_OF_HOOK,
  EXEC_SETUID,
  EXEC_SETGID,
  EXEC_FILE_CAPS,
  EXEC_SETUID_ROOT,
  EXEC_SETGID_ROOT,
  EXEC_PRIVILEGES_KNOWN,
  WALK_TRUNCATED,
  WALK_FAILED,
  MAX_GROUPS,
  MODULE_NAME_BYTES,
  NO_SELECTOR,
  STACK_FRAMES,
} = ENUMERATORS;

/** struct record_header: the beginning of every record. */
export const HEADER = STRUCTS.record_header.members;
export const HEADER_SIZE = STRUCTS.record_header.size;

export const CRED = STRUCTS.cred_value.members;
export const CRED_SIZE = STRUCTS.cred_value.size;

export const USER_NS = STRUCTS.user_ns_value.members;
export const USER_NS_SIZE = STRUCTS.user_ns_value.size;

export const NS = STRUCTS.ns_value.members;

/** struct exec_record; its strings follow. */
export const EXEC = STRUCTS.exec_record.members;
export const EXEC_SIZE = STRUCTS.exec_record.size;

export const CGROUP = STRUCTS.cgroup_record.members;
export const CGROUP_SIZE = STRUCTS.cgroup_record.size;

export const FORK = STRUCTS.fork_record.members;
export const FORK_SIZE = STRUCTS.fork_record.size;

export const EXIT = STRUCTS.exit_record.members;
export const EXIT_SIZE = STRUCTS.exit_record.size;

/** struct hook_record; its argument slots follow. */
export const HOOK = STRUCTS.hook_record.members;
export const HOOK_SIZE = STRUCTS.hook_record.size;

/** struct arg_slot; `room` bytes of payload follow. */
export const SLOT_SIZE = STRUCTS.arg_slot.size;

export const CRED_REST = STRUCTS.cred_rest_value.members;

export const CRED_CHANGE = STRUCTS.cred_change_value.members;
export const CRED_CHANGE_SIZE = STRUCTS.cred_change_value.size;

/** struct path_value; the path follows. */
export const PATH = STRUCTS.path_value.members;
export const PATH_SIZE = STRUCTS.path_value.size;

/** struct buffer_value; the bytes that were read follow. */
export const BUFFER = STRUCTS.buffer_value.members;
export const BUFFER_SIZE = STRUCTS.buffer_value.size;

/** struct module_value; the name follows. */
export const MODULE = STRUCTS.module_value.members;
export const MODULE_SIZE = STRUCTS.module_value.size;

export const HASH = STRUCTS.hash_value.members;
export const HASH_SIZE = STRUCTS.hash_value.size;

type CredFieldName<Enumerator> = Enumerator extends `CRED_FIELD_${infer Name}` ? Lowercase<Name> : never;

/** The credential fields by their number in enum cred_field, as events name them. */
export const CRED_FIELD_NAMES = Object.keys(ENUMS.cred_field).map((name) =>
  name.replace("CRED_FIELD_", "").toLowerCase(),
) as CredFieldName<keyof typeof ENUMS.cred_field>[];
