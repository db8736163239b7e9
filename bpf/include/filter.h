/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Filters: is the operand in a set, and should it be? What cannot be read matches neither In nor NotIn. */
#ifndef TRIGON_FILTER_H
#define TRIGON_FILTER_H

#include "cred_change.h"
#include "expression.h"
#include "follow.h"
#include "scope.h"
#include "state.h"
#include "substring.h"
#include "values.h"

#define MAX_ANCESTORS 32

/* What a filter may look at. */
struct hit {
	void *context;
	struct task_struct *task;
	__u64 nothing; /* 0, which the verifier does not know */
	const struct cgroup_scopes *scopes;
	bool undecided; /* whether the process is in the scope: user space decides */
};

#define SIGN_BIT (1ULL << 63) /* flipped where signed values are compared: the ranges have it so */

static __always_inline bool in_ranges(__u32 first, __u32 count, __u64 value)
{
	__u32 i;

	NOT_UNROLLED
	for (i = 0; i < INLINE_RANGES && i < count; i++) {
		__u64 low = hook_config.range[first + i].low;

		if (value - low <= hook_config.range[first + i].high - low)
			return true;
	}
	return false;
}

/* Binary search. With known bounds the verifier would follow every range. */
static __always_inline bool in_many_ranges(const struct hit *hit, __u32 first, __u32 count, __u64 value)
{
	__u32 low = first + hit->nothing;
	__u32 high = low + count;
	int step;

	NOT_UNROLLED
	for (step = 0; step < SEARCH_STEPS && low < high; step++) {
		__u32 middle = low + (high - low) / 2;
		struct value_range *range = bpf_map_lookup_elem(&hook_ranges, &middle);

		if (!range)
			return false;
		if (value < range->low)
			high = middle;
		else if (value > range->high)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

static __always_inline bool has_mask(__u32 first, __u32 count, __u64 value)
{
	__u64 masks = 0;
	__u32 i;

	NOT_UNROLLED
	for (i = 0; i < INLINE_RANGES && i < count; i++)
		masks |= hook_config.range[first + i].low;
	return value & masks;
}

static __always_inline bool in_set(const struct hit *hit, const volatile struct filter_config *filter, __u64 value)
{
	__u8 compare = filter->compare;

	if (compare == COMPARE_RANGES)
		return in_ranges(filter->first, filter->count, value);
	if (compare == COMPARE_MANY_RANGES)
		return in_many_ranges(hit, filter->first, filter->count, value);
	return has_mask(filter->first, filter->count, value);
}

static __always_inline bool is_like(const __u64 *path, const struct path_pattern *pattern, __u32 words)
{
	__u64 differences = 0;
	__u32 i;

	NOT_UNROLLED
	for (i = 0; i < words; i++)
		differences |= (path[i] & pattern->mask[i]) ^ pattern->data[i];
	return !differences;
}

static __always_inline bool is_like_any(const struct text_ends *text, const volatile struct filter_config *filter)
{
	__u32 first = filter->first, count = filter->count, i;

	NOT_UNROLLED
	for (i = 0; i < MAX_PATTERNS && i < count; i++) {
		__u32 index = first + i;
		struct path_pattern *pattern = bpf_map_lookup_elem(&hook_patterns, &index);

		if (!pattern)
			return false;
		if (filter->compare == COMPARE_PATTERNS) {
			if (is_like((const __u64 *)text->path, pattern, EXE_PATH / 8))
				return true;
		} else if (is_like((const __u64 *)text->tail, pattern, EXE_TAIL / 8)) {
			return true;
		}
	}
	return false;
}

/* Whether the string is in the filter's set. */
static __always_inline bool is_in_texts(struct text_ends *text, const volatile struct filter_config *filter)
{
	__u64 *filters;

	if (filter->compare != COMPARE_PATHS)
		return is_like_any(text, filter);
	/* Only the beginning of a longer string is stored. */
	if (text->path_size >= EXE_PATH)
		return false;
	filters = bpf_map_lookup_elem(&hook_paths, text->path);
	return filters && *filters >> filter->first & 1;
}

/* Whether one of the paths of a process's file is in the filter's set; `known` if they could be looked up. */
static __always_inline bool is_file_in_texts(struct process_image *image, const volatile struct filter_config *filter,
					     bool *known)
{
	struct text_ends *name = &image->exe;
	struct asked_names *asked;
	int i;

	*known = true;
	if (is_in_texts(name, filter))
		return true;
	if (!(image->id & IMAGE_ASKED))
		return false;
	asked = find_asked_names(image);
	*known = asked;
	if (!asked)
		return false;
	NOT_UNROLLED
	for (i = 0; i < ASKED_NAMES; i++) {
		name = &asked->name[i];
		if (name->path_size && is_in_texts(name, filter))
			return true;
	}
	return false;
}

static __always_inline bool is_followed(struct task_struct *task, __u32 pid, __u32 list)
{
	return lists_followed(task, pid) >> (list & 63) & 1;
}

/*
 * The file of the process, or of its parent, by any path that led to it: a list with one of them has the file. With EXE_OR_ANCESTOR also those that it has executed before, and those of
 * the processes it descends from: these have passed the list on. Where there was no room for that, they are asked as
 * long as they live.
 */
static __always_inline bool exe_matches(const struct hit *hit, const volatile struct filter_config *filter)
{
	struct task_struct *task = hit->task;
	bool found = false, known = false;
	int i;

	if (filter->index & EXE_OF_PARENT)
		task = TASK_READ(task, real_parent);
	NOT_UNROLLED
	for (i = 0; i < MAX_ANCESTORS; i++) {
		__u32 pid = TASK_READ(task, tgid);
		struct process_image *image = find_image(pid);

		if (image)
			found = is_file_in_texts(image, filter, &known);
		if (filter->index & EXE_OR_ANCESTOR && is_followed(task, pid, filter->count))
			known = found = true;
		if (found)
			break;
		if (!(filter->index & EXE_OR_ANCESTOR) || pid <= 1)
			break;
		task = TASK_READ(task, real_parent);
	}
	return known && found != !!filter->negate; /* else it is a kernel thread, or the map is full */
}

/* Where a string is: in the scratch space, or, of a longer buffer, its beginning. */
struct text_place {
	__u64 start; /* in path.bytes */
	__u64 end;   /* behind its last byte */
	__u64 whole; /* bytes of a buffer, and its address */
	__u64 address;
};

/* False when it cannot be read. */
static __always_inline bool read_text(const struct hit *hit, __u32 arg, struct text_scratch *scratch,
				      struct text_place *place)
{
	__u8 kind = hook_config.arg[arg].kind;
	__u32 mode;
	__u16 depth;
	long length;

	place->start = 0;
	if (is_path_kind(kind)) {
		if (!read_path(hit->context, arg, &scratch->path, &mode, &depth))
			return false;
		place->start = scratch->path.start;
		place->end = PATH_BYTES;
		return true;
	}
	if (kind == VALUE_BUFFER) {
		if (!read_value(hit->context, arg, &place->address, &depth))
			return false;
		if (!read_buffer_size(hit->context, arg, &place->whole))
			return false;
		place->end = at_most(place->whole, MAX_STRING);
		return read_memory(arg, scratch->path.bytes, place->end, place->address);
	}
	length = read_string(hit->context, arg, scratch->path.bytes, MAX_STRING + 1, &depth);
	place->end = length > 0 ? length - 1 : 0;
	return length >= 0;
}

/* Puts beginning and end of the string where matchBinaries has them; false if it cannot be read. */
static __always_inline bool prepare_text(const struct hit *hit, __u32 arg, struct text_scratch *scratch)
{
	struct text_ends *text = &scratch->text;
	__u64 start, size, head, tail;
	struct text_place place = {}; /* zeroed for 5.10, whose verifier sees reads of fields that only buffers set */

	if (!read_text(hit, arg, scratch, &place))
		return false;
	start = at_most(place.start, PATH_BYTES);
	size = at_most(place.end - place.start, MAX_STRING);
	head = at_most(size, EXE_PATH - 1);
	tail = at_most(size, EXE_TAIL);
	__builtin_memset(text->path, 0, sizeof(text->path));
	__builtin_memset(text->tail, 0, sizeof(text->tail));
	bpf_probe_read_kernel(text->path, head, scratch->path.bytes + start);
	start = at_most(start + size - tail, PATH_BYTES);
	bpf_probe_read_kernel(text->tail + at_most(EXE_TAIL - tail, EXE_TAIL), tail, scratch->path.bytes + start);
	text->path_size = size;
	if (hook_config.arg[arg].kind == VALUE_BUFFER && place.whole > MAX_STRING)
		return read_memory(arg, text->tail, EXE_TAIL, place.address + place.whole - EXE_TAIL);
	return true;
}

static __always_inline bool contains_text(const struct hit *hit, struct text_scratch *scratch,
					  const volatile struct filter_config *filter)
{
	struct text_place place;

	if (!read_text(hit, filter->index, scratch, &place))
		return false;
	scratch->search.at = place.start;
	scratch->search.end = place.end;
	return search_text(scratch, filter) != !!filter->negate;
}

static __always_inline bool text_matches(const struct hit *hit, const volatile struct filter_config *filter)
{
	struct text_scratch *scratch = text_scratch();

	if (!scratch)
		return false;
	if (filter->compare == COMPARE_SUBSTRINGS)
		return contains_text(hit, scratch, filter);
	if (!prepare_text(hit, filter->index, scratch))
		return false;
	return is_in_texts(&scratch->text, filter) != !!filter->negate;
}

/* The file type as a bit. */
static __always_inline bool read_file_type(const struct hit *hit, __u32 arg, __u64 *value)
{
	struct text_scratch *scratch = text_scratch();
	__u32 mode;
	__u16 depth;

	if (!scratch || !read_path(hit->context, arg, &scratch->path, &mode, &depth))
		return false;
	*value = 1ULL << (mode >> 12 & 15);
	return true;
}

/*
 * A listed process passes its list on to the processes that it starts. Where that was not recorded, the living ancestors
 * are compared: a process knows its parent, or the one that adopted it.
 */
static __always_inline bool pid_or_ancestor_in_set(const struct hit *hit, const volatile struct filter_config *filter)
{
	struct task_struct *task = hit->task;
	int i;

	if (is_followed(task, bpf_get_current_pid_tgid() >> 32, filter->index))
		return true;
	NOT_UNROLLED
	for (i = 0; i < MAX_ANCESTORS; i++) {
		__u32 pid = TASK_READ(task, tgid);
		__u64 value = pid;

		if (filter->operand == OPERAND_NAMESPACE_PID_OR_ANCESTOR)
			value = namespace_pid(task);
		if (in_set(hit, filter, value))
			return true;
		if (pid <= 1)
			return false;
		task = TASK_READ(task, real_parent);
	}
	return false;
}

/* An argument or the return value, mapped so that it compares like the ranges. */
static __always_inline bool read_argument_number(const struct hit *hit, const volatile struct filter_config *filter,
						 __u64 *value)
{
	__u32 index = filter->index;

	if (!read_number(hit->context, index, value))
		return false;
	if (hook_config.arg[index].flags & VALUE_SIGNED && filter->compare != COMPARE_MASKS)
		*value ^= SIGN_BIT;
	return true;
}

static __always_inline bool read_namespace(const struct hit *hit, __u8 kind, __u64 *value)
{
	*value = namespace_inum(hit->task, kind);
	return *value;
}

static __always_inline bool read_operand(const struct hit *hit, const volatile struct filter_config *filter,
					 __u64 *value)
{
	__u8 operand = filter->operand;
	__u8 index = filter->index;

	if (operand == OPERAND_PID) {
		*value = bpf_get_current_pid_tgid() >> 32;
		return true;
	}
	if (operand == OPERAND_NAMESPACE_PID) {
		*value = namespace_pid(hit->task);
		return *value;
	}
	if (operand == OPERAND_NAMESPACE)
		return read_namespace(hit, index, value);
	if (operand == OPERAND_CAPABILITY) {
		*value = current_caps(hit->task, index & ~IN_NAMESPACE);
		return true;
	}
	if (operand == OPERAND_CRED) {
		*value = current_cred_field(hit->task, index);
		return true;
	}
	if (operand == OPERAND_FILE_TYPE)
		return read_file_type(hit, index, value);
	if (operand == OPERAND_GAINED) {
		__u64 had;

		if (!read_number(hit->context, index, &had) || !read_number(hit->context, filter->first, value))
			return false;
		*value &= ~had;
		return true;
	}
	return operand == OPERAND_ARG && read_argument_number(hit, filter, value);
}

static __always_inline bool is_outside_namespace(const struct hit *hit, const volatile struct filter_config *filter)
{
	struct task_struct *task = hit->task;

	return filter->index & IN_NAMESPACE && !TASK_READ(task, cred, user_ns, level);
}

static __always_inline bool capability_change_matches(const struct hit *hit,
						      const volatile struct filter_config *filter)
{
	__u8 set = filter->index & ~IN_NAMESPACE;
	const struct process_state *state;

	if (is_outside_namespace(hit, filter))
		return false;
	state = remembered_state(hit->task);
	if (!state || set >= CAPABILITY_SET_COUNT)
		return false;
	return in_set(hit, filter, current_caps(hit->task, set) ^ state->caps[set]);
}

static __always_inline bool filter_matches(const struct hit *hit, const volatile struct filter_config *filter)
{
	__u8 operand = filter->operand;
	__u64 value;

	if (operand == OPERAND_EXE)
		return exe_matches(hit, filter);
	if (operand == OPERAND_TEXT)
		return text_matches(hit, filter);
	if (operand == OPERAND_EXPRESSION)
		return expression_holds(hit->context, filter->first, filter->count);
	if (operand == OPERAND_PID_OR_ANCESTOR || operand == OPERAND_NAMESPACE_PID_OR_ANCESTOR)
		return pid_or_ancestor_in_set(hit, filter) != !!filter->negate;
	if (operand == OPERAND_NAMESPACE_CHANGE)
		return is_namespace_changed(hit->task, filter->first);
	if (operand == OPERAND_CRED_CHANGE)
		return cred_changed(hit->context, hit->task, filter->first, filter->index);
	if (operand == OPERAND_GAINED)
		return read_operand(hit, filter, &value) && value;
	if (operand == OPERAND_CAPABILITY_CHANGE)
		return capability_change_matches(hit, filter);
	if (operand == OPERAND_CAPABILITY && is_outside_namespace(hit, filter))
		return false;
	return read_operand(hit, filter, &value) && in_set(hit, filter, value) != !!filter->negate;
}

static __always_inline bool is_gate_open(__u64 value)
{
	__u64 low = hook_config.range[0].low;

	return (value - low <= hook_config.range[0].high - low) != !!hook_config.filter[0].negate;
}

/* The initial namespace is a constant, so that for its processes nothing is left of the comparison. */
static __always_inline bool passes_pid_ns_gate(struct task_struct *task)
{
	__u32 inum;

	if (!TASK_READ(task, thread_pid, level)) /* also that of no pid: the task is being reaped */
		return is_gate_open(INITIAL_PID_NS) && TASK_READ(task, thread_pid);
	OPAQUE(task); /* reads anew: nothing has to be kept for those that do not get here */
	inum = pid_ns_inum(task);
	return inum && is_gate_open(inum);
}

/*
 * With HOOK_GATE, filter 0 and range 0 are the first condition of the only selector. They are compared outside of the
 * loops over selectors and filters, so that nothing but the comparison is left of it when the program is specialised.
 */
static __always_inline bool passes_gate(const struct hit *hit)
{
	const volatile struct filter_config *gate = &hook_config.filter[0];
	__u64 value;

	if (!(hook_config.flags & HOOK_GATE))
		return true;
	if (gate->operand == OPERAND_NAMESPACE && gate->index == NAMESPACE_PID)
		return passes_pid_ns_gate(hit->task);
	if (gate->operand == OPERAND_NAMESPACE) {
		if (!read_namespace(hit, gate->index, &value))
			return false;
	} else if (gate->operand == OPERAND_CRED) {
		value = current_cred_field(hit->task, gate->index);
	} else if (!read_argument_number(hit, gate, &value)) {
		return false;
	}
	return is_gate_open(value);
}

static __always_inline __u8 verdict_of_selector(const struct hit *hit, const volatile struct selector_config *selector)
{
	__u8 flags = selector->scope_flags;

	return flags & SCOPE_LIMITED ? scope_verdict(hit->scopes, selector->scope, flags) : SCOPE_INSIDE;
}

static __always_inline bool selector_matches(const struct hit *hit, const volatile struct selector_config *selector)
{
	__u32 first = selector->first_filter, count = selector->filters, i;

	if (verdict_of_selector(hit, selector) == SCOPE_OUTSIDE)
		return false;
	NOT_UNROLLED
	for (i = 0; i < MAX_FILTERS && i < count; i++) {
		if (!filter_matches(hit, &hook_config.filter[first + i]))
			return false;
	}
	return true;
}

#define NO_MATCH MAX_SELECTORS

/*
 * Index of the first selector that matches, NO_SELECTOR where the hook has none, else NO_MATCH. One that has a say at
 * return too may leave the call to one behind it: `candidates` has a bit for each of those that match.
 */
static __always_inline __u32 choose_selector(const struct hit *hit, __u32 *candidates)
{
	__u32 count = hook_config.selectors, chosen = NO_MATCH, i;
	bool remembers = false;

	if (!count)
		return NO_SELECTOR;
	NOT_UNROLLED
	for (i = 0; i < MAX_SELECTORS && i < count; i++) {
		if (!selector_matches(hit, &hook_config.selector[i]))
			continue;
		if (chosen == NO_MATCH)
			chosen = i;
		*candidates |= 1 << i;
		remembers |= !!(hook_config.selector[i].flags & SELECTOR_REMEMBERS);
		if (!hook_config.selector[i].return_filters)
			break;
	}
	if (remembers)
		remember_state(hit->task);
	return chosen;
}

#endif
