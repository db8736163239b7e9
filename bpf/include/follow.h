/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Which lists of files a process passes on to what it starts, also when it has ended by then. */
#ifndef TRIGON_FOLLOW_H
#define TRIGON_FOLLOW_H

#include "maps.h"

static __always_inline __u64 lists_to_pass_on(const struct process_image *image)
{
	__u64 *lists;

	if (image->path_size >= EXE_PATH) /* the map has no longer ones */
		return image->followed;
	lists = bpf_map_lookup_elem(&follow_paths, image->path);
	return lists ? image->followed | *lists : image->followed;
}

#endif
