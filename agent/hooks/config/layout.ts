/** Short names for the layout of a hook's configuration. layout.gen.ts has the values, from bpf/include/config.h. */
import { ENUMERATORS, STRUCTS } from "./layout.gen.ts";

export { ENUMERATORS };

export const {
  MAX_ARGS,
  /** Index of the return value among the values. */
  RETURN_ARG,
  MAX_STEPS_OF_VALUE,
  MAX_EXPRESSION_STEPS,
  MAX_SELECTORS,
  MAX_FILTERS,
  /** Upper bound of the patterns of one hook. */
  MAX_PATTERNS,
  INLINE_RANGES,
  SEARCH_STEPS,
  /** Upper bound of the length of a string, without its NUL, and of a buffer. */
  MAX_STRING,
  /** Upper bound of the size of a buffer with maxData. */
  MAX_DATA,
  EXE_PATH,
  EXE_TAIL,
  AUTOMATON_FOUND,
  CLASS_BYTES,
  ENTRY_BYTES,
} = ENUMERATORS;

export const HOOK_CONFIG = STRUCTS.hook_config;
export const FIELD_CONFIG = STRUCTS.field_config;
export const CRED_HOOK_CONFIG = STRUCTS.cred_hook_config;
export const LATE_CONFIG = STRUCTS.late_config;
export const VALUE_CONFIG = STRUCTS.value_config;
export const EXPRESSION_STEP = STRUCTS.expression_step;
export const BOUND_CONFIG = STRUCTS.bound_config;
export const BUFFER_CONFIG = STRUCTS.buffer_config;
export const SELECTOR_CONFIG = STRUCTS.selector_config;
export const FILTER_CONFIG = STRUCTS.filter_config;
export const VALUE_RANGE = STRUCTS.value_range;
export const PATH_PATTERN = STRUCTS.path_pattern;
export const TEXT_ENDS = STRUCTS.text_ends;
export const PROCESS_IMAGE = STRUCTS.process_image;
export const CGROUP_SCOPES = STRUCTS.cgroup_scopes;
export const COUNT_KEY = STRUCTS.count_key;
export const FOLLOW_PID = STRUCTS.follow_pid;
export const FOLLOW_SEED = STRUCTS.follow_seed;
export const PROCESS_STATE = STRUCTS.process_state;
export const REPORT_KEY = STRUCTS.report_key;
export const STATE_REPORT = STRUCTS.state_report;
export const LIMIT_KEY = STRUCTS.limit_key;
export const HOOK_STATS = STRUCTS.hook_stats;
export const ACTION_STATS = STRUCTS.action_stats;
export const HOOK_COUNTERS = STRUCTS.hook_counters;
export const CALL_KEY = STRUCTS.call_key;

/** Size of struct call_head, which precedes the record in a value of hook_calls. */
export const CALL_HEAD_BYTES = STRUCTS.call_head.size;
export const TEXT_SCRATCH_BYTES = STRUCTS.text_scratch.size;
export const CRED_SCRATCH_BYTES = STRUCTS.cred_scratch.size;
/** Scopes that there is a bit for. */
export const MAX_SCOPES = ENUMERATORS.SCOPE_WORDS * 64;
