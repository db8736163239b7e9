/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Counters: per CPU, so that plain additions do. */
#ifndef TRIGON_STATS_H
#define TRIGON_STATS_H

#include "maps.h"

static __always_inline struct hook_stats *count_sensor_hit(__u32 kind)
{
	struct hook_stats *stats = bpf_map_lookup_elem(&sensor_stats, &kind);

	if (stats)
		stats->hits++;
	return stats;
}

static __always_inline struct hook_counters *hook_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hook_stats, &zero);
}

#endif
