// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What user space shares with the programs: `npm run generate` writes agent/records/layout.gen.ts from struct
 * record_layout and agent/hooks/config/layout.gen.ts from struct config_layout, with every struct and enum that can be
 * reached from a member. The structs exist for that alone: a type that no global names is not in BTF.
 */
#include "config.h"

struct record_layout {
	enum record_limit record_limit;
	enum record_kind record_kind;
	enum record_flags record_flags;
	enum exec_privileges exec_privileges;
	enum cred_field cred_field;
	enum walk_flags walk_flags;
	enum signature_state signature_state;
	enum drift_id drift_id;
	enum arg_status arg_status;
	enum failed_depth failed_depth;
	struct exec_record exec_record;
	struct fork_record fork_record;
	struct exit_record exit_record;
	struct cgroup_record cgroup_record;
	struct hook_record hook_record;
	struct arg_slot arg_slot;
	struct user_ns_value user_ns_value;
	struct path_value path_value;
	struct buffer_value buffer_value;
	struct module_value module_value;
	struct cred_change_value cred_change_value;
	struct hash_value hash_value;
};

struct config_layout {
	enum config_limit config_limit;
	enum automaton_layout automaton_layout;
	enum value_kind value_kind;
	enum value_source value_source;
	enum value_flags value_flags;
	enum field_kind field_kind;
	enum filter_operand filter_operand;
	enum exe_flags exe_flags;
	enum capability_set capability_set;
	enum capability_set_flags capability_set_flags;
	enum current_cred_field current_cred_field;
	enum cred_change cred_change;
	enum filter_compare filter_compare;
	enum namespace_kind namespace_kind;
	enum expression_op expression_op;
	enum selector_flags selector_flags;
	enum limit_scope limit_scope;
	enum scope_flags scope_flags;
	enum hook_flags hook_flags;
	enum cred_source cred_source;
	enum hook_mode_value hook_mode_value;
	enum image_flags image_flags;
	enum seed_result seed_result;
	struct hook_config hook_config;
	struct hook_counters hook_counters;
	struct path_pattern path_pattern;
	struct process_image process_image;
	struct asked_names asked_names;
	struct cgroup_scopes cgroup_scopes;
	struct count_key count_key;
	struct follow_pid follow_pid;
	struct follow_seed follow_seed;
	struct report_key report_key;
	struct state_report state_report;
	struct limit_key limit_key;
	struct call_key call_key;
	struct call_head call_head;
	struct cred_scratch cred_scratch;
	struct text_scratch text_scratch;
};

const struct record_layout *record_layout;
const struct config_layout *config_layout;
