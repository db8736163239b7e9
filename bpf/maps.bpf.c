// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Defines the maps, and puts every struct that user space knows into the object's BTF. */
#define TRIGON_DEFINE_MAPS
#include "maps.h"

/* A struct that no global names is not in BTF, and agent/hooks could not check that it agrees on its layout. */
const struct exec_record *exec_record_layout;
const struct fork_record *fork_record_layout;
const struct exit_record *exit_record_layout;
const struct hook_record *hook_record_layout;
const struct arg_slot *arg_slot_layout;
const struct user_ns_value *user_ns_value_layout;
const struct cred_change_value *cred_change_value_layout;
const struct hash_value *hash_value_layout;
const struct cred_scratch *cred_scratch_layout;
const struct text_scratch *text_scratch_layout;

char LICENSE[] SEC("license") = "Dual BSD/GPL";
