// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Gives its image to a process that started before the sensors. Never attached: user space fills seeded_image and runs it. */
#include "image.h"

SEC("raw_tp")
int process_seed(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 zero = 0;
	struct process_image *image = bpf_map_lookup_elem(&seeded_image, &zero);

	if (!image)
		return SEED_NO_ROOM;
	if (find_slot(image->pid))
		return SEED_KNOWN;
	return change_image(NULL, image, NULL, bpf_ktime_get_boot_ns()) ? SEED_TAKEN : SEED_NO_ROOM;
}
