/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The maps. maps.bpf.c defines them, other files refer to them. Maps named hook_* are placeholders of one element: each
 * hook replaces those that it uses by its own. So does the sensor of credential drift with cred_states.
 */
#ifndef TRIGON_MAPS_H
#define TRIGON_MAPS_H

#include "config.h"

#ifdef TRIGON_DEFINE_MAPS
#define MAP
#define SECTION(name) SEC(name)
#else
#define MAP extern
#define SECTION(name)
#endif

#define BPF_F_NO_PREALLOC 1

/*
 * Each place of a hash costs 16 bytes before it is used. Only maps with an entry for every process have as many places
 * as there can be processes.
 */

/* All records of all hooks and sensors. One ring keeps an exec record ahead of the process's later records. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

/* Not 0: the reader of the ring sleeps until a record asks for a wake-up; see ring.h. User space writes it. */
MAP volatile __u32 reader_sleeps SECTION(".data.reader");

/* Counters of the sensors, by record kind. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SENSOR_DRIFT + 1);
	__type(key, __u32);
	__type(value, struct hook_stats);
} sensor_stats SEC(".maps");

/* What matchBinaries needs to know of processes: the files that they run. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, IMAGE_SLOTS);
	__type(key, __u64);
	__type(value, struct process_image);
} process_images SEC(".maps");

/* The same for files that were asked for by another path than their own, such as /bin/sh: few of them. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct asked_names);
} asked_names SEC(".maps");

/* What process_seed stores; its id is not read. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct process_image);
} seeded_image SEC(".maps");

/* See image.h. */
MAP struct image_slot image_slots[IMAGE_SLOTS];
MAP __u32 image_users[IMAGE_SLOTS];

/* The scopes of the cgroups below those of pods; processes of other cgroups are the host's. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct cgroup_scopes);
} cgroup_scopes SEC(".maps");

/* Not 0: a cgroup of a pod found no room in cgroup_scopes, so a cgroup without a value may be the host's or a pod's. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} scopes_are_full SEC(".maps");

/* Who was counted by hooks in MODE_COUNT. User space reads and empties it. Where it is full, only the sum is counted. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct count_key);
	__type(value, __u64);
} hit_counts SEC(".maps");

/*
 * Up to 64 lists that processes pass on to the processes that they start; one bit for each list. The maps: listed files,
 * listed pids, the lists of each tgid as fork and exec record them, and the same as user space writes it for processes
 * that ran before. The last two are separate maps because each has one writer.
 */
MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__uint(key_size, EXE_PATH);
	__uint(value_size, sizeof(__u64));
} follow_paths SEC(".maps");

MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct follow_pid);
	__type(value, __u64);
} follow_pids SEC(".maps");

MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u64);
} followed SEC(".maps");

MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct follow_seed);
} follow_seeds SEC(".maps");

/* How many of the 64 lists are in use. Most nodes use none: their forks and execs then skip the lookups. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} follow_count SEC(".maps");

/* enum exec_privileges of execs in flight, by tgid. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, __u16);
} exec_gains SEC(".maps");

/*
 * Credentials that the kernel gave, by the address of the task: kernels before 5.13 have no task storage here.
 * A placeholder: the map is made when drift is first looked for.
 */
MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct cred_state);
} cred_states SEC(".maps");

/* One value, all zeros: what a new entry begins with. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cred_state);
} no_cred_state SEC(".maps");

MAP const volatile struct hook_config hook_config SECTION(".rodata.hook");

/* A hook's own map has one for each CPU, and more up to a power of two. A variable is read without a look-up. */
MAP struct hook_counters hook_stats SECTION(".data.stats");

/* What a match leads to: enum hook_mode_value. */
MAP volatile __u32 hook_mode SECTION(".data.mode");

/* Calls that have not returned yet. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct call_key);
	__type(value, struct call_head);
} hook_calls SEC(".maps");

/* Memory for records that are not built in the ring. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hook_scratch SEC(".maps");

/* When a record with this key was last posted. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct limit_key);
	__type(value, __u64);
} hook_limits SEC(".maps");

/* Memory for building paths and for preparing strings that are compared. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct text_scratch);
} hook_text SEC(".maps");

/* The state that a hook has last reported, by process. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct report_key);
	__type(value, struct state_report);
} hook_reports SEC(".maps");

/* Ranges that do not fit the config. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct value_range);
} hook_ranges SEC(".maps");

/* Whole paths of matchBinaries: a bit for each filter that lists the path. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, EXE_PATH);
	__uint(value_size, sizeof(__u64));
} hook_paths SEC(".maps");

MAP struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct path_pattern);
} hook_patterns SEC(".maps");

/* Automata of filters on substrings, see substring.h: one value with all of them. */
MAP struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hook_automata SEC(".maps");

#endif
