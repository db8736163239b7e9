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

/*
 * Counters of this CPU. The index is masked, not compared: the verifier would follow both results of a comparison, and
 * that through the whole program.
 */
static __always_inline struct hook_counters *hook_counters(void)
{
	__u64 cpu = bpf_get_smp_processor_id() & hook_config.cpu_mask;
	char *counters = (char *)&hook_stats;

	OPAQUE(counters); /* the compiler knows of one element */
	return (struct hook_counters *)(counters + cpu * sizeof(hook_stats));
}

#endif
