/**
 * The structs and enumerators of bpf/include/config.h that TypeScript writes. A test compares offsets with the BTF of
 * the object, and enumerators with the header.
 */

export const MAX_ARGS = 5;
/** Fields of a trace event that a hook reads: by argument, and behind them the sizes of buffers, by argument. */
export const MAX_FIELDS = 10;
/** Index of the return value among the values. */
export const RETURN_ARG = MAX_ARGS;
export const MAX_STEPS_OF_VALUE = 11;
export const MAX_EXPRESSION_STEPS = 64;
export const MAX_SELECTORS = 5;
export const MAX_FILTERS = 96;
export const INLINE_RANGES = 160;
export const EXE_PATH = 256;
export const EXE_TAIL = 128;
/** Patterns of one hook, bpf/include/filter.h. */
export const MAX_PATTERNS = 256;

/** Flag of entries, and bytes of a table of classes and of an entry: bpf/include/substring.h. */
export const AUTOMATON_FOUND = 1;
export const CLASS_BYTES = 256;
export const ENTRY_BYTES = 4;

/** struct hook_config. */
export const HOOK_CONFIG = {
  size: 5320,
  members: {
    hook_id: 0,
    flags: 4,
    record_size: 8,
    args: 12,
    selectors: 14,
    limit_seed: 16,
    parameters: 32,
    hash_parameter: 34,
    reserved: 35,
    automata_mask: 36,
    field: 40,
    late: 80,
    cred: 104,
    arg: 112,
    selector: 160,
    filter: 320,
    range: 1472,
    expression: 4032,
    buffer: 5056,
    step: 5096,
  },
} as const;

/** struct field_config. */
export const FIELD_CONFIG = { size: 4, members: { offset: 0, size: 2, kind: 3 } } as const;

/** struct cred_hook_config. */
export const CRED_HOOK_CONFIG = {
  size: 8,
  members: { old_source: 0, old_parameter: 1, new_source: 2, new_parameter: 3, reserved: 4 },
} as const;

/** struct late_config. */
export const LATE_CONFIG = { size: 4, members: { limit: 0, room: 2 } } as const;

/** struct value_config. */
export const VALUE_CONFIG = {
  size: 8,
  members: { kind: 0, parameter: 1, width: 2, flags: 3, source: 4, steps: 5, load: 6, reserved: 7 },
} as const;

/** struct expression_step. */
export const EXPRESSION_STEP = {
  size: 16,
  members: { value: 0, op: 8, arg: 9, reserved8: 10, reserved: 12 },
} as const;

/** struct buffer_config. */
export const BUFFER_CONFIG = {
  size: 8,
  members: { limit: 0, parameter: 4, width: 5, flags: 6, reserved: 7 },
} as const;

/** struct selector_config. */
export const SELECTOR_CONFIG = {
  size: 32,
  members: {
    first_filter: 0,
    filters: 2,
    flags: 4,
    limit_scope: 6,
    limit_ns: 8,
    first_return_filter: 16,
    return_filters: 18,
    signal: 20,
    signal_at_return: 21,
    action: 22,
    action_at_return: 23,
    error: 24,
    reserved: 28,
  },
} as const;

/** struct filter_config. */
export const FILTER_CONFIG = {
  size: 12,
  members: { operand: 0, index: 1, compare: 2, negate: 3, first: 4, count: 8 },
} as const;

/** struct value_range. */
export const VALUE_RANGE = { size: 16, members: { low: 0, high: 8 } } as const;

/** struct path_pattern. */
export const PATH_PATTERN = { size: 512, members: { mask: 0, data: 256 } } as const;

/** struct process_image. */
export const PROCESS_IMAGE = {
  size: 464,
  members: { tail: 0, path: 128, path_size: 384, flags: 388, exec_ns: 392, state: 400 },
} as const;

/** struct follow_pid and struct follow_seed. */
export const FOLLOW_PID = { size: 8, members: { pid: 0, in_namespace: 4 } } as const;
export const FOLLOW_SEED = { size: 16, members: { start_ns: 0, lists: 8 } } as const;

/** struct process_state. */
export const PROCESS_STATE = { size: 64, members: { caps: 0, ns: 24 } } as const;

/** struct report_key and struct state_report. */
export const REPORT_KEY = { size: 16, members: { exec_ns: 0, pid: 8, reserved: 12 } } as const;
export const STATE_REPORT = { size: 72, members: { ktime_ns: 0, state: 8 } } as const;

/** struct limit_key. */
export const LIMIT_KEY = { size: 32, members: { digest: 0, start_ns: 16, id: 24, reserved: 28 } } as const;

/** struct hook_stats of bpf/include/event.h. */
export const HOOK_STATS = {
  size: 40,
  members: { hits: 0, posted: 8, lost: 16, rate_limited: 24, errors: 32 },
} as const;

/** struct action_stats. */
export const ACTION_STATS = {
  size: 48,
  members: { post: 0, nopost: 8, signal: 16, monitor_signal: 24, override: 32, monitor_override: 40 },
} as const;

/** struct hook_counters, value of hook_stats. */
export const HOOK_COUNTERS = { size: 280, members: { hook: 0, selector: 40 } } as const;

/** struct call_key, key of hook_calls. */
export const CALL_KEY = { size: 16, members: { task: 0, frame: 8, reserved: 12 } } as const;

/** Size of struct call_head, which stands before the record in a value of hook_calls. */
export const CALL_HEAD_BYTES = 72;

/** Size of struct text_scratch. */
export const TEXT_SCRATCH_BYTES = 4872;

/** Sizes of struct hook_record and struct arg_slot of bpf/include/event.h. */
export const HOOK_RECORD_BYTES = 56;
export const ARG_SLOT_BYTES = 8;
/** Size of struct cred_change_value of bpf/include/event.h. */
export const CRED_CHANGE_BYTES = 504;
/** Size of struct hash_value of bpf/include/event.h. */
export const HASH_BYTES = 72;
/** Size of struct cred_scratch of bpf/include/cred_change.h. */
export const CRED_SCRATCH_BYTES = 192;

/** Enumerators, by their names in C. */
export const ENUMERATORS = {
  VALUE_SIGNED: 1 << 0,
  VALUE_USER: 1 << 1,
  SOURCE_PARAMETER: 0,
  SOURCE_CURRENT_TASK: 1,
  SOURCE_REGISTERS: 2,
  VALUE_AT_RETURN: 1 << 7,
  FIELD_UNSIGNED: 0,
  FIELD_SIGNED: 1,
  FIELD_ARRAY: 2,
  FIELD_DATA_LOC: 3,
  FIELD_DATA_LOC_SIZE: 4,
  OPERAND_PID: 0,
  OPERAND_NAMESPACE_PID: 1,
  OPERAND_PID_OR_ANCESTOR: 2,
  OPERAND_NAMESPACE_PID_OR_ANCESTOR: 3,
  OPERAND_NAMESPACE: 4,
  OPERAND_ARG: 5,
  OPERAND_EXE: 6,
  OPERAND_CAPABILITY: 7,
  OPERAND_CAPABILITY_CHANGE: 8,
  OPERAND_NAMESPACE_CHANGE: 9,
  OPERAND_CRED: 10,
  OPERAND_CRED_CHANGE: 11,
  OPERAND_GAINED: 12,
  OPERAND_TEXT: 13,
  OPERAND_FILE_TYPE: 14,
  OPERAND_EXPRESSION: 15,
  EXPRESSION_CONST: 0,
  EXPRESSION_ARG: 1,
  EXPRESSION_ADD: 2,
  EXPRESSION_SUB: 3,
  EXPRESSION_MUL: 4,
  EXPRESSION_DIV: 5,
  EXPRESSION_MOD: 6,
  EXPRESSION_SDIV: 7,
  EXPRESSION_SMOD: 8,
  EXPRESSION_NEG: 9,
  EXPRESSION_EQ: 10,
  EXPRESSION_LT: 11,
  EXPRESSION_LE: 12,
  EXPRESSION_SLT: 13,
  EXPRESSION_SLE: 14,
  EXPRESSION_AND: 15,
  EXPRESSION_OR: 16,
  EXPRESSION_NOT: 17,
  EXE_OF_PARENT: 1 << 0,
  EXE_OR_ANCESTOR: 1 << 1,
  CAPABILITIES_EFFECTIVE: 0,
  CAPABILITIES_INHERITABLE: 1,
  CAPABILITIES_PERMITTED: 2,
  IN_NAMESPACE: 128,
  CURRENT_UID: 0,
  CURRENT_EUID: 1,
  CURRENT_SUID: 2,
  CURRENT_FSUID: 3,
  CURRENT_GID: 4,
  CURRENT_EGID: 5,
  CURRENT_SGID: 6,
  CURRENT_FSGID: 7,
  CURRENT_AUID: 8,
  CURRENT_SECUREBITS: 9,
  CURRENT_NO_NEW_PRIVS: 10,
  CURRENT_USER_NS_LEVEL: 11,
  CRED_CHANGED: 0,
  CRED_RAISED: 1,
  CRED_DROPPED: 2,
  CRED_NONE: 0,
  CRED_PARAMETER: 1,
  CRED_OF_BPRM: 2,
  CRED_OF_CURRENT: 3,
  IMAGE_STATE_KNOWN: 1 << 0,
  IMAGE_STATE_REPORTED: 1 << 1,
  COMPARE_RANGES: 0,
  COMPARE_MANY_RANGES: 1,
  COMPARE_MASKS: 2,
  COMPARE_PATHS: 3,
  COMPARE_PATTERNS: 4,
  COMPARE_TAIL_PATTERNS: 5,
  COMPARE_SUBSTRINGS: 6,
  NAMESPACE_UTS: 0,
  NAMESPACE_IPC: 1,
  NAMESPACE_MNT: 2,
  NAMESPACE_PID: 3,
  NAMESPACE_PID_FOR_CHILDREN: 4,
  NAMESPACE_NET: 5,
  NAMESPACE_TIME: 6,
  NAMESPACE_TIME_FOR_CHILDREN: 7,
  NAMESPACE_CGROUP: 8,
  NAMESPACE_USER: 9,
  SELECTOR_NO_POST: 1 << 0,
  SELECTOR_KERNEL_STACK: 1 << 1,
  SELECTOR_USER_STACK: 1 << 2,
  SELECTOR_OVERRIDE: 1 << 3,
  SELECTOR_NO_POST_AT_RETURN: 1 << 4,
  SELECTOR_REMEMBERS: 1 << 5,
  SELECTOR_HASH: 1 << 6,
  LIMIT_NONE: 0,
  LIMIT_THREAD: 1,
  LIMIT_PROCESS: 2,
  LIMIT_GLOBAL: 3,
  HOOK_SYSCALL: 1 << 0,
  HOOK_SCRATCH: 1 << 1,
  HOOK_RETURN: 1 << 2,
  HOOK_CRED_CHANGE: 1 << 3,
  HOOK_HASH: 1 << 4,
  HOOK_HASH_OF_BPRM: 1 << 5,
  MODE_ENFORCE: 0,
  MODE_MONITOR: 1,
} as const;
